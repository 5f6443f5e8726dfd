"""Knows how an event is told on a timeline: in the words of a phone call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from callflows.payloads.events import NOT_ENABLED, CallEvent, moment

_PAYLOAD_CHARACTERS = 200

_STATUS = {
    "started": "Started",
    "ringing": "Ringing",
    "answered": "Answered",
    "busy": "Busy",
    "cancelled": "Cancelled before it was answered",
    "timeout": "Rang too long without an answer",
    "unanswered": "Not answered",
    "rejected": "Rejected",
    "failed": "Failed",
    "disconnected": "Audio socket disconnected",
    "human": "Answered by a human",
    "machine": "Answered by a machine",
}
# Two generations have two words for the same silence of the carrier.
_DETAIL = {
    "unavailable": "the called party cannot be reached for now",
    "timeout": "the carrier gave no answer in time",
    "carrier_timeout": "the carrier gave no answer in time",
    "invalid_number": "the number is not valid",
    "restricted": "the carrier refused it",
    "declined": "the called party declined it",
    "cannot_route": "the destination is not supported, or blocked for the account",
    "number_out_of_service": "the number is out of service",
    "internal_error": "an error inside Vonage",
}
_BEEP = {"beep_start": "Beep of an answering machine", "beep_timeout": "Answering machine without a beep in time"}


def sentence(event: CallEvent) -> str:
    """Return what happened, in one line."""
    match event.kind:
        case "status":
            return _status(event)
        case "input":
            return _input(event)
        case "record":
            return _record(event)
        case "transcribed":
            return "Vonage transcribed a recording"
        case "transfer":
            return f"Moved to conversation {event.conversation_uuid or 'of an unknown name'}"
        case "notify":
            return _notify(event)
        case "error":
            return f"Vonage: {_shown(event.raw.get('reason')) or 'an error without a reason'}"
        case "payment":
            return "Payment made" if event.name.lower() == "success" else "Payment failed"
        case _:
            return "Event of a kind that is not known"


def _status(event: CallEvent) -> str:
    word = event.name.lower()
    if word == "completed":
        return _completed(event)
    detail = _shown(event.raw.get("detail"))
    text = _BEEP.get(event.sub_state) or _STATUS.get(word, event.name)
    text += f": {_DETAIL.get(detail, detail)}" if detail else ""
    return ", ".join([text, *_sip(event.raw)])


def _completed(event: CallEvent) -> str:
    """Who ended a leg stands there as Vonage says it: who ended the call, only all legs together tell."""
    seconds, price = _shown(event.raw.get("duration")), _shown(event.raw.get("price"))
    by = _shown(event.raw.get("disconnected_by"))
    parts = [f"Ended after {seconds} s" if seconds else "Ended"]
    parts += [f"{_money(price)} EUR"] if price else []
    parts += [f"disconnected_by: {by}"] if by else []
    return ", ".join([*parts, *_sip(event.raw)])


def _sip(raw: Mapping[str, Any]) -> list[str]:
    """The SIP code, but for 200, which says nothing that the status does not."""
    code = _shown(raw.get("sip_code"))
    return [f"SIP {code}"] if code and code != "200" else []


def _money(text: str) -> str:
    """``0.00052500`` without what a reader need not read."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _input(event: CallEvent) -> str:
    said = event.heard[0] if event.heard else None
    told = [f"pressed {event.digits}"] if event.digits else []
    if said:
        sure = f" ({said.sure:.0%} sure)".replace("%", " %") if said.sure is not None else ""
        told.append(f'said "{said.text}"{sure}')
    text = f"Caller {' and '.join(told) or _nothing(event)}"
    error = _shown(event.speech.get("error"))
    return f"{text}; speech: {error}" if error and error != NOT_ENABLED else text


def _nothing(event: CallEvent) -> str:
    """Digits that were not asked for are null, speech that was not asked for is an error."""
    dtmf = event.raw.get("dtmf")
    keys = isinstance(dtmf, str) or (isinstance(dtmf, dict) and dtmf.get("digits") is not None)
    speech = bool(event.speech) and event.speech.get("error") != NOT_ENABLED
    return "said nothing" if speech and not keys else "pressed nothing"


def _record(event: CallEvent) -> str:
    size = _shown(event.raw.get("size"))
    if event.sound is None:
        return "Vonage recorded nothing"
    begun, ended = moment(event.raw.get("start_time")), moment(event.raw.get("end_time"))
    told = [f"{(ended - begun).total_seconds():g} s"] if begun and ended else []
    told += [f"{int(size):,} bytes"] if size.isascii() and size.isdigit() and len(size) < 20 else []
    return f"Vonage recorded {', '.join(told)}" if told else "Vonage made a recording"


def _notify(event: CallEvent) -> str:
    payload = event.raw.get("payload")
    if payload in (None, "", {}):
        return "Notified by the NCCO"
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    cut = f"{text[:_PAYLOAD_CHARACTERS]}..." if len(text) > _PAYLOAD_CHARACTERS else text
    return f"Notified by the NCCO: {cut}"


def _shown(value: object) -> str:
    """Return a text or a number as text: by GET numbers come as texts."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)
