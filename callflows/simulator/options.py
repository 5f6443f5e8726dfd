"""Knows how to read options that Vonage tolerates in more than one form."""

from __future__ import annotations

from typing import Any


def number(value: Any, default: float) -> float:
    """Return a number, also a quoted one; a flag is none."""
    return default if value is None or isinstance(value, bool) else float(value)


def text(value: Any) -> str:
    """Return a text, also the one in a list; "" for none."""
    return str(next(iter(value), "")) if isinstance(value, list) else str(value or "")


def flag(value: Any) -> bool:
    """Return whether something is so, also when it is quoted."""
    return value is True or value == "true"
