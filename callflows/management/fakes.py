"""Knows the options that the commands of the fake Vonage share."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from callflows.simulator.scenario import ScenarioError, knobs


def add_knob(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--knob",
        action="append",
        type=knob,
        default=[],
        metavar="NAME=VALUE",
        help="how Vonage behaves where nobody documents it: see docs/simulator.md; may be repeated",
    )


def add_allow_host(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="another machine that webhooks and sockets may reach (default: only this one); may be repeated",
    )


def knob(text: str) -> tuple[str, Any]:
    """Read a value as what its knob takes: a word as it is, else a number, a list, true, false or null."""
    name, _, value = text.partition("=")
    try:
        knobs({name: value})
    except ScenarioError as as_a_word:
        try:
            given = json.loads(value)
            knobs({name: given})
        except (ValueError, ScenarioError):
            raise ArgumentTypeError(str(as_a_word).removeprefix("knobs: ")) from None
        return name, given
    return name, value
