"""Knows what becomes of a step's outcome: the branch that takes it, and the document that answers it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from callflows.models import Call, FlowVersion, Job, Leg, Line, TimelineEntry
from callflows.ncco.flow import CONNECT_OUTCOMES, WRONG, Branch, Place, Said, choose, follow, retried
from callflows.ncco.problems import InvalidNcco
from callflows.payloads.events import CallEvent
from callflows.webhooks.addresses import StepRef, without_tokens
from callflows.webhooks.documents import serve

Kind = TimelineEntry.Kind
Outcomes = Sequence[str | Said]

# Outcomes that no app chose: our server stopped, or the app failed. Callers get the fallback then.
UNCHOSEN = ("drained", "error")


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of a leg before an event: a leg ends once, however many events say so."""

    outcome: str = ""
    answered: datetime | None = None
    ended: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether its end was known: an end that is told first waits for the answer, or for the reason."""
        return self.outcome in CONNECT_OUTCOMES or bool(self.answered and self.ended)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An event of a step, which may take one of its branches: ``leg`` is whose it is, None when it names none."""

    event: CallEvent
    call: Call
    leg: Leg | None
    ref: StepRef
    before: Before
    base: str

    def reply(self) -> str:
        """Return the document of the branch that the event takes, as JSON text; empty: the old document goes on."""
        if not self._may_tell():
            return ""
        here = place_of(self.ref.version, self.ref.step, self.ref.attempt)
        outcomes = self._outcomes(here) if here else ()
        if here is None or not (outcomes or here.in_room):
            return ""
        if here.in_room:
            self._go_on_in_room(here, outcomes)
            return ""
        branch = choose(here.version.flow, here.step.name, outcomes, here.attempt)
        return self._go(here, branch) if branch else ""

    def late(self) -> str:
        """Do what still has a meaning though Vonage got no reply: the caller went nowhere."""
        here = place_of(self.ref.version, self.ref.step, self.ref.attempt) if self._may_tell() else None
        outcomes = self._outcomes(here) if here else ()
        if here and here.in_room:
            # A caller who waits in a room is fetched by a request of ours, also late.
            self._go_on_in_room(here, outcomes)
        elif here and (branch := choose(here.version.flow, here.step.name, outcomes, here.attempt)):
            away = "but the database was away, and the branch was not taken"
            text = f"Step {branch.step}: {branch.outcome}, {away}"
            self.call.note(Kind.PROBLEM, text, name="away")
        return ""

    def _may_tell(self) -> bool:
        """Whether the event can be an outcome at all: the end of the call's own leg is nobody's to answer."""
        own = self.leg.uuid == self.call.uuid if self.leg else not self.call.uuid
        return bool(self.event.outcomes or self._ends) and not (self._ends and own)

    @property
    def _ends(self) -> bool:
        """Whether the leg is over with this event, which may be its answer, told after its end."""
        status = self.event.status if self.event.kind == "status" else ""
        return status == "completed" or (status == "answered" and self.before.ended is not None)

    def _outcomes(self, here: Place) -> Outcomes:
        event = self.event
        if event.kind == "input":
            # One event for each key, and no document is accepted: the flow went on meanwhile.
            asynchronous = here.step.options.get("mode") == "asynchronous"
            return () if asynchronous else _said(event)
        if event.outcome == "machine":
            # It told before that it is a machine: of its beep only that is new.
            return [each for each in event.outcomes if not (each == self.before.outcome and event.sub_state)]
        return self._of_line(here) if event.outcome == "disconnected" else event.outcomes

    def _of_line(self, here: Place) -> Outcomes:
        """A socket that an app ended has the app's outcome; one that broke, or was refused, the event's own."""
        lines = Line.objects.filter(call=self.call, step=here.step.name, attempt=here.attempt)
        line = lines.filter(leg=self.leg).order_by("-used").first() if self.leg else None
        line = line or lines.filter(used__isnull=False).order_by("-used").first()
        if line is None:
            return self.event.outcomes
        if line.outcome:
            return (line.outcome, "disconnected") if line.outcome in UNCHOSEN else (line.outcome,)
        Line.objects.lose(line)
        return self.event.outcomes

    def _go(self, here: Place, branch: Branch) -> str:
        call = self.call
        place = follow(here.version, branch.target, call.version_of)
        if place is None:
            call.note(Kind.PROBLEM, f"Branch {branch.outcome} of step {branch.step} leads nowhere: {branch.target}")
            return ""
        try:
            with transaction.atomic():
                room = self.event.conversation_uuid or (self.leg.room if self.leg else "")
                more = self.event.values
                served = serve(call, room, place, self.base, timezone.now(), origin=here, more=more)
        except InvalidNcco as error:
            call.note(Kind.PROBLEM, f"Branch {branch.outcome} of step {branch.step} could not be served: {error}")
            return ""
        data = {"ncco": without_tokens(served.document), "notes": list(served.notes)}
        _note_branch(call, branch, place, served.notes, data)
        return json.dumps(served.document)

    def _go_on_in_room(self, here: Place, outcomes: Outcomes) -> None:
        """Let the caller, who waits in a room for whom we called, go on: an answer to this event would not reach them.

        Once: of a leg that ended, the first event that says so counts, and none that is told later.
        """
        answered = self.before.answered or self.event.status == "answered"
        if self.before.over or (self._ends and not (outcomes or answered)) or self._moved():
            return
        branch = choose(here.version.flow, here.step.name, outcomes, here.attempt)
        if branch or self._ends:
            go_on(self.call, here, branch, self.leg)

    def _moved(self) -> bool:
        """Whether the caller left because of this leg: of a machine that answered, for example, before it hung up."""
        return self.leg is not None and self.call.timeline.filter(kind=Kind.BRANCH, leg=self.leg).exists()


def go_on(call: Call, here: Place, branch: Branch | None, leg: Leg | None = None) -> None:
    """Let a caller leave a room: as ``branch`` says, or without one with what comes after the step.

    ``leg`` is the one whose outcome it is.
    """
    place = follow(here.version, branch.target if branch else here.step.then, call.version_of, here.step)
    if place is None:
        Job.objects.enqueue("move_on", call=call.pk)
        return
    place = retried(here, place)
    if branch:
        _note_branch(call, branch, place, (), {}, leg)
    named: dict[str, Any] = {"version": place.version.id, "step": place.step.name, "attempt": place.attempt}
    Job.objects.enqueue("move_on", call=call.pk, **named)


def place_of(version: int, step: str, attempt: int) -> Place | None:
    """Return a step as signed addresses and jobs name it; None when it is not there any more."""
    found = FlowVersion.objects.filter(pk=version).first() if version and step else None
    core = found.as_core() if found else None
    named = core.flow.step(step) if core else None
    return Place(core, named, attempt) if core and named else None


def with_notes(text: str, notes: Sequence[str]) -> str:
    """Return a sentence of the timeline with what else is to be said of it."""
    return f"{text.removesuffix('.')}. {'. '.join(notes)}" if notes else text


def _said(event: CallEvent) -> Outcomes:
    """What the caller answered, the most telling first: keys, what was heard, and at last that neither fits."""
    exact = [each for each in event.outcomes if each != WRONG]
    return [*exact, *(Said(text) for text in event.words), *(each for each in event.outcomes if each == WRONG)]


def _note_branch(
    call: Call, branch: Branch, place: Place, notes: Sequence[str], data: dict[str, Any], leg: Leg | None = None
) -> None:
    text = f"Step {branch.step}: {branch.outcome}, on to {place.step.name}"
    call.note(Kind.BRANCH, with_notes(text, notes), name=branch.outcome, data=data, leg=leg)
