"""Knows that what the documents name is there: settings, commands, files, other documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from project.environment import Environment

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def anchor(heading: str) -> str:
    """Return what a link to a heading says after #, as code hosts make it: ``A first flow`` -> ``a-first-flow``."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, part = link.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert link.startswith("https://") or goal.exists(), link
        if part:
            assert part in {anchor(each) for each in re.findall(r"(?m)^#+ (.*)$", goal.read_text())}, link


@pytest.mark.parametrize("page", DOCUMENTS, ids=names(DOCUMENTS))
def test_commands_are_there(page: Path) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))
    assert named <= get_commands().keys(), named


def test_every_setting_stands_in_the_table_for_deployers() -> None:
    rows = re.findall(r"(?m)^\| (`[A-Z].*?) \|", (ROOT / "docs" / "deploy.md").read_text())
    told = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert told == Environment.model_fields.keys()


def test_every_folder_of_the_code_stands_in_the_map() -> None:
    table = (ROOT / "README.md").read_text().partition("| folder |")[2].partition("\n\n")[0]
    folders = {each.parent.name for each in (ROOT / "callflows").glob("*/__init__.py")} - {"migrations"}
    assert {each for each in folders if f"`{each}`" not in table and f"callflows/{each}`" not in table} == set()
