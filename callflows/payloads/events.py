"""Knows the event webhook: what happened, to which leg, in which room, and how far the call is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from callflows.payloads.answer import ID_CHARACTERS, identity
from callflows.payloads.body import BadPayload

Kind = Literal["status", "input", "record", "transcribed", "transfer", "notify", "error", "unknown"]

# A status only moves forward along these.
PROGRESS = ("started", "ringing", "answered", "completed")

# How a leg ended or who answered it; the first group ends the leg by itself.
FINAL_OUTCOMES = (
    "busy",
    "cancelled",
    "timeout",
    "unanswered",
    "rejected",
    "failed",
    "disconnected",
)
OUTCOMES = (*FINAL_OUTCOMES, "human", "machine")

# Events whose reply may be an NCCO, when the action asked for synchronous events.
_ANSWERABLE = ("timeout", "failed", "rejected", "unanswered", "busy", "disconnected")


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One event. ``status`` and ``outcome`` are empty where it tells none; ``raw`` keeps everything that came."""

    kind: Kind
    uuid: str
    conversation_uuid: str
    caller: str = ""
    to: str = ""
    direction: str = ""
    status: str = ""
    outcome: str = ""
    at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> CallEvent:
        """Read an event of any generation; an unknown kind or status is no error.

        Raises BadPayload when it names no leg and no conversation, or by something that is not an id.
        """
        uuid = raw.get("uuid") or raw.get("call_uuid")
        room = raw.get("conversation_uuid") or raw.get("conversation_uuid_to")
        if not uuid and not room:
            raise BadPayload("event webhook without 'uuid' and 'conversation_uuid'")
        for name, value in (("uuid", uuid), ("conversation_uuid", room)):
            if value and not (isinstance(value, str) and len(value) <= ID_CHARACTERS):
                raise BadPayload(f"{name}: expected a text of at most {ID_CHARACTERS} characters")
        word = _text(raw.get("status")).lower()
        return cls(
            kind=_kind(raw),
            uuid=identity(uuid),
            conversation_uuid=identity(room),
            caller=_text(raw.get("from")),
            to=_text(raw.get("to")),
            direction=_text(raw.get("direction")),
            status=word if word in PROGRESS else "completed" if word in FINAL_OUTCOMES else "",
            outcome=word if word in OUTCOMES else "",
            at=moment(raw.get("timestamp")),
            raw=raw,
        )

    @property
    def name(self) -> str:
        """The event's own word: its status, or its kind."""
        return _text(self.raw.get("status")) or self.kind

    @property
    def digits(self) -> str | None:
        """The digits of an input; None when none were pressed. (Before 2020 ``dtmf`` was the digits themselves.)"""
        dtmf = self.raw.get("dtmf")
        digits = dtmf.get("digits") if isinstance(dtmf, dict) else dtmf
        return digits if isinstance(digits, str) and digits else None

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What a branch of the step may be called, the most telling word first; empty: no branch can take it."""
        if self.kind == "input":
            return (self.digits, "wrong") if self.digits else ("nothing",)
        return (self.outcome,) if self.outcome in _ANSWERABLE else ()

    @property
    def ends_leg(self) -> bool:
        return self.status == "completed"

    def __str__(self) -> str:
        return _sentence(self)


def later(now: str, then: str) -> str:
    """Return the status that is further along: a late event never moves a call back."""
    order = ("", *PROGRESS)
    return max(now, then, key=lambda status: order.index(status) if status in order else 0)


def moment(value: object) -> datetime | None:
    """Return a time of Vonage's (ISO 8601 with or without milliseconds, or ``YYYY-MM-DD HH:MM:SS``, all UTC)."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    # A year that no call can have is as good as none, and some break arithmetic (year 1, year 9999).
    if not 2000 <= found.year <= 2200:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _kind(raw: Mapping[str, Any]) -> Kind:
    """Events without a status are told apart by the member that only they have."""
    if raw.get("status") and "transcription_url" not in raw:
        return "status"
    signs: tuple[tuple[str, Kind], ...] = (
        ("recording_url", "record"),
        ("transcription_url", "transcribed"),
        ("conversation_uuid_to", "transfer"),
        ("dtmf", "input"),
        ("speech", "input"),
        ("payload", "notify"),
    )
    for member, kind in signs:
        if member in raw:
            return kind
    return "error" if "reason" in raw else "unknown"


def _sentence(event: CallEvent) -> str:
    raw = event.raw
    match event.kind:
        case "input":
            return f"Caller pressed {event.digits}" if event.digits else "Caller pressed nothing"
        case "record":
            return f"Vonage recorded {raw.get('size') or 0} bytes"
        case "transcribed":
            return "Vonage transcribed a recording"
        case "transfer":
            return f"Leg moved to {event.conversation_uuid}"
        case "notify":
            return "Notified by the NCCO"
        case "error":
            return f"Vonage: {raw.get('reason')}"
        case _:
            detail = raw.get("detail") or raw.get("sub_state")
            return f"{event.name}, {detail}" if detail else event.name


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
