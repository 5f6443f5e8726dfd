"""Knows what an event does: to which call it belongs, how far that is now, and what the event is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from callflows.models import Call, FlowVersion, Job, Leg, Line, TimelineEntry
from callflows.ncco.flow import WRONG, Branch, Place, Said, choose, follow
from callflows.ncco.problems import InvalidNcco
from callflows.payloads.body import digest
from callflows.payloads.events import CallEvent
from callflows.payloads.telling import sentence
from callflows.webhooks.addresses import StepRef, line_in, without_tokens
from callflows.webhooks.documents import serve
from callflows.webhooks.reading import Received
from callflows.webhooks.turn import Turn, again_if_raced, patiently

Kind = TimelineEntry.Kind

# Outcomes that no app chose: our server stopped, or the app failed. Callers get the fallback then.
UNCHOSEN = ("drained", "error")


@dataclass
class Happening:
    """One event webhook being recorded and answered. ``ref`` is the step that its address names, if it names one."""

    received: Received
    event: CallEvent
    ref: StepRef | None
    base: str

    def __call__(self, turn: Turn) -> str:
        """Record the event, once, and return the NCCO that answers it as JSON text; empty for none.

        A database that is locked is tried again for a while: events that Vonage does not repeat would be lost.
        """
        return patiently(lambda: again_if_raced(self._in_transaction)) or ""

    def _in_transaction(self) -> str:
        with transaction.atomic():
            self.received.admit()
            leg = Leg.objects.known(self.event.uuid, self.event.conversation_uuid)
            line = self._line()
            calls = self._calls(leg, line)
            key = digest(self.event.raw)
            if first := calls[0].timeline.filter(key=key).first():
                return first.reply
            leg = self._leg(leg, calls[0])
            if line and leg and line.leg_id is None:
                Line.objects.filter(pk=line.pk).update(leg=leg)
            self._advance(leg, calls[0])
            self._remember(calls[0])
            entries = [self._entry(call, leg, key) for call in calls]
            entries[0].reply = self._reply(calls[0], leg)
            TimelineEntry.objects.bulk_create(entries)
            return entries[0].reply

    def _line(self) -> Line | None:
        line_id = line_in(self.event.to)
        return Line.objects.filter(pk=line_id).first() if line_id else None

    def _calls(self, leg: Leg | None, line: Line | None) -> list[Call]:
        """Return the event's calls: the one of its leg, line or step; without a leg, all that were in its room."""
        found = leg.call_id if leg else line.call_id if line else self.ref.call if self.ref else None
        own = list(Call.objects.select_for_update().filter(pk=found)) if found is not None else []
        if own and self.event.uuid:
            return own
        room = list(Call.objects.in_room(self.event.conversation_uuid).exclude(pk=found or 0).select_for_update())
        return (own + room if not self.event.uuid else room[:1]) or [Call.objects.open_unknown(self.event)]

    def _leg(self, leg: Leg | None, call: Call) -> Leg | None:
        """Return the event's leg: known, just named, or new in this call."""
        event = self.event
        if event.uuid:
            call.uuid = call.uuid or event.uuid
        if leg is None:
            return self._new_leg(call) if event.uuid or not call.legs.exists() else None
        leg.uuid = event.uuid
        if event.kind == "transfer" or not leg.room:
            leg.move(event.conversation_uuid, event.at or timezone.now())
        return leg

    def _new_leg(self, call: Call) -> Leg:
        return call.legs.create(
            uuid=self.event.uuid or None,
            room=self.event.conversation_uuid,
            kind=_kind(self.event.to),
            caller=self.event.caller,
            called=self.event.to,
            direction=self.event.direction[:10],
        )

    def _remember(self, call: Call) -> None:
        """Keep what the caller answered for later steps, and have the file fetched that the event names."""
        answer = self.event.digits or next(iter(self.event.words), "")
        if answer and self.ref and self.ref.call == call.pk:
            call.answers = {**call.answers, self.ref.step: answer}
            call.save(update_fields=["answers"])
        if sound := self.event.sound:
            kind = "fetch_recording" if sound.what == "recording" else "fetch_transcript"
            Job.objects.enqueue(kind, call=call.pk, uuid=sound.uuid, url=sound.url, source=sound.source)

    def _advance(self, leg: Leg | None, call: Call) -> None:
        if leg is not None:
            if self.event.kind == "status":
                leg.advance(self.event)
                if leg.uuid == call.uuid:
                    call.advance(self.event)
            leg.save()
        call.save()

    def _entry(self, call: Call, leg: Leg | None, key: str) -> TimelineEntry:
        event = self.event
        kind = Kind.PROBLEM if event.kind == "error" else Kind.EVENT
        data = {"raw": dict(event.raw)}
        own = leg if leg and leg.call_id == call.pk else None
        at = event.at or timezone.now()
        return TimelineEntry(
            call=call, leg=own, at=at, kind=kind, name=event.name[:50], text=sentence(event), data=data, key=key
        )

    def _reply(self, call: Call, leg: Leg | None) -> str:
        """Return the document of the branch that the event takes; empty: the old document goes on."""
        if self.ref is None or self.ref.call != call.pk or not self.event.outcomes:
            return ""
        version = FlowVersion.objects.filter(pk=self.ref.version).first()
        core = version.as_core() if version else None
        step = core.flow.step(self.ref.step) if core else None
        if core is None or step is None:
            return ""
        here = Place(core, step, self.ref.attempt)
        outcomes = self._outcomes(here, leg)
        said = [Said(text) for text in self.event.words]
        exact = [each for each in outcomes if each != WRONG]
        branch = choose(core.flow, step.name, [*exact, *said, *(set(outcomes) & {WRONG})], here.attempt)
        return self._go(call, here, branch) if branch else ""

    def _outcomes(self, here: Place, leg: Leg | None) -> tuple[str, ...]:
        """A socket that an app ended has the app's outcome; one that broke, or was refused, the event's own."""
        if self.event.outcome != "disconnected" or self.ref is None:
            return self.event.outcomes
        lines = Line.objects.filter(call_id=self.ref.call, step=here.step.name, attempt=here.attempt)
        line = lines.filter(leg=leg).order_by("-used").first() if leg else None
        line = line or lines.filter(used__isnull=False).order_by("-used").first()
        if line is None:
            return self.event.outcomes
        if line.outcome:
            return (line.outcome, "disconnected") if line.outcome in UNCHOSEN else (line.outcome,)
        if Line.objects.filter(pk=line.pk, state=Line.State.OPEN).update(state=Line.State.LOST, closed=timezone.now()):
            line.call.note(Kind.PROBLEM, "The worker that held the socket was lost", line=line)
        return self.event.outcomes

    def _go(self, call: Call, here: Place, branch: Branch) -> str:
        place = follow(here.version, branch.target, call.version_of)
        if place is None:
            call.note(Kind.PROBLEM, f"Branch {branch.outcome} of step {branch.step} leads nowhere: {branch.target}")
            return ""
        try:
            with transaction.atomic():
                at = timezone.now()
                served = serve(
                    call, self.event.conversation_uuid, place, self.base, at, origin=here, more=self.event.values
                )
        except InvalidNcco as error:
            call.note(Kind.PROBLEM, f"Branch {branch.outcome} of step {branch.step} could not be served: {error}")
            return ""
        text = ". ".join([f"Step {here.step.name}: {branch.outcome}, on to {place.step.name}", *served.notes])
        call.note(Kind.BRANCH, text, name=branch.outcome[:50], data={"ncco": without_tokens(served.document)})
        return json.dumps(served.document)


def _kind(to: str) -> str:
    """Tell a leg's kind by what was called."""
    scheme = to.partition(":")[0].lower()
    return {"ws": "websocket", "wss": "websocket", "sip": "sip"}.get(scheme, "phone")
