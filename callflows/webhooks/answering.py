"""Knows what a caller is answered, and that there is always an answer: someone is listening."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from callflows.calls.joining import Joining
from callflows.models import Application, Call, FlowVersion, Leg, PhoneNumber, TimelineEntry
from callflows.models.book import StoredBook
from callflows.models.calls import NOT_SERVED
from callflows.models.numbers import Entrance
from callflows.models.prepared import insert
from callflows.models.together import together
from callflows.ncco.flow import Place
from callflows.ncco.problems import InvalidNcco
from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import BadPayload
from callflows.payloads.events import CallEvent
from callflows.webhooks import journalled
from callflows.webhooks.addresses import StepRef, key_of, without_tokens
from callflows.webhooks.branches import place_of, with_notes
from callflows.webhooks.documents import Document, entry, forget_dialling, serve
from callflows.webhooks.reading import Received, Refused
from callflows.webhooks.safe import SAFE
from callflows.webhooks.stray import keep_stray
from callflows.webhooks.turn import TooLate, Turn, attempt, may_pass

log = logging.getLogger(__name__)
Kind = TimelineEntry.Kind


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller is answered, and the sentence that tells it on the timeline, with what had to be cut."""

    document: Document
    kind: str
    text: str
    notes: Sequence[str] = ()


