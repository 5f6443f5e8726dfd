"""Knows a database that is away, as this process sees it."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone

from callflows.keeping import KEEPER
from callflows.watch import WATCH


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
