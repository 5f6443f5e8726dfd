"""Knows the lives of calls: in, out, moved by REST, and what REST plays and presses on a leg."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callflows.simulator.account import Application, Hook
from callflows.simulator.call import Call
from callflows.simulator.dialling import Detection, address, detect, press_keys, ring
from callflows.simulator.legs import Leg
from callflows.simulator.mixing import Clip, Player
from callflows.simulator.options import number
from callflows.simulator.scripts import Wait
from callflows.simulator.sound import speaking_seconds
from callflows.simulator.speaking import fetch_clip

if TYPE_CHECKING:
    from callflows.simulator.platform import Platform

Body = Mapping[str, Any]

_RINGING_SECONDS, _LENGTH_SECONDS = 60, 7200
_ANSWER_SECONDS, _EVENT_SECONDS = 5.0, 10.0
MOST_REFUSALS = 1000
# How long a key is that REST presses.
REST_KEY_SECONDS = 0.3


def more_of(kind: str, headers: Mapping[str, str], custom_data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what an answer webhook carries besides: the headers of a SIP call but for Vonage's own, custom data."""
    more: dict[str, Any] = {}
    if kind == "sip":
        shown = {name: value for name, value in headers.items() if not name.lower().startswith("x-nexmo")}
        more = {f"SipHeader_{name}": value for name, value in shown.items()}
    return {**more, "custom_data": dict(custom_data)} if custom_data else more


async def inbound(call: Call, more: Body) -> None:
    """Somebody calls in: it rings until the document is there."""
    call.started(call.leg, ringing=True)
    hook = call.application.hook("answer_url")
    document = await call.ask(hook, more) if hook else None
    if document is None:
        return call.hang_up("platform")
    call.answer()
    await call.run(document)


def call_out(platform: Platform, application: Application, body: Body) -> Call:
    """Make the call of a POST /v1/calls, and its leg."""
    to = body["to"][0]
    from_ = str((body.get("from") or {}).get("number", "")) or platform.account.number_of(application)
    kind, headers = to["type"], to.get("headers") or {}
    leg = Leg(
        platform.new_id(),
        f"CON-{platform.new_id()}",
        kind,
        from_,
        address(to),
        "outbound",
        platform.clock,
        application.id,
        headers,
        to,
    )
    hook = None
    if body.get("event_url"):
        hook = Hook(body["event_url"][0], body.get("event_method", "POST"), 1.0, _EVENT_SECONDS)
    call = Call(platform, leg, application, hook)
    platform.add(leg, call)
    return call


async def outbound(call: Call, body: Body) -> None:
    """Call somebody; who answers hears the document that came with the request, or that of an address."""
    leg = call.leg
    failure = await ring(call, leg, number(body.get("ringing_timer"), _RINGING_SECONDS))
    if failure is not None:
        call.post(failure, leg)
        return call.hang_up("user")
    call.answer()
    length = number(body.get("length_timer"), _LENGTH_SECONDS)
    leg.scripts.append(call.platform.scripts.start(_limit(leg, call.now + length), call.group))
    plain, advanced = body.get("machine_detection"), body.get("advanced_machine_detection")
    detection = Detection.of(plain, advanced, call.knobs.least_beep_timeout)
    if detection and detection.waits:
        await detect(call, leg, detection)
    elif detection:
        leg.scripts.append(call.platform.scripts.start(detect(call, leg, detection), call.group))
    if keys := leg.endpoint.get("dtmfAnswer"):
        await press_keys(leg, str(keys))
    if leg.ended is None:
        await call.run(await _document(call, body))


async def _document(call: Call, body: Body) -> Any:
    if "ncco" in body:
        return call.checked(body["ncco"])
    return await call.ask(Hook(body["answer_url"][0], body.get("answer_method", "GET"), 1.0, _ANSWER_SECONDS))


async def moved(call: Call, ncco: list[Any] | None, url: str) -> None:
    """Run the document of a REST transfer; an address is asked by GET, with the usual parameters."""
    document = call.checked(ncco) if ncco is not None else await call.ask(Hook(url, "GET", 1.0, _ANSWER_SECONDS))
    await call.run(document)


def release(call: Call) -> None:
    """Let the connected legs stay where they are when their caller moves on: each ends by itself, some day."""
    for leg in call.children.values():
        leg.scripts.append(call.platform.scripts.start(_limit(leg, call.now + _LENGTH_SECONDS), call.group))
    call.children.clear()


def forget(platform: Platform, since: datetime) -> None:
    """Forget the calls, files and unnamed rooms that were over before ``since``."""
    for uuid, leg in tuple(platform.legs.items()):
        if leg.ended is not None and leg.ended < since:
            del platform.legs[uuid]
    known = {leg.conversation for leg in platform.legs.values()}
    for uuid, room in tuple(platform.conversations.items()):
        if not (room.name or room.members or uuid in known):
            del platform.conversations[uuid]
    for id, file in tuple(platform.recordings.items()):
        if file.made < since:
            del platform.recordings[id]
    platform.calls = [call for call in platform.calls if call.leg.uuid in platform.legs or not call.over]
    platform.pending = [script for script in platform.pending if not script.over]
    # Each call has its own; these are for tests and scenarios, which are shorter.
    del platform.refusals[:-MOST_REFUSALS]


async def _limit(leg: Leg, moment: float) -> None:
    await Wait(moment)
    leg.call.gone(leg, "platform")


async def rest_stream(leg: Leg, options: Body) -> None:
    """Play a file to one leg."""
    clip = await fetch_clip(leg.call, options["stream_url"][0], "stream", narrow=True)
    if clip is not None:
        _play(leg, "rest stream", clip, options)


def rest_talk(leg: Leg, options: Body) -> None:
    """Speak to one leg."""
    leg.call.note("talk", str(options["text"]), leg)
    _play(leg, "rest talk", Clip.silence(speaking_seconds(str(options["text"]))), options)


def stop(leg: Leg, name: str) -> None:
    """End what REST plays to a leg."""
    for player in leg.own:
        if player.name == name:
            player.stop()


def _play(leg: Leg, name: str, clip: Clip, options: Body) -> None:
    if leg.ended is None and leg.room is not None:
        player = Player(name, clip, int(number(options.get("loop"), 1)), number(options.get("level"), 0.0))
        leg.own.append(player)
        leg.room.wake()
