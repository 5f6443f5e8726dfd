"""Knows what is wrong with an NCCO: where, how badly, and who says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

# Who says so: Vonage's NCCO reference, Vonage's OpenAPI of the calls' REST interface, Vonage's SDKs, people's tests on
# the live platform, or ourselves.
REFERENCE = "NCCO reference"
OPENAPI = "Voice OpenAPI"
SDK = "Vonage's SDKs"
LIVE_TESTS = "live tests of 2026-09"
OURS = "Callflows"

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document.

    ``path`` is JSONPath-like (``$[1].endpoint[0].headers``); ``message`` says what was expected and what came;
    ``source`` names the documentation that the rule comes from.
    """

    path: str
    severity: Severity
    message: str
    source: str = OURS


class InvalidNcco(ValueError):
    """A document with errors; ``problems`` holds them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{each.path}: {each.message}" for each in self.problems))


def shown(value: object) -> str:
    """Return ``value`` as an error message quotes it: short, and never a whole document."""
    return _short(repr(value))


def member(path: str, name: object) -> str:
    """Return the path of a member or an entry: ``$[0].text``, ``$[0]``, and ``$["a b"]`` for an odd name."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    text = str(name)
    return f"{path}.{text}" if re.fullmatch(r"[\w-]{1,60}", text) else f"{path}[{_short(json.dumps(text))}]"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
