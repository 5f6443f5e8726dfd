"""Knows what each action of an NCCO does to a call: one function each, in one table."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from callflows.audio.format import AudioError, Format
from callflows.audio.framer import frames
from callflows.audio.pcm import to_int16
from callflows.audio.tones import beep
from callflows.simulator import events
from callflows.simulator.delivery import Document
from callflows.simulator.effects import Fetched, NotOpened, Open, Opened
from callflows.simulator.events import Leg
from callflows.simulator.scripts import Wait
from callflows.simulator.socket import Socket
from callflows.simulator.sound import PHONE, decode, silence, speaking_seconds
from callflows.wire.platform import Platform

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Action = Mapping[str, Any]

# Bytes a second of a recording: MP3 of 32 kbit/s, WAV of 16 bit at 16 kHz; Ogg about as MP3.
_RECORDING_BYTES = {"mp3": 4000, "wav": 32000, "ogg": 4000}
# A caller quieter than this is silent.
_SILENCE_DBFS = -45.0
_FETCH_SECONDS = 5.0
_URI_SHOWN = 44


async def talk(call: Call, action: Action) -> None:
    """Speak a text: without a voice, silence of its speaking time."""
    text = str(action["text"])
    call.note("talk", text, "phone")
    await _sound(call, action, silence(speaking_seconds(text), PHONE), PHONE, "talk")


async def stream(call: Call, action: Action) -> None:
    """Play a sound file; one that cannot be fetched or read is skipped."""
    url = action["streamUrl"][0]
    call.note("stream", url, "phone")
    result = await call.courier.fetch("GET", url, {}, None, _FETCH_SECONDS)
    if not isinstance(result, Fetched) or result.status != 200:
        why = f"HTTP {result.status}" if isinstance(result, Fetched) else result.text
        return call.refuse(f"stream: cannot fetch {url}: {why}", "phone")
    try:
        pcm, fmt = decode(result.body)
    except AudioError as error:
        return call.refuse(f"stream: {url}: {error}", "phone")
    await _sound(call, action, pcm, fmt, "stream")


async def _sound(call: Call, action: Action, pcm: bytes, fmt: Format, source: str) -> None:
    # bargeIn stays in force until an input, even if a following talk says false.
    call.barge = call.barge or _flag(action.get("bargeIn"))
    loop = _number(action.get("loop"), 1)
    rounds: Iterator[Any] = itertools.repeat(None, int(loop)) if loop else itertools.repeat(None)
    await call.play((bytes(frame) for _ in rounds for frame in frames(pcm, fmt)), fmt, source)


async def input_(call: Call, action: Action) -> Document | None:
    """Collect keys, and ask the application what comes next."""
    call.listen()
    if action.get("mode") == "asynchronous":
        call.live_input = action
        return None
    call.collecting, call.barge = True, False
    call.note("input", "listens for keys", "phone")
    try:
        digits, timed_out = await _digits(call, action)
    finally:
        call.collecting = False
        call.keys.clear()
    result = events.input_result(call.leg, call.clock, digits, timed_out)
    return await call.consult(result, "phone", action)


async def _digits(call: Call, action: Action) -> tuple[str, bool]:
    """Return the digits, and whether the time ended them."""
    options = action.get("dtmf") or {}
    seconds, most = _number(options.get("timeOut"), 3), _number(options.get("maxDigits"), 4)
    digits = ""
    while len(digits) < most:
        await Wait(call.now + seconds, lambda: bool(call.keys))
        if not call.keys:
            return digits, True
        key = call.keys.popleft()
        if key == "#" and _flag(options.get("submitOnHash")):
            break
        digits += key
    return digits, False


async def record(call: Call, action: Action) -> None:
    """Record: in the background, unless silence or a key ends it; the file itself is not kept."""
    if _flag(action.get("beepStart")):
        await call.play(frames(to_int16(beep(PHONE.rate)).tobytes(), PHONE), PHONE, "beep")
    call.listen()
    call.note("record", "starts", "phone")
    finish = _recording(call, action)
    if "endOnSilence" in action or "endOnKey" in action:
        call.collecting = True
        await _record_end(call, action)
        call.collecting = False
        finish()
    elif "timeOut" in action:
        call.scripts.start(_later(float(action["timeOut"]) + call.now, finish))


def _recording(call: Call, action: Action) -> Callable[[], None]:
    """Begin a recording and return what ends it: its event is sent once, at the call's end at the latest."""
    start, uuid = call.clock, call.new_id()

    def finish() -> None:
        if finish not in call.recordings:
            return
        call.recordings.remove(finish)
        seconds = (call.clock - start).total_seconds()
        size = int(seconds * _RECORDING_BYTES[action.get("format", "mp3")])
        url = f"{call.site.region}/v1/files/{call.new_id()}"
        call.post(events.recorded(call.leg, start, call.clock, size, url, uuid), "phone", action)

    call.recordings.append(finish)
    return finish


