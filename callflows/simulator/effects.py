"""Knows what the rules of a call ask of the world, and what the world reports back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

# Why an HTTP request had no response. Vonage tries all again but `unreachable`: an address that it cannot use.
Trouble = Literal["timeout", "closed", "reset", "unreachable"]


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as compact JSON."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make an HTTP request: ``query`` for GET, ``content`` for POST; give up after ``seconds``."""

    id: int
    method: str
    url: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None
    seconds: float
    connect_seconds: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """What a server reads from the query: the address's own part stays, and stands first."""
        own = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        return (*((name, value) for name, value in own if name not in self.query), *self.query.items())

    @property
    def content(self) -> bytes | None:
        """The body as it leaves: a signature holds for exactly these bytes."""
        return None if self.body is None else encoded(self.body)


@dataclass(frozen=True, slots=True)
class Open:
    """Open the WebSocket of a leg; ``authorization`` is the header's value, "" for none."""

    leg: str
    uri: str
    authorization: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message on the socket of a leg: text as str, one frame of audio as bytes."""

    leg: str
    message: str | bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket of a leg; ``abort`` drops the connection, so that the server sees 1006."""

    leg: str
    abort: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Read no more of what the server sends on the socket of a leg."""

    leg: str


@dataclass(frozen=True, slots=True)
class Heard:
    """20 ms of sound that the party at a leg heard.

    ``source`` is what alone made it (talk, stream, beep, music, socket, or the kind of a leg), else mix; ``at`` is
    when it began, in seconds from the platform's start, however late somebody is told of it.
    """

    pcm: bytes
    rate: int
    source: str
    leg: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """20 ms of sound that a socket was sent: what the others said; ``leg`` is the socket's, ``at`` as in `Heard`."""

    pcm: bytes
    rate: int
    leg: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the timeline; ``t`` is in seconds from the platform's start, ``leg`` the kind of the leg."""

    t: float
    kind: str
    leg: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    uuid: str = ""


Effect = Fetch | Open | Send | Close | Pause | Heard | Said | Note


@dataclass(frozen=True, slots=True)
class Fetched:
    """The response to a `Fetch`."""

    id: int
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class NotFetched:
    """No response to a `Fetch`."""

    id: int
    trouble: Trouble
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake of a leg's socket succeeded."""

    leg: str


@dataclass(frozen=True, slots=True)
class NotOpened:
    """The socket could not be opened; ``late`` when nobody answered in time."""

    leg: str
    text: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the application's on the socket of a leg."""

    leg: str
    message: str | bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The application closed the socket of a leg, or the connection broke (1006)."""

    leg: str
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The party at a leg hangs up; without one, every party does."""

    leg: str = ""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The party at a leg pressed keys."""

    leg: str
    keys: str


@dataclass(frozen=True, slots=True)
class Spoke:
    """20 ms of what the party at a leg says, at 8000, 16000 or 24000 samples/s."""

    leg: str
    pcm: bytes
    rate: int


Input = Fetched | NotFetched | Opened | NotOpened | Received | Closed | HangUp | Pressed | Spoke
