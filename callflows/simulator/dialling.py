"""Knows how a leg is called out: who rings and answers there, an audio socket's handshake, and what a machine is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from callflows.audio.format import Format
from callflows.simulator import events
from callflows.simulator.conversation import Member
from callflows.simulator.delivery import Document
from callflows.simulator.effects import NotOpened, Open, Opened
from callflows.simulator.legs import Leg
from callflows.simulator.lines import PartyLine, SocketLine
from callflows.simulator.options import number
from callflows.simulator.scripts import NEVER, Wait
from callflows.wire.platform import Platform as Wire

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Body = dict[str, Any]
Options = Mapping[str, Any]
Mode = Literal["basic", "default", "detect", "detect_beep"]

# By outcome: status, detail, SIP code, and whether it rings before.
_OUTCOMES: dict[str, tuple[str, str, int, bool]] = {
    "busy": ("busy", "", 486, False),
    "declines": ("rejected", "declined", 603, True),
    "invalid number": ("rejected", "invalid_number", 404, False),
    "restricted": ("rejected", "restricted", 403, False),
    "unavailable": ("unanswered", "unavailable", 480, False),
    "carrier timeout": ("unanswered", "timeout", 480, True),
    "no route": ("failed", "cannot_route", 404, False),
    "out of service": ("failed", "number_out_of_service", 404, False),
    "internal error": ("failed", "internal_error", 500, False),
}
_BEEP_SECONDS = 45
# A `p` among keys that are sent, and the length of a key in dtmfAnswer.
_PAUSE_SECONDS = 0.5
ANSWER_KEY_SECONDS = 0.1


def address(endpoint: Options) -> str:
    """Return what a leg to an endpoint shows as ``to``."""
    match endpoint["type"]:
        case "phone":
            return str(endpoint["number"]).lstrip("+")
        case "app":
            return str(endpoint["user"])
        case "vbc":
            return str(endpoint["extension"])
        case "sip" if "uri" not in endpoint:
            return f"sip:{endpoint['user']}@{endpoint['domain']}"
    return str(endpoint["uri"])


def leg_to(call: Call, endpoint: Options, from_: str, conversation: str) -> Leg:
    """Make a leg that is to be called; REST and `connect` both know it at once."""
    platform, kind = call.platform, endpoint["type"]
    headers = endpoint.get("headers") or {}
    return platform.add(
        Leg(
            platform.new_id(),
            conversation,
            kind,
            from_,
            address(endpoint),
            "outbound",
            call.clock,
            call.application.id,
            headers,
            endpoint,
        ),
        call,
    )


async def ring(call: Call, leg: Leg, seconds: float) -> Body | None:
    """Call a leg; return the event of its failure, which is yet to be sent, or None when it is answered."""
    return await (_open(call, leg, seconds) if leg.kind == "websocket" else _ring(call, leg, seconds))


async def _ring(call: Call, leg: Leg, seconds: float) -> Body | None:
    behaviour = leg.behaviour = call.platform.party_at(leg)
    leg.line = PartyLine(leg)
    answers = behaviour.outcome == "answers"
    status, detail, code, rings = _OUTCOMES.get(behaviour.outcome, ("", "", 200, True))
    call.started(leg, ringing=rings)
    patience = NEVER if behaviour.rings is None else behaviour.rings
    await Wait(call.now + min(patience, seconds))
    if patience > seconds and rings:
        leg.sip_code = 480
        return events.progress(leg, "timeout", call.clock)
    if answers:
        return None
    leg.sip_code = code
    if detail == "timeout":
        detail = call.knobs.detail_generation
    more = {"detail": detail} if detail else {}
    return events.progress(leg, status, call.clock, **more, sip_code=code)


async def _open(call: Call, leg: Leg, seconds: float) -> Body | None:
    """Open the socket of a leg."""
    fmt = Format.parse(leg.endpoint.get("content-type", "audio/l16;rate=16000"))
    knobs = call.knobs
    line = SocketLine(leg, lambda voice: Wire(fmt, leg.headers, voice, knobs.socket), knobs.dtx)
    leg.line = line
    call.started(leg, ringing=knobs.ws_ringing)
    call.note("socket", f"opens {_shown(leg.to)}", leg)
    call.emit(Open(leg.uuid, leg.to, _authorization(call, leg.endpoint), seconds))
    await Wait(call.now + seconds, lambda: bool(line.inbox))
    first = line.inbox.popleft() if line.inbox else NotOpened(leg.uuid, f"no handshake in {seconds:g} s", True)
    if isinstance(first, Opened):
        line.start(call.now)
        leg.scripts.append(call.platform.scripts.start(_attend(leg, line), call.group))
        return None
    why = first if isinstance(first, NotOpened) else NotOpened(leg.uuid, "closed")
    line.trouble = why.text
    call.note("socket", f"not opened: {why.text}", leg)
    status, detail, code = ("unanswered", call.knobs.detail_generation, 480) if why.late else _CANNOT_ROUTE
    leg.sip_code = 480
    # The older examples of a socket have no detail either.
    more = {"detail": detail} if call.knobs.payload_generation == "2025" else {}
    return events.progress(leg, status, call.clock, **more, sip_code=code)


_CANNOT_ROUTE = ("failed", "cannot_route", 404)


async def _attend(leg: Leg, line: SocketLine) -> None:
    """Take what the application sends, as it comes; a leg that is connected to nobody ends with its socket."""
    while line.ending is None:
        await Wait(ready=lambda: bool(line.inbox))
        line.take()
    if leg.flow is not None or leg.uuid not in leg.call.children:
        if line.ending == "closed":
            leg.call.post(events.progress(leg, "disconnected", leg.call.clock), leg)
        leg.call.gone(leg, "user" if line.ending == "closed" else "platform")


def _shown(uri: str) -> str:
    """An address for the terminal: the end of a long one is a token."""
    return uri if len(uri) <= 44 else f"{uri[:44]}..."


def _authorization(call: Call, endpoint: Options) -> str:
    """The header of the handshake: a custom value, or the token that signs webhooks too."""
    options = endpoint.get("authorization")
    if not isinstance(options, Mapping):
        return ""
    if options.get("type") == "custom":
        return str(options.get("value", ""))
    if call.signer is None:
        return ""
    return call.signer.bearer(call.clock, call.platform.new_id(), b"" if call.knobs.ws_payload_hash else None)


def join(call: Call, leg: Leg, member: Member | None = None) -> None:
    """Bring an answered leg into the call's conversation; its party hears it, and is heard, from now on."""
    if leg.listening is None:
        leg.listening = call.now
    if call.leg.room is not None:
        call.leg.room.enter(member or Member(leg))


