"""Knows what the journal keeps of a webhook, and how that is stored later, as if it came only now.

No token that lets anybody in stands in a record: of an address it has the step that this names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callflows.journal.record import Record
from callflows.keeping import NotNow, keep, stores
from callflows.models import TimelineEntry
from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import digest
from callflows.payloads.events import CallEvent
from callflows.payloads.signature import Token
from callflows.payloads.tokens import without_tokens
from callflows.refusing import TALLY
from callflows.webhooks.addresses import StepRef
from callflows.webhooks.happening import Happening
from callflows.webhooks.reading import Received, Refused
from callflows.webhooks.stray import Stray, keep_stray
from callflows.webhooks.turn import attempt, may_pass

if TYPE_CHECKING:
    from callflows.webhooks.answering import Answer

log = logging.getLogger(__name__)

# An event that was answered 503 comes again a second later; Vonage waits 10 s for us at most.
# Stored before its repeat, it would have no reply, and the repeat would find that.
REPEAT_SECONDS = 15.0


def keep_event(work: Happening | Stray, again: bool) -> None:
    """Keep an event; ``again``: Vonage is asked to send it again. Raises OSError."""
    ref = work.ref if isinstance(work, Happening) else None
    base = work.base if isinstance(work, Happening) else ""
    keep(
        "event",
        {**_told(work.received, ref), "base": base},
        work.at,
        REPEAT_SECONDS if again else 0.0,
    )


def keep_answer(answer: Answer, reason: str) -> None:
    """Keep a call that got the safe NCCO, and why. Raises OSError."""
    failure, failed = answer.failure, answer.failed
    more = {
        "base": answer.base,
        "reason": reason,
        "safe": answer.safe,
        "failure": [failure.reason, without_tokens(failure.url), failure.kind] if failure else None,
        "failed": astuple(failed) if failed else None,
    }
    keep("answer", {**_told(answer.received, answer.ref), **more}, answer.at)


def _told(received: Received, ref: StepRef | None) -> dict[str, Any]:
    token = received.token
    return {
        "raw": received.raw,
        "notes": received.notes,
        "token": [token.jti, token.application_id, token.body] if token else None,
        "ref": astuple(ref) if ref else None,
    }


@stores("event")
def store_event(record: Record) -> None:
    told = record.payload
    received, event = _received(told), CallEvent.parse(told["raw"])
    ref = StepRef(*told["ref"]) if told["ref"] else None
    if ref is None and event.unattached:
        work: Happening | Stray = Stray(received, event, record.at)
    else:
        work = Happening(received, event, ref, told["base"], at=record.at, late=True)
    _Later(event.name, told["raw"], record.at).store(work.store)


@stores("answer")
def store_answer(record: Record) -> None:
    from callflows.webhooks.answering import Answer

    told = record.payload
    failure = Failure(*told["failure"]) if told["failure"] else None
    answer = Answer(
        received=_received(told),
        asked=AnswerRequest.parse(told["raw"]),
        base=told["base"],
        safe=told["safe"],
        failure=failure,
        ref=StepRef(*told["ref"]) if told["ref"] else None,
        failed=StepRef(*told["failed"]) if told["failed"] else None,
        at=record.at,
    )
    # By the moment at which it was asked: asked again, it may get the flow. Two who find out that the
    # database does not answer may both have kept it.
    asked = digest({"key": answer.key, "at": record.at.isoformat()})
    key = f"{TimelineEntry.OURS}{asked[:32]}"
    _Later("answer", told["raw"], record.at).store(lambda: answer.keep(told["reason"], key))


def _received(told: Mapping[str, Any]) -> Received:
    token = None
    if told["token"]:
        jti, application, body = told["token"]
        token = Token(jti=jti, api_key="", application_id=application, body=body)
    return Received(told["raw"], token, tuple(told["notes"]))


@dataclass(frozen=True, slots=True)
class _Later:
    """One webhook's work, long after it was answered; kept by itself when its call cannot take it."""

    name: str
    raw: Mapping[str, Any]
    at: datetime

    def store(self, work: Callable[[], object]) -> None:
        try:
            self._once(work)
        except Refused as refused:
            # Found out only now: it is of an application that is none of ours, or its token came
            # twice.
            log.warning("a webhook of %s would have been refused: %s", self.at, refused)
            TALLY.count_in_background(refused.counted, str(refused))
        except NotNow:
            raise
        except Exception:
            log.exception("what came at %s cannot be stored with its call", self.at)
            self._once(lambda: keep_stray(self.name, self.raw, digest(self.raw), self.at))

    def _once(self, work: Callable[[], object]) -> None:
        try:
            attempt(work)
        except Exception as error:
            if may_pass(error):
                raise NotNow(str(error)) from error
            raise
