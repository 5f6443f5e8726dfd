"""Knows that what happened on a line, and how it ended, is written down once, now or when the database is back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from callflows.endings import KIND, keep_line, line_record, store_line, store_record
from callflows.journal.files import Journal
from callflows.journal.record import Record
from callflows.keeping import KEEPER, Keeper, NotNow
from callflows.models import Call, Job, Line
from callflows.sockets.line import Note
from tests.dates import example
from tests.outage import Outage

pytestmark = pytest.mark.django_db(transaction=True)

SAID = example(5)


@pytest.fixture
def line() -> Line:
    call = Call.objects.create(uuid="caller")
    return Line.objects.create(call=call, step="echo", app="echo", expires=timezone.now(), state=Line.State.OPEN)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr(Keeper, "start", lambda self: None)
    made = Journal(tmp_path / "journal", 1024 * 1024)
    monkeypatch.setattr(KEEPER, "journal", made)
    yield made
    made.close()


def noted(*texts: str) -> list[Note]:
    return [Note("digit", text, "dtmf" * 20, {"digit": text}, SAID) for text in texts]


def texts(line: Line) -> list[str]:
    return sorted(line.call.timeline.values_list("text", flat=True))


def test_notes_and_end_are_written_in_one_go(line: Line, journal: Journal) -> None:
    keep_line(line_record(line.pk, line.call_id, noted("1")))
    line.refresh_from_db()
    assert (line.state, texts(line)) == ("open", ["1"])
    keep_line(line_record(line.pk, line.call_id, noted("2"), "done", {"frames": 50}))
    line.refresh_from_db()
    assert (line.state, line.outcome, line.figures) == ("closed", "done", {"frames": 50})
    entry = line.call.timeline.get(text="2")
    assert (entry.at, entry.kind, entry.line, entry.data) == (SAID, "digit", line, {"digit": "2"})
    assert journal.empty


def test_line_that_ends_while_the_database_is_away_is_closed_at_that_time(
    line: Line, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(monkeypatch)
    outage.begin()
    keep_line(line_record(line.pk, line.call_id, noted("1")))
    keep_line(line_record(line.pk, line.call_id, noted("2"), "", {}))
    after = timezone.now()
    assert texts(line) == []
    outage.store()
    line.refresh_from_db()
    assert (line.state, line.outcome, texts(line)) == ("closed", "", ["1", "2"])
    assert line.closed is not None
    assert line.closed <= after


def test_database_that_fails_just_then_loses_nothing(line: Line, journal: Journal) -> None:
    with patch("callflows.endings.store_line", side_effect=OperationalError("gone")):
        keep_line(line_record(line.pk, line.call_id, noted("1"), "done", {}))
    assert not journal.empty
    KEEPER.store_waiting()
    assert texts(line) == ["1"]


def test_what_was_written_though_nobody_heard_of_it_is_not_written_twice(line: Line, journal: Journal) -> None:
    def write_and_fail(told: object, at: datetime) -> None:
        store_line(told, at)  # type: ignore[arg-type]
        raise OperationalError("the connection broke after the commit")

    with patch("callflows.endings.store_line", write_and_fail):
        keep_line(line_record(line.pk, line.call_id, noted("1", "2"), "done", {}))
    line.refresh_from_db()
    closed = line.closed
    KEEPER.store_waiting()
    line.refresh_from_db()
    assert (texts(line), line.closed) == (["1", "2"], closed)


def test_recording_of_such_a_line_is_kept_by_a_job(line: Line, journal: Journal, settings: Settings) -> None:
    settings.RECORDINGS_OPEN.mkdir(parents=True)
    (settings.RECORDINGS_OPEN / f"{line.pk}.wav").touch()
    told = line_record(line.pk, line.call_id, [], "done", {})
    for _ in range(2):
        store_record(Record("a", KIND, SAID, told))
    assert Job.objects.get().kind == "keep_recording"


def test_line_whose_call_was_deleted_stops_nothing(line: Line, journal: Journal) -> None:
    told = line_record(line.pk, line.call_id, noted("1"), "done", {})
    line.call.delete()
    store_record(Record("a", KIND, SAID, told))
    assert not Line.objects.exists()


def test_database_that_is_away_again_is_waited_for(line: Line, journal: Journal) -> None:
    record = Record("a", KIND, SAID, line_record(line.pk, line.call_id, [], "done", {}))
    with (
        patch("callflows.endings.store_line", side_effect=OperationalError("gone")),
        pytest.raises(NotNow, match="gone"),
    ):
        store_record(record)
