"""Knows how long the actions of a document can take at most."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Slow speech: Vonage's voices say about 15 characters a second, of Chinese or of digits 4.
_CHARACTERS_PER_SECOND = 3
_UNBOUNDED = None


def longest(actions: Iterable[dict[str, Any]], stream_seconds: Mapping[str, float]) -> float | None:
    """Return the seconds after which ``actions`` have ended at the latest, or None when there is no bound.

    ``stream_seconds`` gives the length of the streams whose address is known.
    """
    total = 0.0
    for action in actions:
        try:
            seconds = _longest(action, stream_seconds)
        except (ValueError, TypeError, AttributeError):
            # A value that is no number: the document is refused for it, with a better sentence than ours.
            seconds = _UNBOUNDED
        if seconds is None:
            return _UNBOUNDED
        total += seconds
    return total


def _longest(action: dict[str, Any], stream_seconds: Mapping[str, float]) -> float | None:
    match action.get("action"):
        case "talk":
            return _repeated(_talk(str(action.get("text", ""))), action)
        case "stream":
            url = (action.get("streamUrl") or [""])[0]
            return _repeated(stream_seconds.get(url), action)
        case "input":
            return _input(action)
        case "record":
            return _record(action)
        case "wait":
            return min(max(float(action.get("timeout", 10)), 0.1), 7200.0)
        case "notify":
            return 0.0
        case _:
            return _UNBOUNDED


def _input(action: dict[str, Any]) -> float:
    """Keys and speech together end with the first result; how their limits play together is not documented."""
    if action.get("mode", "synchronous") != "synchronous":
        return 0.0
    kinds, dtmf, speech = action.get("type") or (), action.get("dtmf") or {}, action.get("speech") or {}
    keys = float(dtmf.get("timeOut", 3)) * (int(dtmf.get("maxDigits", 4)) + 1)
    words = float(speech.get("startTimeout", 10)) + float(speech.get("maxDuration", 60))
    return (keys if "dtmf" in kinds else 0.0) + (words if "speech" in kinds else 0.0)


def _talk(text: str) -> float | None:
    """SSML can pause and slow down at will, so it has no bound."""
    return _UNBOUNDED if re.search(r"<\s*speak", text) else 2 + len(text) / _CHARACTERS_PER_SECOND


def _record(action: dict[str, Any]) -> float | None:
    """Without an end it goes on in the background; with timeOut alone the sources disagree: the longer one counts."""
    if (limit := action.get("timeOut")) is not None:
        return float(limit)
    blocks = action.get("endOnKey") is not None or action.get("endOnSilence") is not None
    return _UNBOUNDED if blocks else 0.0


def _repeated(seconds: float | None, action: dict[str, Any]) -> float | None:
    loop = int(action.get("loop", 1))
    return seconds * loop if seconds is not None and loop > 0 else _UNBOUNDED
