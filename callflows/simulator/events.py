"""Knows the bodies of Vonage's webhooks: which fields, of which type, in which generation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from callflows.simulator.effects import encoded as encoded
from callflows.simulator.legs import By, Leg, whole

SYNTAX_ERROR = "Syntax error in NCCO. Invalid value type or action."
CAPACITY_ERROR = "Too many calls a second: the account may start 3 a second."
# Members that webhooks have since about 2025.
NEW = frozenset({"disconnected_by", "sip_code", "region_url", "endpoint_type"})
# Legs that show what stood in their headers; {} in the events of all others.
NOT_SPEECH = {"error": "Speech was not enabled"}


def stamp(at: datetime) -> str:
    """2026-01-01T12:00:00.123Z"""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer_request(leg: Leg, region: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the parameters of an answer webhook; ``more`` are SIP headers or an app's custom data."""
    who = "from_user" if leg.kind == "app" and leg.direction == "inbound" else "from"
    body = {"to": leg.to, who: leg.from_, "conversation_uuid": leg.conversation, "uuid": leg.uuid}
    return {**body, "endpoint_type": leg.kind, "region_url": region, **(more or {})}


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


def detected(leg: Leg, status: Literal["human", "machine"], at: datetime, sub_state: str = "") -> dict[str, Any]:
    """Return what machine detection found: it calls the leg ``call_uuid``, and has neither direction nor headers."""
    leg.status = status
    body = {"call_uuid": leg.uuid, "from": leg.from_, "to": leg.to, "status": status}
    sub = {"sub_state": sub_state} if sub_state else {}
    return {**body, **sub, "conversation_uuid": leg.conversation, "timestamp": stamp(at)}


def completed(leg: Leg, at: datetime, by: By, sip_code: int) -> dict[str, Any]:
    """Return the last event of a leg; duration, rate and price are strings."""
    leg.ended = at
    return progress(
        leg,
        "completed",
        at,
        end_time=stamp(whole(at)),
        start_time=stamp(whole(leg.answered)) if leg.answered else None,
        network=leg.network,
        duration=str(leg.seconds),
        rate=leg.rate,
        price=leg.price,
        disconnected_by=by,
        sip_code=sip_code,
    )


def input_result(
    leg: Leg, at: datetime, dtmf: Mapping[str, Any], speech: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what an input action collected; that speech was not asked for, real events say like this."""
    heard = dict(NOT_SPEECH if speech is None else speech)
    return {"speech": heard, "dtmf": dict(dtmf), **_parties(leg), "timestamp": stamp(at)}


def recorded(conversation: str, start: datetime, end: datetime, size: int, url: str, uuid: str) -> dict[str, Any]:
    """Return the event of a finished recording; ``size`` in bytes. It has neither leg nor status."""
    return {
        "start_time": _seconds(start),
        "recording_url": url if size else None,
        "size": size,
        "recording_uuid": uuid,
        "end_time": _seconds(end),
        "conversation_uuid": conversation,
        "timestamp": stamp(end),
    }


def transcribed(conversation: str, uuid: str, url: str) -> dict[str, Any]:
    """Return the event of a transcript: it has no time."""
    return {
        "conversation_uuid": conversation,
        "type": "record",
        "recording_uuid": uuid,
        "status": "transcribed",
        "transcription_url": url,
    }


def transfer(leg: Leg, before: str, at: datetime) -> dict[str, Any]:
    """Return the event of a leg that has moved to another conversation."""
    return {
        "conversation_uuid_from": before,
        "type": "transfer",
        "uuid": leg.uuid,
        "conversation_uuid_to": leg.conversation,
        "timestamp": stamp(at),
    }


def notify(payload: Mapping[str, Any], leg: Leg, at: datetime) -> dict[str, Any]:
    """Return the event of a notify action: it names no leg."""
    return {"payload": dict(payload), "conversation_uuid": leg.conversation, "timestamp": stamp(at)}


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
