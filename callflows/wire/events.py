"""Knows what Vonage says on an audio socket, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callflows.audio.format import Format


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message: the format of the audio, and the endpoint's headers."""

    fmt: Format
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audio:
    """One frame, 20 ms, of what the others on the call say."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Digit:
    """A key that somebody on the call pressed: ``0-9``, ``*`` or ``#``, and for how many milliseconds."""

    digit: str
    duration: int = 0


@dataclass(frozen=True, slots=True)
class Cleared:
    """Vonage dropped what we had sent and it had not played."""


@dataclass(frozen=True, slots=True)
class Played:
    """All audio that was sent before our ``notify`` has been played; ``payload`` is what we sent with it."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message with an event that we do not know: it may be sent at any point, and is only noted."""

    name: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rubbish:
    """A message that is no message of Vonage's: text that is no JSON, a frame of a wrong size, audio too early."""

    reason: str


Event = Connected | Audio | Digit | Cleared | Played | Unknown | Rubbish
