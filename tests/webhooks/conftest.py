"""Knows an outage of the database that a test begins and ends, and the number that is called meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

if TYPE_CHECKING:
    from callflows.models import PhoneNumber
    from tests.outage import Outage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def outage(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Outage]:
    """One that a test begins and ends; nothing is stored but when the test says so."""
    # Not above: this file is read before Django is set up.
    from callflows.journal.files import Journal
    from callflows.keeping import KEEPER, Keeper
    from callflows.webhooks import views
    from tests.outage import Outage

    # What is asked before it gets its answer, however busy the machine is.
    settings.ANSWER_SECONDS = 5
    monkeypatch.setattr(Keeper, "start", lambda self: None)
    monkeypatch.setattr(Keeper, "soon", lambda self: None)
    monkeypatch.setattr(KEEPER, "journal", Journal(folder, 1024 * 1024))
    # An event that may be answered would wait for the return.
    monkeypatch.setattr(views, "HOPE_SECONDS", 0.0)
    yield Outage(monkeypatch)
    KEEPER.journal.close()


@pytest.fixture
def menu() -> PhoneNumber:
    from tests.make import ECHO, make_flow, make_number, talk
    from tests.outage import SAFE

    step = ("menu", "input", {"dtmf": {"maxDigits": 1}})
    flow = make_flow(step, talk("bye", "Bye"), ECHO, branches=(("menu", "1", "echo"),), then={"bye": "end"})
    return make_number(flow, safe_ncco=SAFE)