async def press_keys(leg: Leg, keys: str, key_seconds: float = ANSWER_KEY_SECONDS) -> None:
    """Press keys towards a leg, one after the other; p waits 500 ms."""
    for key in keys:
        if key != "p" and leg.line is not None:
            leg.line.press(key)
        await Wait(leg.call.now + (_PAUSE_SECONDS if key == "p" else key_seconds))


@dataclass(frozen=True, slots=True)
class Detection:
    """How it is found out whether a machine has answered."""

    mode: Mode
    hangs_up: bool
    beep_seconds: float

    @classmethod
    def of(cls, plain: object, advanced: object, least_beep: int) -> Detection | None:
        """Return what the options ask for, the advanced ones first; None: nothing."""
        if isinstance(advanced, Mapping):
            beep = max(least_beep, number(advanced.get("beep_timeout"), _BEEP_SECONDS))
            return cls(advanced.get("mode", "detect"), advanced.get("behavior") == "hangup", beep)
        return cls("basic", plain == "hangup", 0.0) if plain else None

    @property
    def waits(self) -> bool:
        """Whether the document begins only when it is known."""
        return self.mode in ("detect", "detect_beep")


async def detect(call: Call, leg: Leg, detection: Detection) -> None:
    """Find out who has answered, and tell; in mode `default` the reply may replace the document that runs."""
    machine = leg.behaviour is not None and leg.behaviour.machine
    answered = call.now
    await Wait(answered + call.knobs.detection_seconds)
    if detection.mode != "detect_beep" or not machine or detection.hangs_up:
        await _tell(call, leg, detection, events.detected(leg, "machine" if machine else "human", call.clock))
    if not machine or leg.ended is not None:
        return
    if detection.hangs_up:
        return call.gone(leg, "platform")
    if detection.mode in ("default", "detect_beep"):
        beep = leg.behaviour.beep if leg.behaviour else None
        heard = beep is not None and beep <= detection.beep_seconds
        # The beep is over when it is known as one.
        await Wait(answered + (beep + 0.4 if heard and beep is not None else detection.beep_seconds))
        sub_state = "beep_start" if heard else "beep_timeout"
        await _tell(call, leg, detection, events.detected(leg, "machine", call.clock, sub_state))


async def _tell(call: Call, leg: Leg, detection: Detection, body: Body) -> None:
    if detection.mode != "default":
        call.post(body, leg)
        return
    document: Document | None = await call.consult(body, leg)
    if document is not None:
        call.replace(document)
