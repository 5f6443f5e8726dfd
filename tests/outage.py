"""Knows a database that is away, as this process sees it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone

from callflows.keeping import KEEPER
from callflows.models import Call
from callflows.watch import WATCH

# What callers of a number hear meanwhile, and an event that may be answered.
SAFE = [{"action": "talk", "text": "We are closed."}]
PRESSED: Any = {"dtmf": {"digits": "1", "timed_out": False}}


def kept(folder: Path) -> str:
    """Return all that the journal in a folder holds."""
    return "".join(each.read_text() for each in folder.glob("*.journal"))


def texts(call: Call) -> list[str]:
    return [entry.text for entry in call.timeline.all()]


class Outage:
    """Begun and ended by a test; the process's own look, which an earlier test may have asked for, sees the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def begin(self) -> None:
        self.monkeypatch.setattr(WATCH, "reason", "nobody answers")
        self.monkeypatch.setattr(WATCH, "probe", lambda seconds: "nobody answers")
        self.monkeypatch.setattr(WATCH, "away", True)

    def end(self) -> None:
        self.monkeypatch.setattr(WATCH, "probe", lambda seconds: "")
        self.monkeypatch.setattr(WATCH, "away", False)

    def store(self, later: timedelta = timedelta()) -> None:
        """Let what was kept be stored, as when the database is back, or so much later."""
        self.end()
        at = timezone.now() + later
        with patch("callflows.keeping.timezone.now", lambda: at):
            KEEPER.store_waiting()
