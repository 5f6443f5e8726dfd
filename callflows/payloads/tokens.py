"""Knows which parts of a text would let its reader in, and cuts them out: the one pattern for logs, rows and pages."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

T = TypeVar("T")

# In a log line of a GET an address is percent-encoded, in JSON its slashes may be escaped.
_SLASH = r"(?:\\?/|%(?:25)*2[Ff])"
# What nobody prints, as it is, as a log escapes it, and as an address does: it must not hide what follows.
_CONTROL = r"[\x00-\x08\x0e-\x1f\x7f]|\\x[0-9a-f]{2}|%(?:25)*[01][0-9A-Fa-f]|%(?:25)*7[Ff]"
_SIGNED = rf"\.?(?:[\w:-]|%(?:25)*3[Aa]|{_CONTROL})+"
# /socket/<line>/<token>, /sounds/<token>.wav, /webhooks/events/<token>, /webhooks/answer/<token>, and any web token:
# who reads one could take a call's audio, steer a call, or act as us.
_PLACE = rf"{_SLASH}(?:socket{_SLASH}(?:[\w-]|{_CONTROL}){{1,80}}|sounds|webhooks{_SLASH}(?:events|answer)){_SLASH}"
_TOKEN = re.compile(rf"({_PLACE}){_SIGNED}|\beyJ[\w-]{{8,}}\.[\w-]*\.[\w-]*")


def without_tokens(value: T, mark: str = "…") -> T:
    """Return a text, or parsed JSON, with ``mark`` for each token; the place that it opens stays readable."""
    kept: Any = value
    if isinstance(kept, str):
        kept = _TOKEN.sub(lambda found: f"{found[1] or ''}{mark}", kept)
    elif isinstance(kept, list):
        kept = [without_tokens(each, mark) for each in kept]
    elif isinstance(kept, dict):
        kept = {name: without_tokens(_unauthorized(name, each, mark), mark) for name, each in kept.items()}
    return cast(T, kept)


def _unauthorized(name: str, value: Any, mark: str) -> Any:
    """Return a member without what a socket's handshake must bring: ``authorization: {"type": "custom", "value"}``."""
    return (
        {**value, "value": mark} if name == "authorization" and isinstance(value, dict) and "value" in value else value
    )
