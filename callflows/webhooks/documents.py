"""Knows how a call is served a document: the walk through its flow, its values, our addresses, its line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from callflows.models import Call, Line
from callflows.models.prompts import sound_path
from callflows.ncco.document import errors
from callflows.ncco.duration import longest
from callflows.ncco.flow import Place, Version, retried, walk
from callflows.ncco.problems import InvalidNcco
from callflows.ncco.served import APP, PROMPT, Context, build
from callflows.webhooks.addresses import event_url, socket_url

Document = list[dict[str, Any]]


def entry(version: Version) -> Place | None:
    """Return where callers enter a version; None when it has no steps."""
    return Place(version, version.flow.steps[0]) if version.flow.steps else None


def serve(call: Call, room: str, start: Place, base: str, at: datetime, origin: Place | None = None) -> Document:
    """Return the NCCO of a call from ``start`` on, and expect the socket that it names, if any.

    ``origin`` is the step whose outcome led here: coming back to it counts as another attempt. Raises InvalidNcco.
    """
    places = [retried(origin, place) if origin else place for place in walk(start, call.version_of)]
    socket = places[-1] if places[-1].step.options.get(APP) else None
    context = Context(
        values=call.values(room),
        event_url=lambda place: event_url(base, call.pk, place),
        socket_uri=lambda place: socket_url(base, line.path),
        prompt_url=lambda version: base + sound_path(version, at),
    )
    document = build(places[:-1] if socket else places, context)
    if socket:
        line = Line.objects.expect(call, socket, at, longest(document, _stream_seconds(places, context)))
        document += build([socket], context)
    if wrong := errors(document):
        # With the call's values in it, a text may have become too long; Vonage would refuse the whole document.
        raise InvalidNcco(wrong)
    return document


def _stream_seconds(places: list[Place], context: Context) -> dict[str, float]:
    prompts = [place.step.options[PROMPT] for place in places if PROMPT in place.step.options]
    return {context.prompt_url(prompt["version"]): float(prompt["seconds"]) for prompt in prompts}
