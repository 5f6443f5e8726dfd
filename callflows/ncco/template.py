"""Knows how the values of a call are filled into a document: ``{{ from }}``, ``{{ caller_name|default:"there" }}``."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*(?:\|\s*default:\s*(?:\"([^\"]*)\"|'([^']*)')\s*)?\}\}")
_WEB_ADDRESS = re.compile(r"(https?|wss?)://", re.IGNORECASE)
_SIP_ADDRESS = re.compile(r"(sips?|tel):", re.IGNORECASE)
# What XML cannot hold, and no voice can say.
_UNSPOKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

# The values that a call has, and how many characters each has at most in real calls. A name that ends with a dot or
# an underscore stands for all that begin with it: ``answers.menu``, ``SipHeader_X-Account``.
LONGEST: Mapping[str, int] = {
    "from": 15,  # E.164
    "to": 15,
    "uuid": 36,
    "conversation_uuid": 40,  # CON- and a dashed uuid
    "flow_name": 100,
    "date": 10,  # 2026-11-21
    "time": 5,  # 14:05
    "weekday": 9,  # Wednesday
    "custom_data.": 100,
    "answers.": 100,  # a phrase; digits are at most 22
    "headers.": 256,
    "SipHeader_": 256,  # User-to-User, as Vonage limits it
}
ANSWERS = "answers."

Safe = Callable[[str], str]


def longest_value(name: str) -> int | None:
    """Return how long a value is at most in real calls; None for a name that no call has."""
    return next((size for known, size in LONGEST.items() if is_called(name, known)), None)


def is_called(name: str, known: str) -> bool:
    return name.startswith(known) and name != known if known.endswith((".", "_")) else name == known


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """Return ``value`` with the variables in all its texts replaced; keys and what is no text stay as they are.

    Works on parsed JSON, never on JSON text, so that no caller can break out of a string, nor out of SSML, an address
    or the line of a SIP header. An unknown variable becomes its default, or the empty text.
    """
    if isinstance(value, str):
        return _filled(value, values, _safe(value))
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("action") == "talk" and isinstance(value.get("text"), str):
        return {**{name: fill(each, values) for name, each in value.items()}, "text": _spoken(value["text"], values)}
    if value.get("type") == "sip":
        return {name: _sip(name, each, values) for name, each in value.items()}
    return {name: fill(each, values) for name, each in value.items()}


def _filled(text: str, values: Mapping[str, str], safe: Safe) -> str:
    return _VARIABLE.sub(lambda found: safe(values.get(found[1]) or "") or found[2] or found[3] or "", text)


def _safe(text: str) -> Safe:
    """Return how a caller's words must be written to stay words inside ``text``."""
    if "<speak" in text:
        return _in_ssml
    if _WEB_ADDRESS.match(text):
        return _quoted
    return _quoted_for_sip if _SIP_ADDRESS.match(text) else str


def _quoted(value: str) -> str:
    """Quote for one part of an address; a part of dots only would lead up and out of its folder."""
    return "" if not value.strip(".") else quote(value, safe="", errors="replace")


def _quoted_for_sip(value: str) -> str:
    return quote(value, safe="+", errors="replace")


def _spoken(text: str, values: Mapping[str, str]) -> str:
    """Fill a talk: a caller's words never become tags, neither in SSML nor in plain text."""
    return _filled(text, values, _in_ssml if "<speak" in text else _in_plain_speech)


def _in_ssml(value: str) -> str:
    return html.escape(_UNSPOKEN.sub(" ", value))


def _in_plain_speech(value: str) -> str:
    return _UNSPOKEN.sub(" ", value).replace("<", " ").replace(">", " ")


def _sip(name: str, value: Any, values: Mapping[str, str]) -> Any:
    """Fill a part of a SIP endpoint: user and domain are parts of an address, and a header is one line."""
    if isinstance(value, dict):
        return {inner: _sip(inner, each, values) for inner, each in value.items()}
    if not isinstance(value, str):
        return fill(value, values)
    in_address = name in ("user", "domain") or _SIP_ADDRESS.match(value)
    return _filled(value, values, _quoted_for_sip if in_address else _one_line)


def _one_line(value: str) -> str:
    return _CONTROL.sub(" ", value)


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


def in_keys(value: Any) -> Iterator[str]:
    """Yield the keys that hold a variable: they are not filled, a caller must not choose what a value is called."""
    if isinstance(value, list):
        for each in value:
            yield from in_keys(each)
    elif isinstance(value, dict):
        yield from (name for name in value if _VARIABLE.search(name))
        for each in value.values():
            yield from in_keys(each)
