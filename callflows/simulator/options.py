"""Knows how to read options that Vonage tolerates in more than one form."""

from __future__ import annotations

from typing import Any


def number(value: Any, default: float) -> float:
    """Return a number, also a quoted one."""
    return default if value is None else float(value)


def flag(value: Any) -> bool:
    """Return whether something is so, also when it is quoted."""
    return value is True or value == "true"
