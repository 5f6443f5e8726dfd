"""Knows that webhooks, and nothing else, go past what pages need, and that errors are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.testing import ApplicationCommunicator

from callflows.models import Call
from callflows.payloads.body import MAX_BYTES
from callflows.webhooks import views
from callflows.webhooks.handler import whole_body
from project.asgi import application as http
from tests.make import NUMBER, ROOM, UUID

pytestmark = pytest.mark.django_db(transaction=True)

EVENT = json.dumps({"uuid": UUID, "conversation_uuid": ROOM, "status": "ringing"}).encode()
# It has no types of its own.
COMMUNICATOR: Any = ApplicationCommunicator
Reply = tuple[int, dict[str, str], bytes]


async def ask(path: str, *pieces: bytes, method: str = "POST") -> Reply:
    """Ask the application as a server does, with a body in pieces that announces no length."""
    scope: Any = {"type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": b""}
    scope["headers"] = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    talk = COMMUNICATOR(http, scope)
    for number, piece in enumerate(pieces or [b""], 1):
        await talk.send_input({"type": "http.request", "body": piece, "more_body": number < len(pieces)})
    begun = await talk.receive_output(timeout=10)
    named = {name.decode().lower(): value.decode() for name, value in begun["headers"]}
    body = (await talk.receive_output(timeout=10))["body"]
    await talk.wait(timeout=10)
    return begun["status"], named, body


async def test_webhook_has_its_length_and_no_headers_of_pages() -> None:
    status, headers, body = await ask("/webhooks/answer", json.dumps({"to": NUMBER, "uuid": UUID}).encode())
    assert status == 200
    assert headers == {"content-type": "application/json", "content-length": str(len(body))}
    assert (await ask("/webhooks/events", EVENT))[:2] == (
        204,
        {"content-type": "text/html; charset=utf-8", "content-length": "0"},
    )


async def test_page_has_the_headers_of_pages() -> None:
    status, headers, _ = await ask("/admin/", method="GET")
    assert status == 302
    assert {"content-security-policy", "x-frame-options", "x-content-type-options"} <= set(headers)


@pytest.mark.parametrize("path", ["/webhooks/none", "/webhooks/", "/webhooksx", "/webhooks/answer/a/b"])
async def test_address_of_nothing_is_not_found(path: str) -> None:
    assert (await ask(path, EVENT))[0] == 404


async def test_error_of_a_view_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(views, "_event", side_effect=ZeroDivisionError("broken")):
        assert (await ask("/webhooks/events", EVENT))[0] == 500
    assert "Internal Server Error: /webhooks/events" in caplog.text
    assert "ZeroDivisionError: broken" in caplog.text


async def test_body_in_pieces_is_put_together() -> None:
    assert (await ask("/webhooks/events", EVENT[:10], b"", EVENT[10:]))[0] == 204
    call = await Call.objects.aget()
    assert call.uuid == UUID


async def received(messages: Sequence[dict[str, Any]]) -> bytes | None:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    body = await whole_body(receive)
    return body.read() if body else None


async def test_no_more_is_kept_of_a_body_than_shows_that_it_is_too_large() -> None:
    piece = {"type": "http.request", "body": b"x" * 100_000, "more_body": True}
    found = await received([*[piece] * 30, {"type": "http.request"}])
    assert found == b"x" * (MAX_BYTES + 1)
    status, _, said = await ask("/webhooks/events", *[b" " * 100_000] * 5)
    assert (status, said) == (413, b"expected at most 262144 bytes, got 262145\n")


async def test_who_goes_away_before_the_end_of_the_body_has_asked_nothing() -> None:
    assert (
        await received([{"type": "http.request", "body": EVENT, "more_body": True}, {"type": "http.disconnect"}])
        is None
    )
    gone: Any = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/webhooks/events"}
    talk = COMMUNICATOR(http, {**gone, "query_string": b"", "headers": []})
    await talk.send_input({"type": "http.disconnect"})
    await talk.wait(timeout=10)
    assert await talk.receive_nothing()
    assert not await Call.objects.aexists()
