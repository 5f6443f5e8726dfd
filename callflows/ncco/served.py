"""Knows how the steps of a flow become the NCCO that one call is served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from callflows.ncco.dialling import refused
from callflows.ncco.fit import fitted
from callflows.ncco.flow import Place
from callflows.ncco.template import fill

# Options of ours, that Vonage does not know.
PROMPT = "prompt"
APP = "app"
SETTINGS = "settings"
HEADER_SET = "headerSet"
# Options of an imported NCCO that are called like ours: kept apart, and served as they came.
FOREIGN = "foreign"
OURS = (PROMPT, APP, SETTINGS, HEADER_SET, FOREIGN)

CONTENT_TYPE = "audio/l16;rate=16000"
# Endpoints that see a number; an app user and an extension do not.
_SHOWN_A_NUMBER = ("phone", "sip", "websocket")


@dataclass(frozen=True, slots=True)
class Context:
    """What a document needs to know of its call: the values of the variables, and our addresses.

    ``event_url`` names step and attempt in a signed form, ``socket_uri`` makes the place's audio socket, and
    ``prompt_url`` takes the id of a prompt's version. ``room`` is the conversation in which a joinable flow lets the
    caller wait; ``own_number`` is the variable that holds our side's number.
    """

    values: Mapping[str, str]
    event_url: Callable[[Place], str]
    socket_uri: Callable[[Place], str]
    prompt_url: Callable[[int], str]
    room: str = ""
    own_number: str = "{{ to }}"


@dataclass(frozen=True, slots=True)
class Served:
    """A document as a call gets it; ``notes`` are sentences about what its values made too long, for the timeline.

    ``refused`` says which of its endpoints a caller may not choose: then it must not be served.
    """

    document: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def build(places: Iterable[Place], context: Context) -> list[dict[str, Any]]:
    """Return the NCCO of ``places`` with the call's values and our addresses in it."""
    return compose(places, context).document


def compose(places: Iterable[Place], context: Context) -> Served:
    """Return the NCCO of ``places`` and what had to be cut for it."""
    return joined(_fitted(place, action(place, context), context) for place in places)


def dial(place: Place, context: Context) -> Served:
    """Return the connect of a place as its own document, also where the flow is joinable and we call it ourselves."""
    return _fitted(place, dialled(place, context), context)


def joined(parts: Iterable[Served]) -> Served:
    """Return documents as one."""
    each = list(parts)
    return Served(
        [action for part in each for action in part.document],
        tuple(note for part in each for note in part.notes),
        tuple(why for part in each for why in part.refused),
    )


def _fitted(place: Place, template: dict[str, Any], context: Context) -> Served:
    filled = fill(template, context.values)
    found, said = fitted(template, filled)
    notes = tuple(f"Step {place.step.name}: {each}" for each in said)
    why = _refused(place, template, filled)
    return Served([found] if found else [], notes, (f"step {place.step.name}: {why}",) if why else ())


def _refused(place: Place, template: dict[str, Any], filled: dict[str, Any]) -> str:
    if place.step.action != "connect" or template["action"] != "connect":
        return ""
    return refused(template["endpoint"][0], filled["endpoint"][0], place.version.flow.prefixes)


def action(place: Place, context: Context) -> dict[str, Any]:
    """Return one place as an action of an NCCO, its variables not filled yet."""
    if place.in_room:
        return {"action": "conversation", "name": context.room, "endOnExit": True}
    return dialled(place, context) if place.step.action == "connect" else _other(place, context)


def _other(place: Place, context: Context) -> dict[str, Any]:
    step = place.step
    options = dict(step.options)
    foreign = options.pop(FOREIGN, {})
    prompt = options.get(PROMPT)
    if step.action == "stream" and isinstance(prompt, dict) and prompt.get("version") is not None:
        options["streamUrl"] = [context.prompt_url(options.pop(PROMPT)["version"])]
    elif step.action == "input":
        options.setdefault("type", ["dtmf"])
    if reports(step.action, options) and not options.get("eventUrl"):
        _sent_to_us(options, context.event_url(place))
        _transcribed(options)
    return {"action": step.action, **foreign, **options}


def _sent_to_us(options: dict[str, Any], url: str) -> None:
    """Write one of our own addresses, which take POST alone: what Vonage does without a method."""
    options["eventUrl"] = [url]
    options.pop("eventMethod", None)


def reports(name: str, options: Mapping[str, Any]) -> bool:
    """Return whether an action has a result of its own, and so an address to which it is sent."""
    return name in ("input", "record", "notify") or (name == "conversation" and options.get("record") in (True, "true"))


def _transcribed(options: dict[str, Any]) -> None:
    """Let the text of a recording come to where the recording is announced."""
    wanted = options.get("transcription")
    if isinstance(wanted, dict) and not wanted.get("eventUrl"):
        options["transcription"] = dict(wanted)
        _sent_to_us(options["transcription"], options["eventUrl"][0])


def dialled(place: Place, context: Context) -> dict[str, Any]:
    """Return a connect with its one endpoint, its variables not filled yet; also that of a joinable flow."""
    options = dict(place.step.options)
    foreign = options.pop(FOREIGN, {})
    app = options.pop(APP, None)
    options.pop(SETTINGS, None)
    endpoint: dict[str, Any] = {"type": "websocket", **(options.pop("endpoint", None) or {})}
    if app and endpoint["type"] == "websocket":
        endpoint["uri"] = context.socket_uri(place)
        endpoint.setdefault("content-type", CONTENT_TYPE)
    if not options.get("eventUrl"):
        _sent_to_us(options, context.event_url(place))
        # Without "synchronous" Vonage does not ask what to do when the endpoint cannot be reached.
        options["eventType"] = "synchronous"
        shown = not options.get("randomFromNumber") and endpoint["type"] in _SHOWN_A_NUMBER
        options |= {"from": options.get("from") or context.own_number} if shown else {}
    return {"action": "connect", **foreign, **options, "endpoint": [endpoint]}
