"""Knows how Vonage says no, in all its shapes, and says it in words that an operator understands."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import httpx2

_WORDS = {
    401: "Vonage refused our token: check the application's id and private key",
    402: "Vonage wants to be paid first: check the account's balance",
    403: "Vonage does not allow this to the application",
    404: "Vonage does not know this leg: it may have ended, or live in another region",
    429: "Vonage refused for now: too many requests",
}
_MOST = 300


def reason(status: int, body: bytes, location: str = "") -> str:
    """Return why Vonage did not do it: its status in words, and what its body adds."""
    if 300 <= status < 400:
        return f"Vonage answered {status}, a redirect to {_host(location)}; our token is not taken there"
    words = _WORDS.get(status)
    if words is None and status >= 500:
        words = f"Vonage answered {status}: its platform has trouble"
    words = words or f"Vonage answered {status}"
    more = details(body)
    return f"{words} ({more})" if more else words


def details(body: bytes) -> str:
    """Return what an error's body tells besides its status; empty for an empty body or a page.

    Shapes: ``title`` with ``invalid_parameters``, ``error_title``, and ``title`` with ``detail`` (RFC 7807).
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    title, detail = _text(told.get("title") or told.get("error_title")), _text(told.get("detail"))
    wrong = told.get("invalid_parameters")
    named = "; ".join(_parameter(each) for each in wrong if isinstance(each, dict)) if isinstance(wrong, list) else ""
    return ": ".join(filter(None, (title, detail, named)))[:_MOST]


def _parameter(wrong: dict[str, Any]) -> str:
    return ": ".join(filter(None, (_text(wrong.get("name")), _text(wrong.get("reason")))))


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "elsewhere"
    except ValueError:
        return "elsewhere"


def not_reached(error: Exception) -> str:
    """Return in words why no answer came."""
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
        return f"Vonage could not be reached: {str(error) or type(error).__name__}"
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return f"Vonage did not answer in time: {str(error) or type(error).__name__}"
    return f"the connection to Vonage broke: {str(error) or type(error).__name__}"
