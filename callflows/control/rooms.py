"""Knows rooms: who is called into the room of a running call, and how its caller goes on from there."""

from __future__ import annotations

import re
import secrets
from typing import Any

from django.db import transaction
from django.utils import timezone

from callflows.control.accounts import client_of, public_url
from callflows.control.calls import caller_of, run
from callflows.control.outgoing import called, heard
from callflows.models import AudioPrompt, Call, Leg, Line, TimelineEntry
from callflows.models.clock import db_now
from callflows.models.jobs import Hopeless, TryAgain, job
from callflows.ncco.flow import Place, choose, follow
from callflows.ncco.problems import InvalidNcco
from callflows.sockets.registry import APPS, joinable
from callflows.vonage import calls as rest
from callflows.vonage.account import VonageError
from callflows.vonage.client import NoAnswer
from callflows.webhooks.addresses import StepRef, socket_url
from callflows.webhooks.branches import go_on, place_of
from callflows.webhooks.documents import dial

Kind = TimelineEntry.Kind

CONTENT_TYPE = "audio/l16;rate=16000"
# How long a socket that joins may take to open.
JOIN_SECONDS = 120
GONE = 404
# What trying again cannot mend.
REFUSED = (400, 401, 402, 403)


# Joining: an assistant, or a silent listener.


def join(call: Call, app: str, *, listen: bool = False, by: str = "", prompt: AudioPrompt | None = None) -> Line:
    """Call a socket app of ours into the room of a running call; a listener is heard by nobody.

    Raises VonageError.
    """
    text = f"Join with {app}{' as a listener' if listen else ''}{f' by {by}' if by else ''}"
    try:
        line, leg = _join(call, app, listen, prompt)
    except VonageError as error:
        call.note(Kind.PROBLEM, f"{text} failed: {error}", name="join")
        raise
    call.note(Kind.COMMAND, text, name="join", line=line, leg=leg)
    return line


def _join(call: Call, app: str, listen: bool, prompt: AudioPrompt | None) -> tuple[Line, Leg]:
    if app not in joinable():
        raise VonageError(f"expected one of the apps {', '.join(joinable())}, got {app!r}")
    if not call.live:
        raise VonageError("the call has ended")
    if not in_room(call):
        raise VonageError(
            "the call is in no room: calls of flows that “may be joined” are in one, as soon as they reach a connect"
        )
    base, client = public_url(), client_of(call)
    line = Line.objects.create(
        call=call,
        app=app,
        settings=_settings(app, listen, prompt),
        expires=db_now(JOIN_SECONDS),
    )
    room = {"action": "conversation", "name": call.room_name, **({"canSpeak": []} if listen else {})}
    uri = socket_url(base, line.path)
    body = {
        "to": [{"type": "websocket", "uri": uri, "content-type": CONTENT_TYPE}],
        **_sender(_own_number(call)),
        "ncco": [room],
        "event_url": [f"{base}/webhooks/events/{StepRef(call.pk, 0, '', 1)}"],
        "event_method": "POST",
    }
    try:
        told = rest.create(client, body)
    except VonageError as error:
        if not error.maybe:
            line.delete()
        raise
    leg = heard(call, told, uri)
    Line.objects.filter(pk=line.pk, leg=None).update(leg=leg)
    return line, leg


def _settings(app: str, listen: bool, prompt: AudioPrompt | None) -> dict[str, Any]:
    """Return what the app is told. A recording of a meeting ends with the meeting, and by no key of anybody's."""
    if app == "record":
        return {"beep": not listen, "end_key": "", "max_seconds": 7200}
    if not APPS[app].required:
        return {}
    named = AudioPrompt.objects.named(prompt.pk) if prompt else {}
    if named.get("version") is None:
        raise VonageError(f"{app} needs a prompt that has a sound: choose one")
    return {"prompt": named}


def in_room(call: Call) -> bool:
    """Whether the newest document that the caller was served leads to the room of the call."""
    newest = call.timeline.filter(data__has_key="ncco").order_by("-at", "-pk").first()
    document = newest.data["ncco"] if newest else []
    return any(each.get("name") == call.room_name for each in document if each.get("action") == "conversation")


# The endpoint of a connect, called into the room.


@job
def dial_in(call: int, version: int, step: str, attempt: int, once: str = "") -> None:
    """Call the endpoint of a joinable flow's connect into the room, where its caller waits by now.

    ``once`` names this dialling: done again, because a worker died with it, nobody is called twice.
    """
    found, here = _there(call), place_of(version, step, attempt)
    if found is None or here is None:
        return
    key = f"dial-{once or secrets.token_hex(8)}"
    others = {"legs": found.legs.count()}
    mark, first = found.timeline.get_or_create(
        key=key, defaults={"kind": Kind.COMMAND, "name": "dial", "text": f"Step {step}: dialling", "data": others}
    )
    if first:
        _dial(found, here)
    elif found.legs.count() <= mark.data.get("legs", 0):
        found.note(Kind.PROBLEM, f"Step {step}: the worker that dialled died, and Vonage tells of no leg", name="dial")
        _go_on_as_failed(found, here)


