"""Knows how what happened on a line, and its end, are written down: now, or from the journal.

``keep_line`` is all that a socket needs: it tries the database, and then the journal, with the same
keys, so that what was written though nobody heard of it is not written twice.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import Error, transaction
from django.db.models import Q
from django.utils import timezone

from callflows.journal.record import Record
from callflows.keeping import NotNow, keep, stores
from callflows.models import Job, Line, TimelineEntry
from callflows.models.recordings import open_path
from callflows.watch import WATCH
from callflows.webhooks.turn import attempt, may_pass

log = logging.getLogger(__name__)

KIND = "line-end"


def line_record(
    line: str,
    call: int,
    notes: Iterable[Any],
    outcome: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what is to be written of a line: ``notes`` of it, and with an ``outcome`` its end.

    Each note has ``kind``, ``text``, ``name``, ``at`` and ``data``.
    """
    told = [
        {
            "kind": note.kind,
            "text": note.text,
            "name": note.name,
            "at": note.at.isoformat(),
            "data": dict(note.data),
            "key": TimelineEntry.new_key(),
        }
        for note in notes
    ]
    return {
        "line": line,
        "call": call,
        "outcome": outcome,
        "figures": dict(figures or {}),
        "notes": told,
    }


def keep_line(told: Mapping[str, Any]) -> None:
    """Write it down, in the database or the journal. Blocks. Raises OSError when neither takes it."""
    at = timezone.now()
    if not WATCH.away:
        try:
            attempt(lambda: store_line(told, at))
            return
        except Error as error:
            log.warning("line %s is kept in the journal: %s", told["line"], error)
    keep(KIND, told, at)


@stores(KIND)
def store_record(record: Record) -> None:
    try:
        attempt(lambda: store_line(record.payload, record.at))
    except Error as error:
        if may_pass(error):
            raise NotNow(str(error)) from error
        raise


def store_line(told: Mapping[str, Any], at: datetime) -> None:
    """Write it down in one go. Done again, it changes nothing."""
    with transaction.atomic():
        # Its call may have been deleted meanwhile.
        line = Line.objects.filter(pk=told["line"], call=told["call"]).first()
        if line is None:
            return
        known = line.call.timeline.filter(key__in=[each["key"] for each in told["notes"]])
        missing = _missing(told["notes"], set(known.values_list("key", flat=True)))
        TimelineEntry.objects.bulk_create(_entry(line, each) for each in missing)
        if told["outcome"] is not None:
            _end(line, told, at)


def _missing(notes: Sequence[Mapping[str, Any]], known: set[str]) -> list[Mapping[str, Any]]:
    return [each for each in notes if each["key"] not in known]


def _entry(line: Line, note: Mapping[str, Any]) -> TimelineEntry:
    at = datetime.fromisoformat(note["at"])
    told = {name: note[name] for name in ("kind", "text", "name", "data", "key")}
    return TimelineEntry(call_id=line.call_id, line=line, at=at, **told)


def _end(line: Line, told: Mapping[str, Any], at: datetime) -> None:
    """Write down the end, or the newer figures of one that is known: later words come first at times."""
    ended = {
        "state": Line.State.CLOSED,
        "closed": at,
        "outcome": told["outcome"],
        "figures": told["figures"],
    }
    newer = ~Q(state=Line.State.CLOSED) | Q(closed__lt=at)
    known = line.state == Line.State.CLOSED
    if Line.objects.filter(newer, pk=line.pk).update(**ended) and not known and open_path(line.pk).exists():
        Job.objects.enqueue("keep_recording", host=socket.gethostname(), line=line.pk)
