"""Knows how the payloads of Vonage's that we have are sent to the webhooks: by POST or GET, once and again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.test import Client

from callflows.models import Call, Job, TimelineEntry
from tests.make import Step, ask, make_flow, make_number

FOLDER = Path(__file__).parent.parent / "payloads"
METHODS = ("POST", "GET")
OURS, CALLER, CUSTOMER = "442079460000", "447700900111", "447700900222"
SAFE = [{"action": "talk", "text": "We will call you back."}]


def load(folder: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / folder / f"{name}.json").read_text())
    return found


def names(folder: str) -> list[str]:
    return sorted(file.stem for file in (FOLDER / folder).glob("*.json"))


def flat(members: dict[str, Any]) -> dict[str, str]:
    """Return members as the parameters of a GET: all texts, what is nested as JSON, and null as nothing."""
    texts = {name: "" if value is None else str(value) for name, value in members.items()}
    nested = {name: value for name, value in members.items() if isinstance(value, dict)}
    return {**texts, **{name: json.dumps(value, separators=(",", ":")) for name, value in nested.items()}}


def whole(members: dict[str, Any], method: str) -> dict[str, Any]:
    """Return what must be kept: every member, nested ones as objects again; numbers came as texts by GET.

    A member that nobody knows stays the text that came: whether it is a nested one cannot be told.
    """
    if method == "POST":
        return members
    query = flat(members)
    nested = [name for name in query if query[name].startswith("{") and name != "brand_new_field"]
    return {**query, **{name: json.loads(query[name]) for name in nested}}


def send(client: Client, path: str, members: dict[str, Any], method: str, again: bool = False, **headers: str) -> Any:
    """Send a webhook as Vonage does; ``again``: the same one, written in another way, which makes it no other."""
    order = dict(reversed(members.items())) if again else members
    path = path.removeprefix("http://testserver")
    if method == "GET":
        return client.get(path, flat(order), headers=headers)
    body = json.dumps(order, indent=3 if again else None)
    return client.post(path, body, content_type="application/json", headers=headers)


def send_twice(client: Client, path: str, members: dict[str, Any], method: str) -> Any:
    """Send a webhook, and once more: the repeat gets the same reply, byte for byte, and leaves nothing behind."""
    first = send(client, path, members, method)
    before = left()
    repeated = send(client, path, members, method, again=True)
    assert (repeated.status_code, repeated.content) == (first.status_code, first.content)
    assert left() == before
    return first


def left() -> list[list[Any]]:
    """Return everything that webhooks leave behind."""
    calls = list(Call.objects.values("pk", "uuid", "status", "outcome", "caller", "called", "answers"))
    legs = [[leg.pk, leg.uuid, leg.room, leg.status] for call in Call.objects.order_by("pk") for leg in call.legs.all()]
    entries = list(TimelineEntry.objects.values("pk", "call", "leg", "text", "data", "reply"))
    return [calls, legs, entries, list(Job.objects.values("pk", "kind", "arguments", "due"))]


def serve_number(*steps: Step, **flow: Any) -> None:
    make_number(make_flow(*steps, **flow), digits=OURS, safe_ncco=SAFE)


def answer(client: Client) -> Any:
    """Begin the call of which nearly all fixtures tell; return the document that it is served."""
    return ask(client, **load("answer", "get_inbound_phone_2026"))
