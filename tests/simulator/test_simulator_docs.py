"""Knows that docs/simulator.md names every fault, knob, option and expectation, and that its example is a scenario."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import yaml

from callflows.simulator.faults import FAULTS
from callflows.simulator.knobs import Knobs
from callflows.simulator.scenario import _File, parse
from callflows.simulator.scenario_checks import KINDS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "simulator.md").read_text()


def rows(heading: str) -> set[str]:
    """The names in the first column of the first table after a heading."""
    table = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"(?m)^\| `([a-z0-9_-]+)", table))


def test_every_fault_and_knob_is_in_its_table() -> None:
    assert rows("Faults") == set(FAULTS)
    assert rows("Knobs") == {each.name for each in fields(Knobs)}


def test_every_member_and_expectation_of_a_scenario_is_named() -> None:
    text = PAGE.partition("## Scenarios\n")[2].partition("\n## ")[0]
    for name in [*_File.model_fields, *KINDS]:
        assert re.search(rf"\b{name}\b", text), name


def test_the_example_is_a_scenario() -> None:
    example = PAGE.partition("```yaml\n")[2].partition("```")[0]
    assert len(parse(yaml.safe_load(example), Path()).expect) == 4


def test_what_stands_beside_the_calls_is_understood() -> None:
    beside = yaml.safe_load(PAGE.split("```yaml\n")[2].partition("```")[0])
    found = parse({"calls": [{"to": "447700900001"}], **beside}, Path())
    assert set(found.people) == {"447700900222", "447700900333"}
    assert (found.knobs.ncco_after_ws, found.knobs.buffer) == ("immediate", 1024)
    assert [each.name for each in found.faults] == ["event-twice", "socket-dies"]