def _dial(call: Call, here: Place) -> None:
    try:
        action = _action(call, here)
        told = rest.create(client_of(call), _body(call, here, action))
        heard(call, told, called(action["endpoint"][0]))
    except VonageError as error:
        call.note(Kind.PROBLEM, f"Step {here.step.name} could not be dialled: {error}", name="dial")
        if not error.maybe:
            _go_on_as_failed(call, here)


def _go_on_as_failed(call: Call, here: Place) -> None:
    go_on(call, here, choose(here.version.flow, here.step.name, ("failed",), here.attempt))


def _action(call: Call, here: Place) -> dict[str, Any]:
    """Return the connect as it would stand in a document of this call, its socket expected."""
    try:
        with transaction.atomic():
            served = dial(call, caller_of(call).room, here, public_url(), timezone.now())
    except InvalidNcco as error:
        raise VonageError(f"it cannot be called: {error}") from None
    for note in served.notes:
        call.note(Kind.PROBLEM, note, name="dial")
    if not served.document:
        raise VonageError("nothing is left of it with this call's values")
    return served.document[0]


def _body(call: Call, here: Place, action: dict[str, Any]) -> dict[str, Any]:
    """Return a connect action as the request that does the same from outside, into the room.

    The room ends with whoever was dialled when nothing comes after; else it stays, for the caller to be fetched from.
    """
    endpoint = {name: value for name, value in action["endpoint"][0].items() if name != "onAnswer"}
    if "standardHeaders" in endpoint:
        endpoint["standard_headers"] = endpoint.pop("standardHeaders")
    ends = follow(here.version, here.step.then, call.version_of, here.step) is None
    body = {
        "to": [endpoint],
        **_sender("" if action.get("randomFromNumber") else str(action.get("from") or _own_number(call))),
        "ncco": [{"action": "conversation", "name": call.room_name, "endOnExit": ends}],
        "event_url": action["eventUrl"],
        "event_method": action.get("eventMethod", "POST").upper(),
        "ringing_timer": _whole(action.get("timeout"), 60, 120),
        "length_timer": _whole(action.get("limit"), 7200, 86400),
    }
    if found := action.get("advancedMachineDetection") or action.get("advanced_machine_detection"):
        body["advanced_machine_detection"] = found
    elif found := action.get("machineDetection"):
        body["machine_detection"] = found
    return body


def _whole(value: Any, usual: int, most: int) -> int:
    return min(max(int(value), 1), most) if str(value or "").isdigit() else usual


def _sender(number: str) -> dict[str, Any]:
    """Return who calls: a number or a SIP address; anything else Vonage would refuse, so it takes a number of ours."""
    known = re.fullmatch(r"[1-9]\d{6,14}|sips?:\S{1,50}", number)
    return {"from": {"type": "phone", "number": number}} if known else {"random_from_number": True}


def _own_number(call: Call) -> str:
    return call.number.digits if call.number else ""


# How the caller goes on.


@job
def move_on(call: int, version: int | None = None, step: str = "", attempt: int = 1) -> None:
    """Fetch the caller out of the room: into a step, or, when none is named, hang up.

    One who left it already, because an operator transferred them, stays where they are.
    """
    found = _there(call)
    here = place_of(version, step, attempt) if version is not None else None
    if found is None or not in_room(found):
        return
    try:
        if here is None:
            rest.hang_up(client_of(found), caller_of(found).uuid or "")
            found.note(Kind.COMMAND, "Nothing comes after: hang up", name="hang_up")
        else:
            data = run(found, here)
            found.note(Kind.COMMAND, f"Goes on with step {step}", name="move_on", data=data)
    except VonageError as error:
        _judge(found, error)


def _judge(call: Call, error: VonageError) -> None:
    """A leg that has gone needs nothing more. What Vonage may do later is tried again, anything else is told."""
    if error.status == GONE:
        return
    text = f"The caller could not be fetched out of the room: {error}"
    call.note(Kind.PROBLEM, text, name="move_on")
    if error.status in REFUSED or not (error.status or isinstance(error, NoAnswer)):
        raise Hopeless(text) from error
    raise TryAgain(text) from error


def _there(call: int) -> Call | None:
    """Return the call, unless it has ended."""
    found = Call.objects.select_related("application", "number").filter(pk=call).first()
    return found if found and found.live else None
