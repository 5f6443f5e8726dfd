"""Knows how the values of a call are filled into a document: ``{{ from }}``, ``{{ caller_name|default:"there" }}``."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*(?:\|\s*default:\s*\"([^\"]*)\"\s*)?\}\}")

_ADDRESS = re.compile(r"(https?|wss?)://", re.IGNORECASE)

# What every call has; other names are filled with their default, or with nothing.
CALL_VALUES = ("from", "to", "uuid", "conversation_uuid", "flow_name")


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """Return ``value`` with the variables in all its texts replaced.

    Works on parsed JSON, never on JSON text, so that no caller can break out of a string, nor out of SSML or an
    address in it. An unknown variable becomes its default, or the empty text.
    """
    if isinstance(value, str):
        safe = _safe(value)
        return _VARIABLE.sub(lambda found: safe(values.get(found[1]) or "") or found[2] or "", value)
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    if isinstance(value, dict):
        return {name: fill(each, values) for name, each in value.items()}
    return value


def _safe(text: str) -> Callable[[str], str]:
    """Return how a caller's words must be written to stay words inside ``text``."""
    if "<speak" in text:
        return html.escape
    return _quoted if _ADDRESS.match(text) else str


def _quoted(value: str) -> str:
    return quote(value, safe="", errors="replace")


def variables(value: Any) -> Iterator[str]:
    """Yield the names of the variables in all texts of ``value``, in order."""
    if isinstance(value, str):
        yield from (found[1] for found in _VARIABLE.finditer(value))
    elif isinstance(value, list):
        for each in value:
            yield from variables(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from variables(each)
