"""Knows the event webhook: what happened, to which leg, in which room, and how far the call is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from callflows.payloads.answer import ID_CHARACTERS, flat, identity
from callflows.payloads.body import BadPayload

Kind = Literal["status", "input", "record", "transcribed", "transfer", "notify", "error", "payment", "unknown"]

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

# What a branch may be called after a connection that was not made, or was lost; `cancelled` was the caller's doing.
_ANSWERABLE = ("timeout", "failed", "rejected", "unanswered", "busy", "disconnected", "human", "machine")
_PAYMENT = ("success", "failure")
_KEYS = frozenset("0123456789*#ABCDabcd")
# What real events say of the half of an input that was not asked for.
NOT_ENABLED = "Speech was not enabled"


@dataclass(frozen=True, slots=True)
class Words:
    """One reading of what a caller said; ``sure`` from 0 to 1, None where Vonage did not say."""

    text: str
    sure: float | None


@dataclass(frozen=True, slots=True)
class Sound:
    """A file of Vonage's that an event names. ``uuid`` is the recording's, empty for speech input."""

    what: Literal["recording", "transcript"]
    url: str
    uuid: str
    source: Literal["vonage", "speech"]


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One event. ``status`` and ``outcome`` are empty where it tells none; ``raw`` keeps everything that came.

    ``conversation_uuid`` is the room that the leg is in after it; ``left`` is the one that a transfer took it from.
    """

    kind: Kind
    uuid: str
    conversation_uuid: str
    left: str = ""
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

        Raises BadPayload when it names a leg or a conversation by something that is not an id.
        """
        uuid = raw.get("uuid") or raw.get("call_uuid")
        # Where a transfer leads counts before whatever room it also names.
        room = raw.get("conversation_uuid_to") or raw.get("conversation_uuid")
        left = raw.get("conversation_uuid_from")
        for name, value in (("uuid", uuid), ("conversation_uuid", room), ("conversation_uuid_from", left)):
            if value and not (isinstance(value, str) and len(value) <= ID_CHARACTERS):
                raise BadPayload(f"{name}: expected a text of at most {ID_CHARACTERS} characters")
        word = _text(raw.get("status")).lower()
        return cls(
            kind=_kind(raw, word),
            uuid=identity(uuid),
            conversation_uuid=identity(room),
            left=identity(left),
            caller=_text(raw.get("from") or raw.get("from_user")),
            to=_text(raw.get("to")),
            direction=_text(raw.get("direction")).lower(),
            status=word if word in PROGRESS else "completed" if word in FINAL_OUTCOMES else "",
            outcome=word if word in OUTCOMES else "",
            at=moment(raw.get("timestamp")),
            raw=raw,
        )

    @property
    def unattached(self) -> bool:
        """Whether it names neither a leg nor a conversation."""
        return not self.uuid and not self.conversation_uuid

    @property
    def name(self) -> str:
        """The event's own word: its status, or its kind."""
        return _text(self.raw.get("status")) or self.kind

    @property
    def digits(self) -> str | None:
        """The digits of an input; None when none were pressed. (Before 2020 ``dtmf`` was the digits themselves.)"""
        dtmf = self.raw.get("dtmf")
        if isinstance(dtmf, str):
            # By GET an object that is broken comes as text as well.
            return dtmf if dtmf and _KEYS.issuperset(dtmf) else None
        digits = dtmf.get("digits") if isinstance(dtmf, dict) else None
        return digits if isinstance(digits, str) and digits else None

    @property
    def speech(self) -> Mapping[str, Any]:
        speech = self.raw.get("speech")
        return speech if isinstance(speech, dict) else {}

    @property
    def heard(self) -> tuple[Words, ...]:
        """What the caller may have said, the best reading first."""
        results = self.speech.get("results")
        found = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
        return tuple(
            Words(text, _share(each.get("confidence"))) for each in found if (text := _text(each.get("text")).strip())
        )

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(each.text for each in self.heard)

    @property
    def sub_state(self) -> str:
        """``beep_start`` or ``beep_timeout``, where Vonage listened for an answering machine's beep."""
        return _text(self.raw.get("sub_state")).lower()

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What a branch of the step may be called, the most telling word first; empty: no branch can take it.

        What the caller said is in ``words``; with it, or with digits, ``wrong`` is the last resort.
        """
        if self.kind == "input":
            told = (self.digits,) if self.digits else ()
            return (*told, "wrong") if told or self.words else ("nothing",)
        if self.kind == "notify":
            return ("notified",)
        if self.outcome == "machine" and self.sub_state == "beep_start":
            return ("beep", "machine")
        return (self.outcome,) if self.outcome in _ANSWERABLE else ()

    @property
    def values(self) -> dict[str, str]:
        """The event's ``headers`` as values for a document: ``headers.NAME``."""
        return flat("headers", self.raw.get("headers"))

    @property
    def sound(self) -> Sound | None:
        """The file that the event names: none for an empty recording, whose address is null."""
        uuid = identity(self.raw.get("recording_uuid"))
        found: Sound | None = None
        if self.kind == "record":
            found = Sound("recording", _text(self.raw.get("recording_url")), uuid, "vonage")
        elif self.kind == "transcribed":
            found = Sound("transcript", _text(self.raw.get("transcription_url")), uuid, "vonage")
        elif self.kind == "input":
            found = Sound("recording", _text(self.speech.get("recording_url")), "", "speech")
        return found if found and found.url else None


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
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _kind(raw: Mapping[str, Any], word: str) -> Kind:
    """Events without a status of a leg are told apart by the member that only they have."""
    if word in (*PROGRESS, *OUTCOMES):
        return "status"
    if word in _PAYMENT:
        return "payment"
    if word == "transcribed":
        return "transcribed"
    signs: tuple[tuple[str, Kind], ...] = (
        ("transcription_url", "transcribed"),
        ("recording_url", "record"),
        ("recording_uuid", "record"),
        ("conversation_uuid_to", "transfer"),
        ("dtmf", "input"),
        ("speech", "input"),
        ("payload", "notify"),
    )
    for member, kind in signs:
        if member in raw:
            return kind
    if word:
        return "status"
    if raw.get("type") == "transfer":
        return "transfer"
    return "error" if "reason" in raw else "unknown"


def _share(value: object) -> float | None:
    """Return a confidence, which comes as text, when it is one."""
    try:
        found = float(value) if isinstance(value, str | float | int) else -1.0
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= 1 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
