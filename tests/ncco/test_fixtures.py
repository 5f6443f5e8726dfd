"""Every NCCO that we know of against the validator: what it must take, refuse with the right path, or warn of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callflows.ncco.document import problems
from callflows.ncco.files import parse
from callflows.ncco.problems import Problem

FOLDER = Path(__file__).parent.parent / "payloads" / "ncco"


def files(kind: str) -> list[Path]:
    return [file for file in sorted((FOLDER / kind).iterdir()) if file.suffix in (".json", ".txt")]


def name(file: Path) -> str:
    return file.stem


def found(file: Path) -> list[Problem]:
    document, told = parse(file.read_bytes())
    return told or problems(document)


@pytest.mark.parametrize(("kind", "least"), [("valid", 31), ("invalid", 74), ("lenient", 16)])
def test_no_file_is_missing(kind: str, least: int) -> None:
    assert len(files(kind)) >= least


@pytest.mark.parametrize("file", files("valid"), ids=name)
def test_valid_ncco_has_no_problem(file: Path) -> None:
    assert found(file) == []


@pytest.mark.parametrize("file", files("invalid"), ids=name)
def test_invalid_ncco_is_refused_where_it_is_wrong_and_nowhere_else(file: Path) -> None:
    why = re.search(r"^path: (.*)$", file.with_suffix(".why").read_text(), re.MULTILINE)
    assert why is not None
    assert [each.path for each in found(file) if each.severity == "error"] == [why[1]]


@pytest.mark.parametrize("file", files("lenient"), ids=name)
def test_ncco_about_which_sources_disagree_is_warned_of(file: Path) -> None:
    assert {each.severity for each in found(file)} == {"warning"}
