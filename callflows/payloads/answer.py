"""Knows the answer and fallback webhooks: who calls whom, and what went wrong before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Real ones have 32 or 36 characters; an index cannot hold unbounded ones.
ID_CHARACTERS = 255
# One parameter for each header that an inbound SIP call brings.
_SIP = "SipHeader_"


def identity(value: object) -> str:
    """Return a leg's or a conversation's id byte for byte: ids are opaque, dashes are never added or removed."""
    return value if isinstance(value, str) else ""


def kind_of(address: str) -> str:
    """Tell a leg's kind by the address that it leads to: a number, a SIP or socket address, or the name of a user."""
    scheme, colon, _ = address.lower().partition(":")
    if colon:
        return {"ws": "websocket", "wss": "websocket", "sip": "sip", "sips": "sip"}.get(scheme, "phone")
    return "app" if any(letter.isalpha() for letter in address) else "phone"


def flat(name: str, value: object) -> dict[str, str]:
    """Return the members of an object as values for a document, ``name.MEMBER``; what is nested in one as JSON text."""
    if not isinstance(value, Mapping):
        return {}
    return {f"{name}.{member}": _value(inner) for member, inner in value.items()}


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What Vonage asks when a leg needs an NCCO. Absent members are empty; ``raw`` keeps everything that came.

    Documented for GET (query) and POST (JSON body) alike; unknown members do arrive and are only kept.
    """

    to: str
    caller: str
    uuid: str
    conversation_uuid: str
    region_url: str = ""
    endpoint_type: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> AnswerRequest:
        """Read a request leniently: someone is listening, so nothing here raises.

        The fallback webhook brings the members of what failed, which may have been an event.
        """
        caller = _text(raw.get("from") or raw.get("from_user"))
        # A caller without a number is called anonymous, or worse: only an address tells something.
        kind = "app" if raw.get("from_user") and not raw.get("from") else kind_of(caller if ":" in caller else "")
        return cls(
            to=_text(raw.get("to")),
            caller=caller,
            uuid=identity(raw.get("uuid") or raw.get("call_uuid")),
            conversation_uuid=identity(raw.get("conversation_uuid") or raw.get("conversation_uuid_to")),
            region_url=_text(raw.get("region_url")),
            endpoint_type=_text(raw.get("endpoint_type")) or kind,
            raw=raw,
        )

    @property
    def recordable(self) -> bool:
        """Whether it names a leg that a call can be kept under."""
        return 0 < len(self.uuid) <= ID_CHARACTERS and len(self.conversation_uuid) <= ID_CHARACTERS

    @property
    def digits(self) -> str:
        """The number that was called, without the plus sign that some deliver."""
        return self.to.strip().removeprefix("+")

    @property
    def brought(self) -> dict[str, Any]:
        """What came with the caller: SIP headers by the names of their parameters, and custom data."""
        found = {name: value for name, value in self.raw.items() if name.startswith(_SIP)}
        custom = self.raw.get("custom_data")
        return found if custom in (None, "") else {**found, "custom_data": custom}


def values(brought: Mapping[str, Any]) -> dict[str, str]:
    """Return what came with a caller as values for a document: ``SipHeader_X-NAME``, ``custom_data.NAME``."""
    sip = {name: _value(value) for name, value in brought.items() if name.startswith(_SIP)}
    return {**sip, **flat("custom_data", brought.get("custom_data"))}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why Vonage asks the fallback webhook: the reason in its words, and the address that failed."""

    reason: str
    url: str
    kind: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Failure:
        request = _opened(raw.get("original_request"))
        return cls(
            _text(raw.get("reason")),
            _text(request.get("url")),
            _text(request.get("type")).lower(),
        )

    def __str__(self) -> str:
        what = {"answer": "the answer webhook", "event": "an event webhook"}.get(self.kind, "a webhook")
        reasons = {
            "connection closed": "our server closed the connection",
            "connection reset": "the connection to our server broke",
            "socket timeout": "our server did not answer in time",
            "invalid ncco": "Vonage refused the NCCO",
            "invalid response code": "our server answered with an error",
        }
        reason = self.reason.strip()
        return f"{what} failed: {reasons.get(reason.lower().rstrip('.'), reason or 'Vonage gave no reason')}"


def _opened(value: object) -> Mapping[str, Any]:
    """Return an object that may have come as JSON text; empty when it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _value(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
