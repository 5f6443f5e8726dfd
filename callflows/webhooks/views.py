"""Knows the webhooks that Vonage calls: answer, events and fallback."""

from __future__ import annotations

import json
import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from callflows.models import Refusal
from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import BadPayload
from callflows.payloads.events import CallEvent
from callflows.webhooks.addresses import StepRef, base_url
from callflows.webhooks.answering import Answer
from callflows.webhooks.happening import Happening
from callflows.webhooks.reading import Refused, read
from callflows.webhooks.turn import ANSWERS, EVENTS, in_time

log = logging.getLogger(__name__)

# Vonage waits 10 s for an event by default, and may be set to less; then it asks again, and finds the stored reply.
EVENT_SECONDS = 4.0


@csrf_exempt
async def answer(request: HttpRequest) -> HttpResponse:
    """Answer with the NCCO of the number's flow; whatever goes wrong, with the safe one."""
    try:
        raw = read(request)
    except Refused as refused:
        return await _refuse(refused)
    return await _answered(Answer(AnswerRequest.parse(raw), base_url(request)))


@csrf_exempt
async def fallback(request: HttpRequest) -> HttpResponse:
    """Answer with the number's safe NCCO, and tell on the timeline what failed."""
    try:
        raw = read(request)
    except Refused as refused:
        return await _refuse(refused)
    return await _answered(Answer(AnswerRequest.parse(raw), base_url(request), failure=Failure.parse(raw)))


@csrf_exempt
async def events(request: HttpRequest, ref: str = "") -> HttpResponse:
    """Record an event, and answer it with an NCCO where a branch takes it."""
    try:
        event = _event(request)
    except Refused as refused:
        return await _refuse(refused)
    happening = Happening(event, StepRef.read(ref) if ref else None, base_url(request))
    reply = await in_time(EVENTS, happening, EVENT_SECONDS)
    if reply is None:
        # 503 is one of the few answers that make Vonage ask again.
        return HttpResponse("the database is busy: try again\n", status=503, content_type="text/plain")
    return HttpResponse(reply, content_type="application/json") if reply else HttpResponse(status=204)


def _event(request: HttpRequest) -> CallEvent:
    try:
        return CallEvent.parse(read(request))
    except BadPayload as error:
        raise Refused(400, str(error), "body") from None


async def _answered(answer: Answer) -> HttpResponse:
    reply = await in_time(ANSWERS, answer, settings.ANSWER_SECONDS)
    if reply is None:
        log.error("call %s was served the safe NCCO: no answer within %s s", answer.asked.uuid, settings.ANSWER_SECONDS)
    return HttpResponse(reply or json.dumps(answer.safe), content_type="application/json")


async def _refuse(refused: Refused) -> HttpResponse:
    log.warning("a webhook was refused with %s: %s", refused.status, refused)
    await in_time(EVENTS, lambda turn: Refusal.objects.count_up(refused.counted), 1.0)
    return refused.response()
