"""Knows how the steps of a flow become the NCCO that one call is served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from callflows.ncco.flow import Place
from callflows.ncco.template import fill

# Options of ours, that Vonage does not know.
PROMPT = "prompt"
APP = "app"
SETTINGS = "settings"

# Which actions report to a webhook of their own.
_REPORTING = ("input", "record", "connect")


@dataclass(frozen=True, slots=True)
class Context:
    """What a document needs to know of its call: the values of the variables, and our addresses.

    ``event_url`` names step and attempt in a signed form, ``socket_uri`` makes the place's audio socket, and
    ``prompt_url`` takes the id of a prompt's version.
    """

    values: Mapping[str, str]
    event_url: Callable[[Place], str]
    socket_uri: Callable[[Place], str]
    prompt_url: Callable[[int], str]


def build(places: Iterable[Place], context: Context) -> list[dict[str, Any]]:
    """Return the NCCO of ``places`` with the call's values and our addresses in it."""
    return [fill(action(place, context), context.values) for place in places]


def action(place: Place, context: Context) -> dict[str, Any]:
    """Return one place as an action of an NCCO, its variables not filled yet."""
    step = place.step
    options = dict(step.options)
    if step.action == "connect":
        options = _connect(place, options, context)
    elif step.action == "stream" and PROMPT in options:
        options["streamUrl"] = [context.prompt_url(options.pop(PROMPT)["version"])]
    elif step.action == "input":
        options = {"type": ["dtmf"], **options}
    if step.action in _REPORTING:
        options.setdefault("eventUrl", [context.event_url(place)])
    return {"action": step.action, **options}


def _connect(place: Place, options: dict[str, Any], context: Context) -> dict[str, Any]:
    endpoint: dict[str, Any] = {"type": "websocket", "uri": options.pop("uri", "")}
    if options.pop(APP, None):
        endpoint["uri"] = context.socket_uri(place)
    options.pop(SETTINGS, None)
    endpoint["content-type"] = options.pop("content-type", "audio/l16;rate=16000")
    endpoint |= {name: options.pop(name) for name in ("headers", "authorization") if options.get(name)}
    options.pop("headers", None)
    if not options.get("randomFromNumber"):
        options.setdefault("from", "{{ to }}")
    # Without "synchronous" Vonage does not ask what to do when the socket cannot be opened.
    return {
        **options,
        "eventType": "synchronous",
        "endpoint": [endpoint],
    }