@dataclass
class Answer:
    """One answer webhook being answered. ``safe`` is said when anything goes wrong: the number's own, once known.

    ``failure`` is why the fallback webhook is asked instead; ``ref`` the step of a call out that the address names.
    ``at`` is when it came.
    """

    received: Received
    asked: AnswerRequest
    base: str
    safe: Document = field(default_factory=lambda: list(settings.SAFE_NCCO))
    failure: Failure | None = None
    ref: StepRef | None = None
    # The step whose address failed, where that is known without the address.
    failed: StepRef | None = None
    at: datetime = field(default_factory=timezone.now)
    needed: set[str] = field(default_factory=set)

    def __call__(self, turn: Turn) -> str:
        """Return the reply as JSON text. Raises Refused, and TooLate; errors are logged, told, and answered safely."""
        try:
            return attempt(lambda: self._in_transaction(turn))
        except (Refused, TooLate):
            raise
        except Exception as error:
            if isinstance(error, InvalidNcco):
                # The operator's, or the caller's, and told on the timeline: no traceback helps.
                log.warning("the answer webhook of %s got the safe NCCO: %s", self.asked.uuid, error)
            elif not may_pass(error):
                log.exception("the answer webhook of %s failed", self.asked.uuid)
            if not turn.take("work"):
                raise
            return self.say_safe(f"{type(error).__name__}: {error}")

    def __post_init__(self) -> None:
        if self.failure and self.failed is None:
            self.failed = StepRef.in_url(self.failure.url)

    @property
    def _named(self) -> StepRef | None:
        """The step that the address names, or the one that failed."""
        return self.ref or self.failed

    @property
    def _event(self) -> CallEvent | None:
        """The event in what the fallback webhook brings, when that is what failed."""
        if self.failure is None or self.failure.kind != "event":
            return None
        try:
            return CallEvent.parse(self.asked.raw)
        except BadPayload:
            return None

    def _in_transaction(self, turn: Turn) -> str:
        turn.begin()
        entrance = self._entrance()
        if entrance and entrance.safe_ncco:
            self.safe = entrance.safe_ncco
        if self._named is None:
            SAFE.remember(self.asked.digits, self.safe)
        with transaction.atomic():
            self.received.admit()
            with together():
                reply = self._reply(entrance)
            turn.commit()
        return reply

    def _entrance(self) -> Entrance | None:
        """Return what was dialled: what a call out calls is the customer's, and tells nothing of ours."""
        if named := self._named:
            return PhoneNumber.objects.of_call(named.call)
        if self.asked.digits.isdecimal():
            return PhoneNumber.objects.dialled(self.asked.digits)
        token = self.received.token
        return Application.objects.answering(token.application_id if token else "")

    def _reply(self, entrance: Entrance | None) -> str:
        joining = self._joining()
        if joining is None:
            log.error("a webhook without a usable uuid belongs to no call: %.500s", self.asked.raw)
            keep_stray("answer", self.asked.raw, self.key, self.at)
            return json.dumps(self.safe)
        key = self.key
        # No answer was asked for a leg that is not bound yet, so this is no repeat: one query less while someone waits.
        known = joining.known if self._named or self.failure or (joining.leg and joining.leg.bound) else []
        if known and (first := TimelineEntry.objects.filter(call__in=known, key=key).order_by("-reply").first()):
            # It is forgotten after a day, when nobody repeats himself.
            return first.reply or json.dumps(self.safe)
        call, leg = self._opened(joining, entrance)
        said = self._said(call, entrance)
        if said.kind != Kind.ANSWER:
            call.outcome = NOT_SERVED
            call.save(update_fields=["outcome"])
        reply = json.dumps(said.document)
        self._write(call, leg, said, key, reply)
        return reply

    @property
    def key(self) -> str:
        return key_of("fallback" if self.failure else "answer", self.ref, self.asked.raw)

    # The call

    def _joining(self) -> Joining[Any] | None:
        """Find the call; None when nothing names it by something that can be kept."""
        asked, named = self.asked, self._named
        rooms = [asked.conversation_uuid] if asked.conversation_uuid else []
        known = asked.recordable or (self._event is not None and bool(rooms or named))
        if not known:
            return None
        book = StoredBook(self.at, self.needed, new=named is None)
        book.hold([*([asked.uuid] if asked.uuid else []), *rooms, *([f"call {named.call}"] if named else [])])
        return Joining(book, asked.uuid, rooms, book.call(named.call) if named else None)

    def _opened(self, joining: Joining[Any], entrance: Entrance | None) -> tuple[Call, Leg | None]:
        """Open the call, or complete the one that an event, or we ourselves, opened before."""
        if event := self._event:
            return joining.hear(event, self.at)[0], cast(Leg | None, joining.leg)
        leg = cast(Leg, joining.meet(self.asked.conversation_uuid))
        call = leg.call
        self._complete(call, leg, entrance)
        known = not call._state.adding
        # With its call, when that is new.
        joining.book.keep_leg(leg)
        if known:
            call.save()
        return call, leg

    def _complete(self, call: Call, leg: Leg, entrance: Entrance | None) -> None:
        """Take over what the request tells. Who calls whom is our own word in a call out, and Vonage's in others."""
        asked, now = self.asked, self.at
        leg.kind = asked.endpoint_type
        leg.caller, leg.called = leg.caller or asked.caller, leg.called or asked.to
        leg.direction = leg.direction or ("outbound" if self._named else "inbound")
        call.region_url = call.region_url or asked.region_url
        call.brought = {**call.brought, **asked.brought}
        call.news = now
        if self._named is None:
            leg.caller, leg.called = asked.caller, asked.to
            call.caller, call.called, call.direction = asked.caller, asked.to, "inbound"
            # The earlier of two clocks, as events have it: the same whichever comes first.
            leg.started, call.started = min(leg.started or now, now), min(call.started or now, now)
            if call.number_id is None:
                for name, value in Call.facts(entrance, asked.digits).items():
                    setattr(call, name, value)

    # The document

    def _said(self, call: Call, entrance: Entrance | None) -> Said:
        if self.failure is not None:
            return self._said_instead(call, self.failure)
        if self.ref is not None:
            return self._said_out(call, self.ref)
        if entrance is None:
            return self._safe(self._unknown())
        place = self._entry(call, entrance)
        if entrance.flow is None or place is None:
            what = (
                f"flow {entrance.flow_name} has no published version"
                if entrance.flow
                else f"{entrance.name} has no flow"
            )
            return self._safe(f"Nothing to serve: {what}. The safe NCCO was served.")
        return self._served(call, place, entrance.flow_name or "")

    def _unknown(self) -> str:
        called = self.asked.digits
        if called.isdecimal():
            return f"No phone number {called} is configured: the safe NCCO was served."
        several = Application.objects.exists()
        why = "of several applications the webhook names none" if several else "no application is configured"
        return f"{called or 'What was called'} is no phone number, and {why}: the safe NCCO was served."

    def _said_instead(self, call: Call, failure: Failure) -> Said:
        """Say the safe NCCO of the call's own number: an event's ``to`` may be anybody."""
        if call.number and call.number.safe_ncco:
            self.safe = call.number.safe_ncco
        ref = self.failed
        step = f" (step {ref.step})" if ref and ref.step else ""
        return self._safe(f"{failure}{step}. The safe NCCO was served.", Kind.FALLBACK)

    def _said_out(self, call: Call, ref: StepRef) -> Said:
        place = place_of(ref.version, ref.step, ref.attempt) if call.pk == ref.call else None
        if place is None:
            what = "the step is not there any more" if call.pk == ref.call else "the call that it is for is gone"
            return self._safe(f"Nothing to serve: {what}. The safe NCCO was served.")
        return self._served(call, place, call.flow_name)

    def _served(self, call: Call, place: Place, flow: str) -> Said:
        served = serve(call, self.asked.conversation_uuid, place, self.base, timezone.now())
        return Said(served.document, Kind.ANSWER, f"Served {flow} from step {place.step.name}", served.notes)

    def _safe(self, text: str, kind: str = Kind.PROBLEM) -> Said:
        return Said(self.safe, kind, text)

    def _entry(self, call: Call, entrance: Entrance) -> Place | None:
        """Where the caller enters: the live version, unless the call began before it was published."""
        live, published, flow = entrance.live, entrance.published, entrance.flow
        if live is None or published is None or flow is None:
            return None
        lives = published <= call.created
        version = FlowVersion.objects.ready(live, published) if lives else call.version_of(flow)
        return entry(version) if version else None

    # The timeline

    def _write(self, call: Call, leg: Leg | None, said: Said, key: str, reply: str) -> None:
        notes = [*said.notes, *self.received.notes]
        data = {"ncco": without_tokens(said.document), "raw": dict(self.asked.raw), "notes": notes}
        told = TimelineEntry(
            call=call,
            leg=leg if leg and leg.call_id == call.pk else None,
            at=self.at,
            kind=said.kind,
            name="answer",
            text=with_notes(said.text, notes),
            data=data,
            key=key,
            reply=reply,
        )
        insert(told)

    def say_safe(self, reason: str) -> str:
        """Return the safe NCCO as JSON text, and keep that it was said, and why. Never raises."""
        if self.safe == settings.SAFE_NCCO:
            # The database was not even asked for the number's own.
            self.safe = SAFE.of(self.asked.digits)
        try:
            journalled.keep_answer(self, reason)
        except OSError:
            log.exception("call %s leaves no trace but this: %.500s", self.asked.uuid, self.asked.raw)
        return json.dumps(self.safe)

    def keep(self, reason: str, key: str) -> None:
        """Do that in the database; once, however often it is begun."""
        with transaction.atomic():
            self.received.admit()
            joining = self._joining()
            if joining is None:
                keep_stray("answer", self.asked.raw, key, self.at)
                return
            call, _ = self._opened(joining, self._entrance())
            if call.timeline.filter(key=key).exists():
                return
            # A database that hung may commit, once it goes on, an answer that nobody waited for any more:
            # that one was never said, and nobody is to be called for it.
            unsaid, _ = call.timeline.filter(key=self.key, at=self.at).delete()
            if unsaid:
                forget_dialling(call)
            call.outcome = NOT_SERVED
            call.save(update_fields=["outcome"])
            data: dict[str, Any] = {"ncco": self.safe, "raw": dict(self.asked.raw)}
            text = f"The safe NCCO was served: {reason}"
            call.timeline.create(kind=Kind.PROBLEM, text=text, name="answer", data=data, at=self.at, key=key)
