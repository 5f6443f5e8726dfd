"""Knows how a call is served a document: the walk through its flow, its values, our addresses, its line."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from callflows.models import Call, Job, Line
from callflows.models.prompts import sound_path
from callflows.ncco.document import errors
from callflows.ncco.duration import longest
from callflows.ncco.flow import Place, Version, retried, walk
from callflows.ncco.problems import InvalidNcco, Problem
from callflows.ncco.served import APP, PROMPT, Context, Served, compose, joined
from callflows.ncco.served import dial as dial_document
from callflows.refusing import TALLY
from callflows.webhooks.addresses import event_url, socket_url

Document = list[dict[str, Any]]

# When a joinable flow's endpoint is called though no event told that the caller has entered the room, and the actions
# before it have no bound.
DIAL_SECONDS = 60


def entry(version: Version) -> Place | None:
    """Return where callers enter a version; None when it has no steps."""
    return Place(version, version.flow.steps[0]) if version.flow.steps else None


def serve(
    call: Call,
    room: str,
    start: Place,
    base: str,
    at: datetime,
    origin: Place | None = None,
    more: Mapping[str, str] | None = None,
) -> Served:
    """Return the NCCO of a call from ``start`` on, and expect the socket that it names, or have it called, if any.

    ``origin`` is the step whose outcome led here: coming back to it counts as another attempt. ``more`` are values
    besides the call's own. Raises InvalidNcco.
    """
    if origin is not None:
        forget_dialling(call)
    places = [retried(origin, place) if origin else place for place in walk(start, call.version_of)]
    before, last = places[:-1], places[-1]
    context = _context(call, room, base, at, more or {})
    begun = compose(before, context)
    seconds = longest(begun.document, _stream_seconds(before, context))
    end = compose([last], context if last.in_room else _expecting(context, call, last, base, seconds))
    found = _accepted(joined([begun, end]))
    if last.in_room:
        after = DIAL_SECONDS if seconds is None else seconds
        named: dict[str, Any] = {"version": last.version.id, "step": last.step.name, "attempt": last.attempt}
        # The same step may come again later, and is dialled again then; a job that runs twice must not dial twice.
        Job.objects.enqueue("dial_in", after=after, call=call.pk, once=secrets.token_hex(8), **named)
    return found


def forget_dialling(call: Call) -> None:
    """Take back what a document that runs no more would have begun: an endpoint that is called into the room."""
    Job.objects.filter(kind="dial_in", arguments__call=call.pk, state=Job.State.WAITING, worker="").delete()


def dial(call: Call, room: str, place: Place, base: str, at: datetime) -> Served:
    """Return the one connect action of a place, as the endpoint is called now, and expect its socket, if it has one.

    Raises InvalidNcco.
    """
    context = _expecting(_context(call, room, base, at, {}), call, place, base, 0)
    return _accepted(dial_document(place, context))


def _context(call: Call, room: str, base: str, at: datetime, more: Mapping[str, str]) -> Context:
    return Context(
        values={**call.values(room), **more},
        event_url=lambda place: event_url(base, call.pk, place),
        socket_uri=lambda place: base,
        prompt_url=lambda version: base + sound_path(version, at),
        room=call.room_name,
        # Of a call out ``to`` is the customer: what they are connected to sees our number all the same.
        own_number="{{ from }}" if call.direction == "outbound" else "{{ to }}",
    )


def _expecting(context: Context, call: Call, place: Place, base: str, seconds: float | None) -> Context:
    """Return ``context`` with the address of the line that ``place`` opens after ``seconds``, if it leads to an app."""
    if not (place.step.endpoint == "websocket" and place.step.options.get(APP)):
        return context
    line = Line.objects.expect(call, place, seconds)
    return replace(context, socket_uri=lambda place: socket_url(base, line.path))


def _accepted(served: Served) -> Served:
    """Refuse what Vonage would refuse as a whole, which a value spoilt, and whom a caller may not choose to reach."""
    if wrong := errors(served.document):
        raise InvalidNcco(wrong)
    if served.refused:
        for why in served.refused:
            TALLY.count_in_background("dialled", why)
        raise InvalidNcco([Problem("", "error", why) for why in served.refused])
    return served


def _stream_seconds(places: list[Place], context: Context) -> dict[str, float]:
    prompts = [prompt for place in places if isinstance(prompt := place.step.options.get(PROMPT), dict)]
    return {context.prompt_url(prompt["version"]): float(prompt["seconds"]) for prompt in prompts}
