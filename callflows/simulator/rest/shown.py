"""Knows how /v1/calls shows a leg, and a page of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from callflows.simulator.legs import Leg, whole

# Statuses of events that REST does not have.
_STATUSES = {"human": "answered", "disconnected": "answered"}


def leg(found: Leg) -> dict[str, Any]:
    """Return what GET tells of a leg: what it cost, and when it was, only once it is over."""
    shown: dict[str, Any] = {
        "_links": {"self": {"href": f"/v1/calls/{found.uuid}"}},
        "uuid": found.uuid,
        "conversation_uuid": found.conversation,
        "to": _party(found.to, found.kind if found.direction == "outbound" else "phone"),
        "from": _party(found.from_, found.kind if found.direction == "inbound" else "phone"),
        "status": status(found),
        "direction": found.direction,
    }
    if found.ended is None:
        return shown
    start = found.answered
    shown |= {"rate": found.rate, "price": found.price, "duration": str(found.seconds)}
    shown |= {"start_time": _time(start) if start else None, "end_time": _time(found.ended), "network": found.mccmnc}
    return {name: value for name, value in shown.items() if value is not None}


def _party(text: str, kind: str) -> dict[str, str]:
    """Return one end of a leg; what it looks like counts more than the leg's kind: both ends may differ in it."""
    if text.lower().startswith(("ws:", "wss:")):
        return {"type": "websocket", "uri": text}
    if text.lower().startswith(("sip:", "sips:")):
        return {"type": "sip", "uri": text}
    match kind:
        case "app":
            return {"type": "app", "user": text}
        case "vbc":
            return {"type": "vbc", "extension": text}
    return {"type": "phone", "number": text}


def status(found: Leg) -> str:
    """Return a leg's status as REST has it: some of those in events it does not know."""
    return _STATUSES.get(found.status, found.status)


def _time(at: datetime) -> str:
    return whole(at).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page(found: Sequence[Leg], start: int, size: int, filters: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of legs that begins with the one of index ``start``, with links to the others."""
    count = len(found)
    last = max(0, (count - 1) // size * size)

    def link(index: int | None) -> dict[str, str]:
        at = {"page_size": str(size)} | ({} if index is None else {"record_index": str(index)})
        return {"href": f"/v1/calls?{urlencode({**at, **filters})}"}

    links = {"self": link(start), "first": link(None), "last": link(last)}
    if start > 0:
        links["prev"] = link(max(0, start - size))
    if start + size < count:
        links["next"] = link(start + size)
    calls = [leg(each) for each in found[start : start + size]]
    return {
        "count": count,
        "page_size": size,
        "record_index": start,
        "_links": links,
        "_embedded": {"calls": calls},
    }
