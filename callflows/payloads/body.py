"""Knows how the body or the query of a webhook becomes one JSON object."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

# Vonage sends nested members of a GET as JSON text.
_NESTED = (
    "dtmf",
    "speech",
    "headers",
    "payload",
    "original_request",
    "custom_data",
    "results",
)
# Members that are objects and nothing else; digits were plain text before 2020, and custom data may be any text.
_OBJECTS = ("speech", "headers", "payload", "original_request")
MAX_BYTES = 256 * 1024
MAX_DEPTH = 100


class BadPayload(ValueError):
    """A webhook that cannot be understood: says what was expected and what came."""


def from_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a POST. Raises BadPayload."""
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"expected a JSON object as body, got {_beginning(body)} ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise BadPayload(f"expected a JSON object as body, got {_kind(value)}")
    return _clean(value)


def from_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the object of a GET: texts, nested members opened; what cannot be opened stays text. Raises BadPayload."""
    return _clean({name: _opened(name, value) for name, value in query.items()})


def unopened(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each nested member of a GET's object that was no JSON, and was kept as text."""
    texts = ((name, query[name]) for name in _NESTED if isinstance(query.get(name), str))
    broken = (name for name, text in texts if _looks_nested(text) or (text and name in _OBJECTS))
    return tuple(f"{name}: expected JSON, got text, which is kept as it came" for name in broken)


def digest(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the body in one canonical form: equal for repeats, whatever their order and spaces."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _opened(name: str, value: str) -> Any:
    if name not in _NESTED or not _looks_nested(value):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return value


def _looks_nested(text: str) -> bool:
    return text.lstrip().startswith(("{", "["))


def _clean(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no database can keep: NUL characters, lone surrogates, and objects nested too deep."""
    _check(value, MAX_DEPTH)
    return value


def _check(value: Any, depth: int) -> None:
    if depth < 0:
        raise BadPayload(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name)
            _check(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth - 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadPayload("expected text without NUL characters")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadPayload("expected Unicode text, got half of a surrogate pair")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """``1e999`` is JSON, but would be stored as Infinity, which is not."""
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)


def _beginning(body: bytes) -> str:
    return f"{body[:40]!r}..." if len(body) > 40 else repr(body)


def _kind(value: object) -> str:
    names = {
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
