"""Knows the bodies of Vonage's webhooks: which fields, of which type, in which generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Kind = Literal["phone", "websocket"]

# EUR a minute and the network's label, as they stand in real events; the price of a WebSocket leg is a guess.
_TARIFFS: dict[Kind, tuple[float, str | None]] = {"phone": (0.0045, "GB-FIXED"), "websocket": (0.0004, None)}
SYNTAX_ERROR = "Syntax error in NCCO. Invalid value type or action."


@dataclass(slots=True)
class Leg:
    """One party's connection; ``answered`` is when, None until then."""

    uuid: str
    conversation: str
    kind: Kind
    from_: str
    to: str
    direction: Literal["inbound", "outbound"]
    headers: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    answered: datetime | None = None


def stamp(at: datetime) -> str:
    """2026-01-01T12:00:00.123Z"""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole(at: datetime) -> datetime:
    """Round to whole seconds, as Vonage does for start and end: the end can lie after the event's own time."""
    return (at + timedelta(milliseconds=500)).replace(microsecond=0)


def answer_request(leg: Leg, region: str) -> dict[str, Any]:
    """Return the parameters of an answer webhook."""
    body = {"to": leg.to, "from": leg.from_, "conversation_uuid": leg.conversation, "uuid": leg.uuid}
    return {**body, "endpoint_type": leg.kind, "region_url": region}


def progress(leg: Leg, status: str, at: datetime, **more: Any) -> dict[str, Any]:
    """Return an event of a leg's progress: started, ringing, answered, failed, ..."""
    leg.status = status
    body: dict[str, Any] = {"headers": dict(leg.headers), **_parties(leg), "status": status}
    # Never documented for `disconnected`, and absent from the example of a WebSocket that was unanswered.
    if status != "disconnected" and (leg.kind, status) != ("websocket", "unanswered"):
        body["direction"] = leg.direction
    return {**body, "timestamp": stamp(at), **more}


def answered(leg: Leg, at: datetime) -> dict[str, Any]:
    """Return the event of an answered leg: its three extra members exist, but are null."""
    leg.answered = at
    return progress(leg, "answered", at, start_time=None, rate=None, network=None)


def completed(leg: Leg, at: datetime, by: Literal["platform", "user"], sip_code: int) -> dict[str, Any]:
    """Return the last event of a leg; duration, rate and price are strings."""
    rate, network = _TARIFFS[leg.kind]
    end = whole(at)
    seconds = int((end - whole(leg.answered)).total_seconds()) if leg.answered else 0
    return progress(
        leg,
        "completed",
        at,
        end_time=stamp(end),
        start_time=stamp(whole(leg.answered)) if leg.answered else None,
        network=network,
        duration=str(seconds),
        rate=f"{rate:.8f}",
        price=f"{rate * seconds / 60:.8f}",
        disconnected_by=by,
        sip_code=sip_code,
    )


def input_result(leg: Leg, at: datetime, digits: str, timed_out: bool) -> dict[str, Any]:
    """Return what an input action collected; speech was not asked for, which real events say like this."""
    dtmf = {"digits": digits, "timed_out": timed_out}
    return {"speech": {"error": "Speech was not enabled"}, "dtmf": dtmf, **_parties(leg), "timestamp": stamp(at)}


def recorded(leg: Leg, start: datetime, end: datetime, size: int, url: str, uuid: str) -> dict[str, Any]:
    """Return the event of a finished recording; ``size`` in bytes. It has neither leg nor status."""
    return {
        "start_time": _seconds(start),
        "recording_url": url if size else None,
        "size": size,
        "recording_uuid": uuid,
        "end_time": _seconds(end),
        "conversation_uuid": leg.conversation,
        "timestamp": stamp(end),
    }


def error(leg: Leg, at: datetime, reason: str = SYNTAX_ERROR) -> dict[str, Any]:
    """Return the event of a document that Vonage refuses."""
    return {"reason": reason, "conversation_uuid": leg.conversation, "timestamp": stamp(at)}


def fallback(body: Mapping[str, Any], reason: str, url: str, kind: Literal["answer", "event"]) -> dict[str, Any]:
    """Return what goes to the fallback URL: the original body, and why it comes there."""
    return {**body, "reason": reason, "original_request": {"url": url, "type": kind}}


def _parties(leg: Leg) -> dict[str, str]:
    return {"from": leg.from_, "to": leg.to, "uuid": leg.uuid, "conversation_uuid": leg.conversation}


def _seconds(at: datetime) -> str:
    return stamp(whole(at)).replace(".000Z", "Z")
