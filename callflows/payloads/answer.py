"""Knows the answer and fallback webhooks: who calls whom, and what went wrong before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Real ones have 32 or 36 characters; an index cannot hold unbounded ones.
ID_CHARACTERS = 255


def identity(value: object) -> str:
    """Return a leg's or a conversation's id byte for byte: ids are opaque, dashes are never added or removed."""
    return value if isinstance(value, str) else ""


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
        """Read a request leniently: someone is listening, so nothing here raises."""
        return cls(
            to=_text(raw.get("to")),
            caller=_text(raw.get("from") or raw.get("from_user")),
            uuid=identity(raw.get("uuid")),
            conversation_uuid=identity(raw.get("conversation_uuid")),
            region_url=_text(raw.get("region_url")),
            endpoint_type=_text(raw.get("endpoint_type")) or "phone",
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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why Vonage asks the fallback webhook: the reason in its words, and the address that failed."""

    reason: str
    url: str
    kind: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Failure:
        request = raw.get("original_request")
        request = request if isinstance(request, dict) else {}
        return cls(
            _text(raw.get("reason")),
            _text(request.get("url")),
            _text(request.get("type")),
        )

    def __str__(self) -> str:
        what = {"answer": "the answer webhook", "event": "an event webhook"}.get(self.kind, "a webhook")
        reasons = {
            "Connection closed.": "our server closed the connection",
            "Connection reset.": "the connection to our server broke",
            "Socket timeout.": "our server did not answer in time",
            "Invalid NCCO.": "Vonage refused the NCCO",
            "Invalid response code.": "our server answered with an error",
        }
        return f"{what} failed: {reasons.get(self.reason, self.reason or 'Vonage gave no reason')}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
