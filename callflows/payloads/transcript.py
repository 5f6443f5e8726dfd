"""Knows the transcript of a recording: what was said, by whom, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a channel, counted from 1; ``seconds`` from the start of the recording, None where not told."""

    channel: int
    seconds: float | None
    text: str


def sentences(transcript: Any) -> tuple[Sentence, ...]:
    """Return the sentences of all channels in the order in which they were said; what is not understood is left out."""
    found = [each for number, channel in enumerate(_list(transcript, "channels"), 1) for each in _of(number, channel)]
    return tuple(sorted(found, key=lambda each: each.seconds or 0.0))


def _of(number: int, channel: Any) -> Iterator[Sentence]:
    for each in _list(channel, "transcript"):
        text = _text(each, "sentence") or _text(each, "raw_sentence")
        if text:
            yield Sentence(number, _seconds(each.get("timestamp")), text)


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found.strip() if isinstance(found, str) else ""


def _seconds(milliseconds: Any) -> float | None:
    """Times are in milliseconds, as numbers; other APIs of Vonage's send numbers as texts."""
    try:
        seconds = float(milliseconds) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    # Nothing longer than a day: infinity and the like are no times.
    return seconds if 0 <= seconds <= 86400 else None
