"""The page of all actions and options, which is drawn from the catalogue."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from callflows.ncco import reference
from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import options

PAGE = Path(__file__).parent.parent.parent / "docs" / "ncco.md"


def test_page_is_that_of_the_catalogue() -> None:
    current = PAGE.read_text() == reference.page()
    assert current, "docs/ncco.md is old: python -m callflows.ncco.reference > docs/ncco.md"


def test_command_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(reference.__file__, run_name="__main__")
    assert capsys.readouterr().out == reference.page()


def test_page_has_every_action_endpoint_and_option() -> None:
    page = reference.page()
    for name, model in {**ACTIONS, **ENDPOINTS}.items():
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for each in options(model):
            assert f"| `{each.name}` |" in section or each.name in ("action", "type")


@pytest.mark.parametrize(
    "row",
    [
        "| `dtmf.maxDigits` | whole number | `4` | 1 to 20; warning: 1 to 22 | How many digits at most. | yes "
        "| NCCO reference |",
        "| `timeout` | number, s | `10` | 0.1 to 7200; warning: any other | How long. | yes | Vonage's SDKs |",
        "| `premium` | true or false | `false` |  | Use the better voice where there is one. | yes | NCCO reference |",
        "| `endpoint` | object | required | exactly one | The one endpoint to connect to. |  | NCCO reference |",
    ],
)
def test_row_tells_all_that_the_catalogue_knows(row: str) -> None:
    assert f"{row}\n" in reference.page()


def test_no_row_is_too_wide_for_its_table() -> None:
    rows = [line for line in reference.page().splitlines() if line.startswith("|")]
    assert {row.count(" | ") + row.count("|---") for row in rows} == {6, 7}
