"""Knows how calls are placed, asked for and controlled over Vonage's REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from urllib.parse import quote

from callflows.vonage.account import VonageError
from callflows.vonage.client import Client

CALLS = "/v1/calls"
Switch = Literal["mute", "unmute", "earmuff", "unearmuff"]

# A leg cannot be hung up within about 2 s of its creation: Vonage answers 400 then.
EARLY_SECONDS = (0.5, 1.0, 1.0)
# A list of more pages than these is not looked through: one conversation has at most 50 legs.
PAGES = 10


def hang_up(client: Client, leg: str, pauses: Sequence[float] = EARLY_SECONDS) -> None:
    """End a leg. Vonage sends no ``disconnected`` for a socket that ends so. Raises VonageError.

    One that began just now is asked again: so early Vonage refuses with 400.
    """
    for pause in pauses:
        try:
            return _modify(client, leg, {"action": "hangup"})
        except VonageError as error:
            if error.status != 400:
                raise
            time.sleep(pause)
    return _modify(client, leg, {"action": "hangup"})


def switch(client: Client, leg: str, what: Switch) -> None:
    """Mute a leg (nobody hears it) or earmuff it (it hears nobody), or end either."""
    _modify(client, leg, {"action": what})


def transfer(client: Client, leg: str, *, ncco: list[dict[str, Any]] | None = None, url: str = "") -> None:
    """Let a leg leave what it is in and run a document, given or fetched from ``url``. Other legs stay.

    Not repeated when it may have arrived: the caller would hear its beginning twice, and its socket's token is used up.
    """
    if (ncco is None) == (not url):
        raise ValueError("transfer: expected either ncco or url")
    destination: dict[str, Any] = {"type": "ncco", **({"url": [url]} if url else {"ncco": ncco})}
    _modify(client, leg, {"action": "transfer", "destination": destination}, repeatable=False)


def play(client: Client, leg: str, url: str, loop: int = 1, level: float = 0) -> None:
    """Play a sound into a leg; ``loop`` 0 plays it until it is stopped, ``level`` is -1 to 1."""
    body = {"stream_url": [url], "loop": loop, "level": _level(level)}
    client.request("PUT", f"{_path(leg)}/stream", json=body)


def stop_playing(client: Client, leg: str) -> None:
    client.request("DELETE", f"{_path(leg)}/stream")


def talk(
    client: Client,
    leg: str,
    text: str,
    language: str = "en-US",
    *,
    style: int = 0,
    premium: bool = False,
    loop: int = 1,
    level: float = 0,
) -> None:
    """Say a text into a leg."""
    body = {"text": text, "language": language, "style": style, "premium": premium, "loop": loop}
    client.request("PUT", f"{_path(leg)}/talk", json={**body, "level": _level(level)})


def stop_talking(client: Client, leg: str) -> None:
    client.request("DELETE", f"{_path(leg)}/talk")


def send_digits(client: Client, leg: str, digits: str) -> None:
    """Send keys into a leg: 0-9, *, # and p for a pause of 500 ms. Never sent twice: they would be pressed twice."""
    client.request("PUT", f"{_path(leg)}/dtmf", repeatable=False, json={"digits": digits})


def subscribe_digits(client: Client, leg: str, event_url: str) -> None:
    """Have each key that a leg presses told as an event; works beside an asynchronous input action."""
    client.request("PUT", f"{_path(leg)}/input/dtmf", json={"event_url": [event_url]})


def unsubscribe_digits(client: Client, leg: str) -> None:
    client.request("DELETE", f"{_path(leg)}/input/dtmf")


def create(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """Place a call; return its uuid, conversation_uuid, status and direction. Never repeated, but after 429."""
    return _object(client.request("POST", CALLS, json=body).content)


def get(client: Client, leg: str) -> dict[str, Any]:
    """Return what Vonage knows of a leg."""
    return _object(client.request("GET", _path(leg)).content)


def listed(client: Client, **query: str | int) -> Iterator[dict[str, Any]]:
    """Yield the calls that fit (``conversation_uuid``, ``status``, ``date_start``, ...), page after page."""
    index = 0
    for _ in range(PAGES):
        page = _object(client.request("GET", CALLS, params={"page_size": 100, "record_index": index, **query}).content)
        embedded = page.get("_embedded")
        calls = embedded.get("calls") if isinstance(embedded, dict) else None
        found = [each for each in calls if isinstance(each, dict)] if isinstance(calls, list) else []
        yield from found
        index += len(found)
        if not found or index >= _number(page.get("count")):
            return


def find_leg(client: Client, conversation_uuid: str, path: str) -> str:
    """Return the uuid of the leg whose socket has ``path`` in its address. Raises VonageError when there is none."""
    for call in listed(client, conversation_uuid=conversation_uuid):
        if path in str(call.get("to")):
            return str(call.get("uuid", ""))
    raise VonageError("Vonage lists no leg with the socket's address")


def _modify(client: Client, leg: str, body: dict[str, Any], repeatable: bool = True) -> None:
    client.request("PUT", _path(leg), repeatable=repeatable, json=body)


def _path(leg: str) -> str:
    """Return a leg's address. Its uuid is opaque, so what would be another address is refused."""
    if leg in ("", ".", ".."):
        raise VonageError("no event has named the leg yet, so it cannot be controlled: try again in a moment")
    return f"{CALLS}/{quote(leg, safe='')}"


def _level(level: float) -> str:
    """Levels are texts here: 0.4 -> "0.4", 0 -> "0"."""
    return f"{level:g}"


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise VonageError("Vonage answered with something else than the JSON object that was expected", maybe=True)
    return value
