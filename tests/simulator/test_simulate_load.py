"""Knows the command `simulate_load`: what it starts, prints and returns, for real."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.simulator.test_driver import Site, connect, serving
from tests.simulator.test_simulate_call import ROOT

pytestmark = pytest.mark.process

SCENARIO = "calls: [{to: 447700900001, stays: 0.6, do: [{tone: 440}]}]\nexpect: [{ended by: user}]\n"


def scenario(folder: Path) -> str:
    path = folder / "load.yaml"
    path.write_text(SCENARIO)
    return str(path)


async def test_calls_are_placed_and_measured_and_a_limit_is_exit_1(tmp_path: Path) -> None:
    words = ["--calls", "4", "--rate", "5", "--for", "0.8", "--json", "--max-failed", "0", "--max-answer", "0.001"]
    async with serving(Site(connect)) as site:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "manage.py", "simulate_load", "--scenario", scenario(tmp_path), *words),
            *("--server", f"http://{site.url}"),
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(tmp_path)},
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
    result = json.loads(out)
    assert process.returncode == 1
    assert (result["calls"], result["failed"], result["bad"], result["lost"]) == (4, 0, 0, 0), result
    assert result["spacing"]["count"] > 4 * 20
    assert len(result["beyond"]) == 1
    assert b"answer, p99 in ms: expected at most 0.001" in err
    assert b"4 started" in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ("--server", "https://calls.example"),
            "https://calls.example is another machine: a load there needs --anywhere",
        ),
        (("--rate", "0"), "expected a number above 0, got '0'"),
        (("--calls", "many"), "expected a number above 0, got 'many'"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("simulate_load", "--scenario", scenario(tmp_path), *options)
    assert problem in str(caught.value)


def test_a_scenario_of_more_callers_than_calls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--calls: expected at least 2, the callers of the scenario"):
        call_command("simulate_load", "--scenario", ROOT / "docs/scenarios/room.yaml", "--calls", "1")
