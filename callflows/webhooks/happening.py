"""Knows what an event does: to which call it belongs, how far that is now, and what the event is answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from callflows.calls.joining import Joining
from callflows.calls.progress import stands_at
from callflows.calls.rooms import rooms_of
from callflows.models import Call, Job, Leg, Line, TimelineEntry
from callflows.models.book import StoredBook, fetch
from callflows.payloads.events import CallEvent
from callflows.payloads.telling import sentence
from callflows.webhooks.addresses import StepRef, key_of, line_in
from callflows.webhooks.branches import Before, Outcome, with_notes
from callflows.webhooks.reading import Received, Refused
from callflows.webhooks.stray import keep_stray
from callflows.webhooks.turn import Turn, attempt, may_pass

log = logging.getLogger(__name__)
Kind = TimelineEntry.Kind


@dataclass
class Happening:
    """One event webhook being recorded and answered. ``ref`` is the step that its address names, if any.

    ``at`` is when it came. ``late``: Vonage was answered long ago, and what we would say now
    reaches nobody.
    """

    received: Received
    event: CallEvent
    ref: StepRef | None
    base: str
    at: datetime = field(default_factory=timezone.now)
    late: bool = False
    needed: set[str] = field(default_factory=set)

    def __call__(self, turn: Turn) -> str:
        """Record the event, once, and return the NCCO that answers it as JSON text; empty for none.

        Raises Refused, and the database's error when that may pass.
        """
        try:
            return attempt(self.store)
        except Refused:
            raise
        except Exception as error:
            if may_pass(error):
                raise
            log.exception("an event of leg %s cannot be stored with its call", self.event.uuid)
            return attempt(self.store_unattached)

    def store(self) -> str:
        with transaction.atomic():
            self.received.admit()
            return self._record(self.at)

    def store_unattached(self) -> str:
        """Keep the event by itself, whatever its call cannot take of it."""
        with transaction.atomic():
            self.received.admit()
            keep_stray(self.event.name, self.event.raw, self.key, self.at)
        return ""

    @property
    def key(self) -> str:
        return key_of("events", self.ref, self.event.raw)

    @property
    def may_be_answered(self) -> bool:
        """Whether a branch of its step might take it: then the caller waits for our reply."""
        return self.ref is not None and bool(self.event.outcomes)

    def _record(self, now: datetime) -> str:
        event, key = self.event, self.key
        book = StoredBook(now, self.needed)
        joining = self._joining(book)
        if joining.known and (first := _entry(joining.known, key)):
            return first.reply
        if event.unattached and joining.owner is None:
            # Its address names a call that is not there any more.
            keep_stray(event.name, event.raw, key, now)
            return ""
        before = _before(joining.leg)
        calls = joining.hear(event, now)
        leg = cast(Leg | None, joining.leg)
        self._bind_line(leg)
        self._remember(calls[0])
        if event.kind == "transfer" and leg and leg.uuid == calls[0].uuid:
            # The caller has entered the room, where we call somebody in.
            Job.objects.hasten("dial_in", call=calls[0].pk)
        entries = [self._entry(call, leg, key, now) for call in calls]
        entries[0].reply = self._reply(calls[0], leg, before)
        TimelineEntry.objects.bulk_create(entries)
        for call in calls:
            fetch(call.pk, event)
        return entries[0].reply

    def _joining(self, book: StoredBook) -> Joining[Any]:
        """Find the event's leg; what its address names is asked only where that is not known for sure."""
        named = [f"call {self.ref.call}"] if self.ref else []
        book.hold([*named, *filter(None, [self.event.uuid]), *rooms_of(self.event)])
        joining: Joining[Any] = Joining.of(book, self.event)
        if joining.leg is None or not joining.leg.bound:
            owner = self._owner()
            joining.owner = book.call(owner) if owner is not None else None
        return joining

    def _owner(self) -> int | None:
        """Return the call that the event's line, or else its address, names."""
        line_id = line_in(self.event.to)
        line = Line.objects.filter(pk=line_id).first() if line_id else None
        return line.call_id if line else self.ref.call if self.ref else None

    def _bind_line(self, leg: Leg | None) -> None:
        if leg and (line_id := line_in(self.event.to)):
            Line.objects.filter(pk=line_id, leg=None, call=leg.call).update(leg=leg)

    def _remember(self, call: Call) -> None:
        """Keep what the caller answered, for the documents to come."""
        event = self.event
        told = event.digits or (event.words[0] if event.words else "")
        if event.kind == "input" and told and self.ref and self.ref.call == call.pk:
            call.answers = {**call.answers, self.ref.step: told}
            call.save(update_fields=["answers"])

    def _entry(self, call: Call, leg: Leg | None, key: str, now: datetime) -> TimelineEntry:
        event, notes = self.event, self.received.notes
        data = {"raw": dict(event.raw), "notes": list(notes)}
        # Known by it, when a room's events are told to others, or taken back.
        data |= {"step": self.ref.step} if self.ref else {}
        return TimelineEntry(
            call=call,
            leg=leg,
            at=stands_at(event, now),
            kind=Kind.PROBLEM if event.kind == "error" else Kind.EVENT,
            name=event.name,
            text=with_notes(sentence(event), notes),
            data=data,
            key=key,
        )

    def _reply(self, call: Call, leg: Leg | None, before: Before) -> str:
        if self.ref is None or self.ref.call != call.pk:
            return ""
        outcome = Outcome(self.event, call, leg, self.ref, before, self.base)
        return outcome.late() if self.late else outcome.reply()


def _entry(calls: list[Call], key: str) -> TimelineEntry | None:
    """Return the entry of an event that came before; of several calls', the one that was answered."""
    return TimelineEntry.objects.filter(call__in=calls, key=key).order_by("-reply").first()


def _before(leg: object) -> Before:
    return Before(leg.outcome, leg.answered, leg.ended) if isinstance(leg, Leg) else Before()