async def _later(moment: float, finish: Callable[[], None]) -> None:
    await Wait(moment)
    finish()


async def _record_end(call: Call, action: Action) -> None:
    """Wait for the end of a blocking recording: a key, silence after a while, or its time-out."""
    step, quiet, end = 0.1, 0.0, call.now + _number(action.get("timeOut"), 7200)
    wanted = _number(action.get("endOnSilence"), float("inf"))
    while call.now < end and quiet < wanted:
        start = call.now
        await Wait(min(end, start + step), lambda: bool(call.keys))
        while call.keys:
            if call.keys.popleft() == action.get("endOnKey"):
                return
        heard = call.caller.voice.level(start - (call.listening or 0), call.now - (call.listening or 0))
        quiet = 0.0 if heard > _SILENCE_DBFS else quiet + call.now - start


async def connect(call: Call, action: Action) -> Document | None:
    """Connect to a WebSocket until somebody ends it; then its replacement, or the next action."""
    endpoint = action["endpoint"][0]
    if endpoint["type"] != "websocket":
        call.refuse(f"connect: the fake caller reaches no endpoint of type {endpoint['type']!r}", "phone")
        return None
    socket = _socket(call, action, endpoint)
    leg, call.sockets[socket.leg.uuid] = socket.leg, socket
    for status in ("started", "ringing"):
        call.post(events.progress(leg, status, call.clock), "websocket", action)
    call.note("socket", f"opens {_shown(endpoint['uri'])}", "websocket")
    seconds = _number(action.get("timeout"), 60)
    call.emit(Open(leg.uuid, endpoint["uri"], _authorization(endpoint), seconds))
    await Wait(call.now + seconds, lambda: bool(socket.inbox))
    first = socket.inbox.popleft() if socket.inbox else NotOpened(leg.uuid, f"no handshake in {seconds:g} s", True)
    if isinstance(first, Opened):
        return await _connected(call, action, socket)
    return await _failed(call, action, socket, first if isinstance(first, NotOpened) else NotOpened(leg.uuid, "closed"))


def _socket(call: Call, action: Action, endpoint: Action) -> Socket:
    headers = endpoint.get("headers") or {}
    shown = str(action.get("from", call.leg.to))
    leg = Leg(call.new_id(), call.leg.conversation, "websocket", shown, endpoint["uri"], "outbound", headers)
    fmt = Format.parse(endpoint.get("content-type", "audio/l16;rate=16000"))
    return Socket(leg, Platform(fmt, headers, _voice(call, fmt), call.knobs), action)


def _shown(uri: str) -> str:
    """An address for the terminal: the end of a long one is a token."""
    return uri if len(uri) <= _URI_SHOWN else f"{uri[:_URI_SHOWN]}..."


def _voice(call: Call, fmt: Format) -> Iterator[bytes]:
    """What the socket hears: begins with its first frame, where the caller then is in what he says."""
    yield from call.caller.voice.frames(fmt, call.now - (call.listening or 0.0))


def _authorization(endpoint: Action) -> str:
    """The header of a custom authorization; Vonage's own token needs the account's secret, which a caller has not."""
    options = endpoint.get("authorization") or {}
    return str(options.get("value", "")) if options.get("type") == "custom" else ""


async def _connected(call: Call, action: Action, socket: Socket) -> Document | None:
    call.post(events.answered(socket.leg, call.clock), "websocket", action)
    call.listen()
    ending = await socket.run(call, _number(action.get("limit"), 7200))
    if ending != "closed":
        call.leave(socket, "platform")
        return None
    # The application's reply counts also without eventType synchronous.
    body = events.progress(socket.leg, "disconnected", call.clock)
    document = await call.consult(body, "websocket", action)
    call.leave(socket, "user")
    return document


async def _failed(call: Call, action: Action, socket: Socket, why: NotOpened) -> Document | None:
    call.note("socket", f"not opened: {why.text}", "websocket")
    status, detail, code = ("unanswered", "timeout", 480) if why.late else ("failed", "cannot_route", 404)
    body = events.progress(socket.leg, status, call.clock, detail=detail, sip_code=code)
    document = None
    if action.get("eventType") == "synchronous":
        document = await call.consult(body, "websocket", action)
    else:
        call.post(body, "websocket", action)
    if document is None:
        call.refuse(f"socket {socket.leg.to} was not opened ({why.text}), and no document came instead", "websocket")
    call.leave(socket, "platform")
    return document


def _number(value: Any, default: float) -> float:
    """Vonage tolerates quoted numbers."""
    return default if value is None else float(value)


def _flag(value: Any) -> bool:
    return value is True or value == "true"


ACTIONS: dict[str, Callable[[Call, Action], Awaitable[Document | None]]] = {
    "talk": talk,
    "stream": stream,
    "input": input_,
    "record": record,
    "connect": connect,
}
# Actions that listen to the caller: his voice, presses and patience count from the first of them.
LISTENING = frozenset({"input", "record", "connect"})
