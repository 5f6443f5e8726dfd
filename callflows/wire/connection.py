"""Knows our end of an audio socket: what each message means, in which order they come, and what we may send."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from callflows.audio.format import AudioError, Format
from callflows.wire.events import Audio, Cleared, Connected, Digit, Event, Played, Rubbish, Unknown

DIGITS = frozenset("0123456789*#")

CLEAR = '{"action":"clear"}'

# Characters of a text: headers are at most 512 bytes, and what we have sent back to us is short. Reading 1 MB of JSON
# takes 10 ms, in which every other call waits.
MAX_TEXT = 16 * 1024

# Headers are at most 512 bytes, so nothing of Vonage's is nested deeper; SQLite refuses JSON from 1,000 levels on.
MAX_DEPTH = 256


class Connection:
    """One socket, without the socket: messages in, events out. Reads no clock."""

    __slots__ = ("_size", "fmt")

    def __init__(self) -> None:
        self.fmt: Format | None = None
        self._size = 0

    def receive(self, message: bytes | str) -> Event:
        """Return what ``message`` says. Never raises: what cannot be understood is Rubbish with the reason."""
        if isinstance(message, bytes):
            if message and len(message) == self._size:
                return Audio(message)
            return self._odd_frame(len(message))
        if len(message) > MAX_TEXT:
            return Rubbish(f"expected at most {MAX_TEXT} characters of text, got {len(message)}")
        try:
            value = json.loads(message, parse_constant=_no_number, parse_float=_number)
            _check(value, MAX_DEPTH)
        except (ValueError, RecursionError):
            return Rubbish(f"expected JSON, got {message[:40]!r}")
        if not isinstance(value, dict):
            return Rubbish(f"expected a JSON object, got {message[:40]!r}")
        return self._text(value)

    def _odd_frame(self, size: int) -> Event:
        if self.fmt is None:
            return Rubbish("audio before the first message")
        return Rubbish(f"expected {self._size} bytes of audio, got {size}")

    def _text(self, value: dict[str, Any]) -> Event:
        name = value.get("event")
        # The oldest form of the first message has no event, only the format.
        if name == "websocket:connected" or (name is None and "content-type" in value):
            return self._connected(value)
        match name:
            case "websocket:cleared":
                return Cleared()
            case "websocket:notify":
                payload = value.get("payload")
                return Played(payload if isinstance(payload, dict) else {})
            case "websocket:dtmf" | None if (digit := _digit(value)) is not None:
                return digit
            case _:
                return Unknown(str(name)[:100] if name else "without event", value)

    def _connected(self, value: dict[str, Any]) -> Event:
        if self.fmt is not None:
            return Rubbish("a second first message")
        try:
            self.fmt = Format.parse(value.get("content-type"))
        except AudioError as error:
            return Rubbish(str(error))
        self._size = self.fmt.frame_bytes
        return Connected(self.fmt, {key: each for key, each in value.items() if key not in ("event", "content-type")})


def _number(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check(value: object, depth: int) -> None:
    """Refuse what no database can keep: one such message would keep the whole end of the call from being written."""
    if depth < 0:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text with NUL characters")
        value.encode()  # raises UnicodeEncodeError for half of a surrogate pair
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check(name, depth)
            _check(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth - 1)


def notify(payload: Mapping[str, Any]) -> str:
    """Return the message after which Vonage says when all that was sent before has been played."""
    return json.dumps({"action": "notify", "payload": payload}, separators=(",", ":"))


def _digit(value: Mapping[str, Any]) -> Digit | None:
    """Read the three shapes of a key: with event, without (oldest), and nested under ``dtmf``."""
    nested = value.get("dtmf")
    source = nested if isinstance(nested, dict) else value
    digit, duration = source.get("digit"), source.get("duration", 0)
    if not isinstance(digit, str) or digit not in DIGITS or not digit:
        return None
    return Digit(digit, duration if isinstance(duration, int) else 0)
