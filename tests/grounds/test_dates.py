"""Dates of tests come from one helper, and its moments are those that they are called."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from tests import dates

HERE = Path(__file__).parent.parent
CONSTRUCTORS = {"date", "datetime", "fromtimestamp", "travel", "move_to"}
CALLED = re.compile(rf"\b({'|'.join(CONSTRUCTORS)})\s*\(")


@pytest.mark.parametrize(
    ("moment", "at"),
    [
        ("year-ahead", "2027-03-02T09:15:00"),
        ("leap-day", "2028-02-29T12:00:00"),
        ("end-of-year", "2026-12-31T23:59:59.995000"),
        ("london-spring", "2026-03-29T00:59:59.995000"),
        ("london-autumn", "2026-10-25T00:59:59.995000"),
        ("new-york-spring", "2026-03-08T06:59:59.995000"),
        ("new-york-autumn", "2026-11-01T05:59:59.995000"),
    ],
)
def test_moments_are_the_next_of_their_kind(moment: str, at: str) -> None:
    with time_machine.travel(dates.EXAMPLE, tick=False):
        assert dates.MOMENTS[moment]().astimezone(UTC).isoformat() == f"{at}+00:00"


@pytest.mark.parametrize("moment", ["london-spring", "london-autumn", "new-york-spring", "new-york-autumn"])
def test_clocks_of_the_machine_change_in_a_night(moment: str) -> None:
    """What a test sees that begins then: an hour is left out, or comes twice."""
    with dates.travel(moment):
        before = datetime.now().astimezone().utcoffset()
        with time_machine.travel(datetime.now(UTC).astimezone(dates.MOMENTS[moment]().tzinfo) + 2 * dates.BEFORE):
            after = datetime.now().astimezone().utcoffset()
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() == (3600 if moment.endswith("spring") else -3600)


def test_stamps_are_written_as_vonage_writes_them() -> None:
    assert (dates.stamp(), dates.stamp(65.1)) == ("2026-03-02T09:15:00.000Z", "2026-03-02T09:16:05.100Z")


def numbers_of_dates(file: Path) -> list[int]:
    """Return the lines at which a moment is made of numbers."""
    # Most files call nothing of that name, and reading them all as Python takes a second.
    text = file.read_text()
    tree = ast.parse(text if CALLED.search(text) else "")
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    return [node.lineno for node in calls if name(node.func) in CONSTRUCTORS and is_number(node.args[0])]


def name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def test_no_other_file_of_the_tests_makes_a_date() -> None:
    files = [each for each in HERE.rglob("*.py") if each != HERE / "dates.py"]
    assert len(files) > 200
    found = [f"{file.relative_to(HERE)}:{line}" for file in files for line in numbers_of_dates(file)]
    assert not found, "take it from tests/dates.py"


def test_a_date_of_numbers_is_found(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text("x = datetime.now()\ny = datetime(\n    # a day\n    2026, 1, 1)\nz = time_machine.travel(17)\n")
    assert numbers_of_dates(file) == [2, 5]
