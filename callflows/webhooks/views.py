"""Knows the webhooks that Vonage calls: answer, events and fallback."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import BadPayload
from callflows.payloads.events import CallEvent
from callflows.refusing import TALLY, THREADS
from callflows.watch import WATCH
from callflows.webhooks.addresses import StepRef, base_url
from callflows.webhooks.answering import Answer
from callflows.webhooks.crowd import Crowd
from callflows.webhooks.happening import Happening
from callflows.webhooks.journalled import keep_event
from callflows.webhooks.reading import Received, Refused, read
from callflows.webhooks.stray import Stray
from callflows.webhooks.turn import ANSWERS, EVENTS, in_time, written

log = logging.getLogger(__name__)

# Vonage waits 10 s for an event by default, and may be set to less; then it asks again, and finds the stored reply.
EVENT_SECONDS = 4.0
# How long a refusal may wait for being counted; it is counted all the same.
COUNT_SECONDS = 0.5

# How long an event that may be answered waits for a database that is away. Vonage sends it again a
# second later, and then asks the fallback webhook: whoever pressed a key hears something after 3 s.
HOPE_SECONDS = 1.0
# How long the journal's disk is waited for. An answer has left of its 1.5 s what the database and a
# commit do not take; it leaves without.
ANSWER_JOURNAL_SECONDS, EVENT_JOURNAL_SECONDS = 0.1, 2.0
_CROWD = Crowd()

Response = Coroutine[Any, Any, HttpResponse]
Webhook = Callable[[HttpRequest, str], Response]


def refusing(view: Webhook) -> Callable[..., Response]:
    """Turn what a webhook refuses, early or in its transaction, into a response, and count it."""

    @csrf_exempt
    @login_not_required
    async def wrapped(request: HttpRequest, ref: str = "") -> HttpResponse:
        try:
            return await view(request, ref)
        except Refused as refused:
            return await _refuse(refused)

    return wrapped


@refusing
async def answer(request: HttpRequest, ref: str) -> HttpResponse:
    """Answer with the NCCO of the number's flow, or of the call out that ``ref`` names; else with the safe one."""
    named = StepRef.read(ref) if ref else None
    received = read(request, own=named is not None)
    asked = AnswerRequest.parse(received.raw)
    return await _answered(Answer(received=received, asked=asked, base=base_url(request), ref=named))


@refusing
async def fallback(request: HttpRequest, ref: str) -> HttpResponse:
    """Answer with the number's safe NCCO, and tell on the timeline what failed."""
    received = read(request)
    # What failed is read from the address in it, with the token that names the step.
    asked, failure = AnswerRequest.parse(received.raw), Failure.parse(received.whole)
    return await _answered(Answer(received=received, asked=asked, base=base_url(request), failure=failure))


@refusing
async def events(request: HttpRequest, ref: str) -> HttpResponse:
    """Record an event, and answer it with an NCCO where a branch takes it."""
    named = StepRef.read(ref) if ref else None
    received = read(request, own=named is not None)
    event = _event(received)
    work = _work(received, event, named, base_url(request))
    reply = await _recorded(work)
    if reply is None:
        return await _kept(work)
    return HttpResponse(reply, content_type="application/json") if reply else HttpResponse(status=204)


async def _recorded(work: Happening | Stray) -> str | None:
    """Return the reply to an event that is stored; None: not in time. Raises Refused."""
    if WATCH.away and not (_answerable(work) and await WATCH.back_within(HOPE_SECONDS)):
        return None
    try:
        return await in_time(EVENTS, work, EVENT_SECONDS)
    except Refused:
        raise
    except Exception as error:
        # What cannot be stored at all is put aside by the journal, and must not be sent again.
        log.warning("an event is kept in the journal: %s", error)
        return None


async def _kept(work: Happening | Stray) -> HttpResponse:
    """Keep an event for when the database is back. One that may be answered is asked for again."""
    again = _answerable(work)
    kept = await written(lambda: keep_event(work, again), EVENT_JOURNAL_SECONDS)
    if kept and not again:
        return HttpResponse(status=204)
    # 503 is one of the few answers that make Vonage ask again.
    return HttpResponse("the database is busy: try again\n", status=503, content_type="text/plain")


def _answerable(work: Happening | Stray) -> bool:
    return isinstance(work, Happening) and work.may_be_answered


def _event(received: Received) -> CallEvent:
    try:
        return CallEvent.parse(received.raw)
    except BadPayload as error:
        raise Refused(400, str(error), "body") from None


def _work(received: Received, event: CallEvent, ref: StepRef | None, base: str) -> Happening | Stray:
    """Return what records the event: with its call, or, when it names none, by itself if Vonage signed it."""
    if ref is not None or not event.unattached:
        return Happening(received=received, event=event, ref=ref, base=base)
    if received.signed:
        return Stray(received, event)
    raise Refused(400, "event webhook without 'uuid' and 'conversation_uuid'", "body")


async def _answered(answer: Answer) -> HttpResponse:
    """Answer a caller, whatever hangs: with the safe NCCO where the flow's is not there in time."""
    if _CROWD.too_many(settings.ANSWER_SECONDS):
        return await _said_safe(answer, f"{_CROWD.waiting} others were waiting for an answer")
    if why := _away():
        return await _said_safe(answer, why)
    _CROWD.enter()
    try:
        reply = await in_time(ANSWERS, answer, settings.ANSWER_SECONDS)
    finally:
        _CROWD.leave(time.monotonic())
    if reply is None:
        late = f"the database took longer than {settings.ANSWER_SECONDS:g} s"
        return await _said_safe(answer, _away() or late)
    return HttpResponse(reply, content_type="application/json")


def _away() -> str:
    """Return that the database is away, and why; empty while it is there."""
    return f"the database is away: {WATCH.reason}" if WATCH.away else ""


async def _said_safe(answer: Answer, reason: str) -> HttpResponse:
    """Answer with the safe NCCO, and keep in the journal that it was said."""
    log.error("call %s was served the safe NCCO: %s", answer.asked.uuid, reason)
    await written(lambda: answer.say_safe(reason), ANSWER_JOURNAL_SECONDS)
    return HttpResponse(json.dumps(answer.safe), content_type="application/json")


async def _refuse(refused: Refused) -> HttpResponse:
    log.warning("a webhook was refused with %s: %s", refused.status, refused)
    if TALLY.count(refused.counted, str(refused)):
        await in_time(THREADS, lambda turn: TALLY.write(refused.counted), COUNT_SECONDS)
    return refused.response()
