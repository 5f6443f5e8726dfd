"""Knows what the headers of an audio socket may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Vonage: "maximum length of the headers data is 512 bytes", counted here as compact UTF-8 JSON.
HEADERS_BYTES = 512

# Vonage's own members of the first message; a header of that name would be overwritten.
RESERVED = ("content-type", "event")


def size(headers: Mapping[str, Any]) -> int:
    """Return the bytes that ``headers`` take as compact UTF-8 JSON."""
    return len(json.dumps(headers, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def reserved(headers: Mapping[str, Any]) -> list[str]:
    """Return the names that Vonage would overwrite with members of its own."""
    return [name for name in headers if name.strip().lower() in RESERVED]


def too_long(headers: Mapping[str, Any]) -> str | None:
    """Return a sentence when ``headers`` are above the limit of 512 bytes, else None."""
    length = size(headers)
    return f"{length} bytes as JSON, at most {HEADERS_BYTES} allowed" if length > HEADERS_BYTES else None
