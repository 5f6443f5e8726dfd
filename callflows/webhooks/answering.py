"""Knows what a caller is answered, and that there is always an answer: someone is listening."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from callflows.models import Call, FlowVersion, Leg, PhoneNumber, TimelineEntry
from callflows.models.calls import NOT_SERVED
from callflows.ncco.flow import Place
from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import digest
from callflows.webhooks.addresses import StepRef, without_tokens
from callflows.webhooks.documents import Document, entry, serve
from callflows.webhooks.reading import Received, Refused
from callflows.webhooks.turn import TooLate, Turn, again_if_raced, in_background, patiently

log = logging.getLogger(__name__)
Kind = TimelineEntry.Kind


@dataclass
class Answer:
    """One answer webhook being answered. ``safe`` is said when anything goes wrong: the number's own, once known."""

    received: Received
    asked: AnswerRequest
    base: str
    safe: Document = field(default_factory=lambda: list(settings.SAFE_NCCO))
    failure: Failure | None = None
    # The step of a call out that the address names.
    ref: StepRef | None = None

    def __call__(self, turn: Turn) -> str:
        """Return the reply as JSON text. Never raises: errors are logged, told on the timeline, and answered safely."""
        try:
            return again_if_raced(lambda: self._in_transaction(turn))
        except Refused:
            raise
        except TooLate:
            reason = f"the database took longer than {settings.ANSWER_SECONDS:g} s"
        except Exception as error:
            log.exception("the answer webhook of %s failed", self.asked.uuid)
            reason = f"{type(error).__name__}: {error}"
            # Said before it is written down: the caller waits, the timeline can follow.
            if turn.take("work"):
                return _later(self, reason)
        self.write_down(reason)
        return json.dumps(self.safe)

    def _in_transaction(self, turn: Turn) -> str:
        number = PhoneNumber.objects.dialled(self.asked.digits)
        if number and number.safe_ncco:
            self.safe = number.safe_ncco
        if not self.asked.recordable:
            log.error("an answer webhook without a usable uuid cannot be recorded: %s", self.asked.raw)
            return json.dumps(self.safe)
        with transaction.atomic():
            self.received.admit()
            reply = self._reply(number)
            turn.commit()
        return reply

    def _reply(self, number: PhoneNumber | None) -> str:
        key = digest(self.asked.raw)
        leg = Leg.objects.known(self.asked.uuid, self.asked.conversation_uuid)
        if leg is not None and (first := leg.call.timeline.filter(key=key).first()):
            return first.reply
        call = self._call(leg, number)
        document, kind, text = self._document(call, number)
        if kind != Kind.ANSWER:
            Call.objects.filter(pk=call.pk).update(outcome=NOT_SERVED)
        reply = json.dumps(document)
        data = {"ncco": without_tokens(document), "raw": dict(self.asked.raw)}
        call.timeline.create(
            leg=leg, at=timezone.now(), kind=kind, name="answer", text=text, data=data, key=key, reply=reply
        )
        return reply

    def _call(self, leg: Leg | None, number: PhoneNumber | None) -> Call:
        """Open the call, or complete the one that an event opened before; a call out is open already."""
        if self.ref is not None and (own := Call.objects.select_for_update().filter(pk=self.ref.call).first()):
            return self._called(own, leg)
        if leg is None:
            return Call.objects.open_inbound(self.asked, number, timezone.now())
        call = leg.call
        facts = Call.facts(number, self.asked.digits) if call.number_id is None else {}
        for name, value in {**facts, "uuid": call.uuid or self.asked.uuid, "caller": self.asked.caller}.items():
            setattr(call, name, value)
        call.called = self.asked.to
        call.save()
        if leg.uuid is None:
            leg.uuid = self.asked.uuid
            leg.save(update_fields=["uuid"])
        return call

    def _called(self, call: Call, leg: Leg | None) -> Call:
        """Bind the leg that answered to the call out that we placed."""
        if leg is None:
            room, kind = self.asked.conversation_uuid, self.asked.endpoint_type[:20]
            call.legs.create(
                uuid=self.asked.uuid, room=room, kind=kind, caller=call.caller, called=call.called, direction="outbound"
            )
        call.uuid = call.uuid or self.asked.uuid
        call.save(update_fields=["uuid"])
        return call

    def _document(self, call: Call, number: PhoneNumber | None) -> tuple[Document, str, str]:
        if self.failure is not None:
            return self.safe, Kind.FALLBACK, f"{self.failure}{_step(self.failure)}. The safe NCCO was served."
        if self.ref is not None:
            return self._called_document(call, self.ref)
        if number is None:
            return (
                self.safe,
                Kind.PROBLEM,
                f"No phone number {self.asked.digits} is configured: the safe NCCO was served.",
            )
        place = self._entry(call, number)
        if number.flow is None or place is None:
            what = f"flow {number.flow} has no published version" if number.flow else "the number has no flow"
            return self.safe, Kind.PROBLEM, f"Nothing to serve: {what}. The safe NCCO was served."
        served = serve(call, self.asked.conversation_uuid, place, self.base, timezone.now())
        text = ". ".join([f"Served {number.flow.name} from step {place.step.name}", *served.notes])
        return served.document, Kind.ANSWER, text

    def _called_document(self, call: Call, ref: StepRef) -> tuple[Document, str, str]:
        """What a call out is served: never looked up by number, since ``to`` is the customer's."""
        version = FlowVersion.objects.filter(pk=ref.version).first()
        core = version.as_core() if version and ref.call == call.pk else None
        step = core.flow.step(ref.step) if core else None
        if core is None or step is None:
            return self.safe, Kind.PROBLEM, "Nothing to serve: the call's version is gone. The safe NCCO was served."
        place = Place(core, step, ref.attempt)
        served = serve(call, self.asked.conversation_uuid, place, self.base, timezone.now())
        text = ". ".join([f"Served {call.flow_name} from step {step.name}", *served.notes])
        return served.document, Kind.ANSWER, text

    def _entry(self, call: Call, number: PhoneNumber) -> Place | None:
        """Where the caller enters: the live version, unless the call began before it was published."""
        flow = number.flow
        if flow is None or flow.live is None:
            return None
        version = flow.live.as_core() if flow.live.published <= call.created else call.version_of(flow.pk)
        return entry(version) if version else None

    def write_down(self, reason: str) -> None:
        """Keep what was said instead: the call with the safe NCCO, and why."""
        if not self.asked.recordable:
            return

        def keep() -> None:
            with transaction.atomic():
                leg = Leg.objects.known(self.asked.uuid, self.asked.conversation_uuid)
                call = leg.call if leg else Call.objects.open_inbound(self.asked, None, timezone.now())
                Call.objects.filter(pk=call.pk).update(outcome=NOT_SERVED)
                data: dict[str, Any] = {"ncco": self.safe, "raw": dict(self.asked.raw)}
                call.note(Kind.PROBLEM, f"The safe NCCO was served: {reason}", name="answer", data=data)

        patiently(keep)


def _step(failure: Failure) -> str:
    ref = StepRef.in_url(failure.url)
    return f" (step {ref.step})" if ref else ""


def _later(answer: Answer, reason: str) -> str:
    in_background(lambda: answer.write_down(reason))
    return json.dumps(answer.safe)
