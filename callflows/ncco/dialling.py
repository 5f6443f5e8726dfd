"""Knows where a caller's words may lead: an address that they choose must begin as the flow allows.

Whoever may choose what is called has his own premium number called, at our cost.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from callflows.ncco.numbers import why_barred
from callflows.ncco.problems import Problem
from callflows.ncco.template import ANSWERS, is_called, variables

# Values that a caller, or whoever sends the call, can make what they want; a caller's own number is easily forged.
_CALLERS = (ANSWERS, "custom_data.", "headers.", "SipHeader_", "from")
# Of a text, up to where its host ends.
_SIP_HOST = re.compile(r"^(?i:sips?):(?:.*@)?([^;?]*)", re.DOTALL)
_WEB_HOST = re.compile(r"^[^?#/]*//[^/?#]*")
# What a flow may name: digits, @host of a SIP address, or how a socket's address begins.
_DIGITS = re.compile(r"\+?([0-9]{1,15})")
_HOST = re.compile(r"@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_SOCKET = re.compile(r"wss?://[a-z0-9][a-z0-9.:-]*/\S*")
FORMS = "digits such as 44 or 1555, @pbx.example.com for SIP addresses, wss://bots.example.com/ for sockets"


def read_prefixes(text: str) -> tuple[str, ...]:
    """Return the prefixes that a person wrote, with spaces or commas between. Raises ValueError."""
    return tuple(dict.fromkeys(_read(each) for each in re.split(r"[\s,]+", text.strip()) if each))


def _read(text: str) -> str:
    lowered = text.lower()
    if digits := _DIGITS.fullmatch(lowered):
        return digits[1]
    if _HOST.fullmatch(lowered) or _SOCKET.fullmatch(lowered):
        return lowered
    raise ValueError(f"expected {FORMS}, got {text[:60]!r}")


def open_to_callers(endpoint: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parts of an endpoint, its variables not filled, by which a caller's words decide where it leads.

    Each with the name of the first such variable.
    """
    for name, text in _leading(endpoint):
        if chosen := [each for each in variables(text) if _is_callers(each)]:
            yield name, chosen[0]


def _leading(endpoint: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what of an endpoint says whom it reaches, as far as it costs money or leaks sound: no user of a host."""
    kind, uri = endpoint.get("type"), endpoint.get("uri")
    if kind == "phone":
        yield "number", str(endpoint.get("number", ""))
    elif kind == "sip" and isinstance(uri, str):
        host = _SIP_HOST.match(uri)
        yield "uri", host[1] if host else uri
    elif kind == "sip":
        yield "domain", str(endpoint.get("domain", ""))
    elif kind == "websocket" and isinstance(uri, str):
        host = _WEB_HOST.match(uri)
        yield "uri", host[0] if host else uri


def _is_callers(name: str) -> bool:
    return any(is_called(name, known) for known in _CALLERS)


def open_problems(endpoint: Mapping[str, Any], prefixes: Collection[str], path: str) -> Iterator[Problem]:
    """Yield an error for each part of an endpoint that a caller chooses freely."""
    for name, variable in open_to_callers(endpoint):
        if not [each for each in prefixes if _is_of(each, endpoint)]:
            what = {"phone": "number", "sip": "SIP address"}.get(str(endpoint["type"]), "socket")
            message = (
                f"callers choose this {what} by {variable!r}: say in the flow's settings which prefixes they may call"
            )
            yield Problem(f"{path}.{name}", "error", message)


def _is_of(prefix: str, endpoint: Mapping[str, Any]) -> bool:
    """Whether a prefix is one of the endpoint's kind."""
    kinds = {"@": "sip", "w": "websocket"}
    return kinds.get(prefix[0], "phone") == endpoint.get("type")


def refused(template: Mapping[str, Any], filled: Mapping[str, Any], prefixes: Collection[str]) -> str:
    """Return why an endpoint that a caller's words made may not be reached; empty when it may, or they did not.

    ``template`` is the endpoint before its variables were filled.
    """
    for name, variable in open_to_callers(template):
        value = str(filled.get(name, "")).removeprefix("+")
        usable = [each for each in prefixes if _is_of(each, template)]
        if not any(_begins(value, each, name) for each in usable):
            allowed = ", ".join(usable) or "none"
            return f"a caller chose {value[:60]!r} by {variable!r}, but the flow allows only {allowed}"
        if template["type"] == "phone" and (why := why_barred(value)):
            return f"a caller chose {value[:60]!r} by {variable!r}: {why}"
    return ""


def _begins(value: str, prefix: str, name: str) -> bool:
    """Whether a filled value is within a prefix. Addresses are compared by their hosts, as those who dial read them."""
    if not prefix.startswith("@"):
        return value.lower().startswith(prefix)
    if name == "domain":
        return value.lower() == prefix[1:]
    # Of two @ one reader takes the first, another the last.
    found = None if value.count("@") > 1 else _SIP_HOST.match(value)
    return found is not None and found[1].lower().partition(":")[0] == prefix[1:]
