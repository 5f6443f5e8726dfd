"""Knows how Vonage delivers a webhook: what counts as an answer, and what is tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from callflows.ncco.document import errors
from callflows.ncco.headers import too_long
from callflows.simulator.effects import Fetched, NotFetched, Trouble
from callflows.simulator.knobs import Knobs

# Vonage: these statuses, and time-outs and broken connections, are tried once more; everything else is final.
_AGAIN = (429, 503, 504)
_SUCCESS = range(200, 206)
_REASONS: dict[Trouble, str] = {
    "timeout": "Socket timeout.",
    "closed": "Connection closed.",
    "reset": "Connection reset.",
    "unreachable": "Connection closed.",
}
INVALID = "Invalid NCCO."
REFUSED = "Invalid response code."

Document = list[dict[str, Any]]
Wants = Literal["document", "document or nothing", "nothing"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook to deliver: ``wants`` says what its answer may be; Vonage gives up after ``seconds``."""

    kind: Literal["answer", "event"]
    method: str
    url: str
    body: Mapping[str, Any]
    wants: Wants
    seconds: float
    connect_seconds: float = 1.0

    @property
    def name(self) -> str:
        """What the timeline calls it: "answer webhook", "event 'started'", ..."""
        asked = "fallback webhook" if "original_request" in self.body else f"{self.kind} webhook"
        return asked if self.kind == "answer" else f"{asked} of {event_name(self.body)!r}"


def event_name(body: Mapping[str, Any]) -> str:
    """Return what an event is called: its status, or what tells those without one apart."""
    marks = {
        "dtmf": "input",
        "speech": "input",
        "recording_url": "record",
        "payload": "notify",
        "conversation_uuid_to": "transfer",
        "reason": "error",
    }
    return str(body.get("status") or next((name for mark, name in marks.items() if mark in body), "event"))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a webhook: a document or None to go on, or the ``reason`` that Vonage gives for its failure.

    ``text`` says more, of the reason or of a body that was no document; ``again`` allows another attempt.
    """

    document: Document | None = None
    reason: str = ""
    text: str = ""
    again: bool = False


def as_query(body: Mapping[str, Any]) -> dict[str, str]:
    """Return a body as query parameters: all strings, nested values as JSON text, null as empty text."""
    return {key: _parameter(value) for key, value in body.items()}


def _parameter(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"))


def judge(result: Fetched | NotFetched, wants: Wants, knobs: Knobs) -> Reply:
    """Return what Vonage makes of the response to a webhook."""
    if isinstance(result, NotFetched):
        again = result.trouble != "unreachable"
        return Reply(reason=_REASONS[result.trouble], text=result.text, again=again)
    if result.status not in _SUCCESS:
        text = f"HTTP {result.status} {_excerpt(result.body)}".strip()
        again = result.status in _AGAIN and (wants != "nothing" or knobs.retry_events == "all")
        return Reply(reason=REFUSED, text=text, again=again)
    if wants == "nothing" or (wants == "document or nothing" and not result.body.strip()):
        return Reply()
    if wants == "document or nothing" and not _is_array(result):
        return Reply(text=f"got no NCCO, so the next action runs: {_excerpt(result.body)}")
    if not _is_json(result):
        expected = "expected an NCCO as application/json"
        return Reply(reason=INVALID, text=f"{expected}, got {result.content_type or 'no content type'}")
    if knobs.ncco_bytes is not None and len(result.body) > knobs.ncco_bytes:
        return Reply(reason=INVALID, text=f"expected at most {knobs.ncco_bytes} bytes, got {len(result.body)}")
    try:
        document = json.loads(result.body)
    except ValueError as error:
        return Reply(reason=INVALID, text=f"expected an NCCO, got no JSON: {error}")
    return accept(document, knobs)


def _is_json(result: Fetched) -> bool:
    return result.content_type.partition(";")[0].strip().lower() == "application/json"


def _is_array(result: Fetched) -> bool:
    """Whether a reply could be an NCCO: most published servers answer an event with OK, an object, null or a page."""
    try:
        return isinstance(json.loads(result.body), list)
    except ValueError:
        # What was meant to be one is told as one.
        return _is_json(result) and result.body.lstrip().startswith(b"[")


def accept(document: Any, knobs: Knobs) -> Reply:
    """Return a document as it is run, or why it is refused."""
    if knobs.headers_over_512 == "drop":
        document = _without_long_headers(document)
    found = [f"{each.path}: {each.message}" for each in errors(document)]
    return Reply(reason=INVALID, text="; ".join(found)) if found else Reply(document)


def _without_long_headers(document: Any) -> Any:
    if isinstance(document, dict):
        kept = {key: _without_long_headers(value) for key, value in document.items()}
        if kept.get("type") == "websocket" and isinstance(kept.get("headers"), dict) and too_long(kept["headers"]):
            del kept["headers"]
        return kept
    return [_without_long_headers(each) for each in document] if isinstance(document, list) else document


def _excerpt(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:120]
