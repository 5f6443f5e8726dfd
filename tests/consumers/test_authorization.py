"""Knows which handshakes are let in when a step demands an authorization, and that the header is kept nowhere."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from pytest_django import Settings

from callflows.models import Application, Line, Refusal, TimelineEntry
from project.asgi import application
from tests.consumers.test_audio import path_of, until
from tests.signing import APPLICATION, KEY, SECRET, bearer

pytestmark = pytest.mark.django_db(transaction=True)

VALUE = "Bearer abc-custom-123"


@pytest.fixture(autouse=True)
def secrets(settings: Settings) -> None:
    """Webhooks are not signed here, only handshakes: the path comes from an answer webhook before."""
    settings.SIGNATURE_SECRETS = {}


def demanding(client: Client, settings: Settings, authorization: Any) -> str:
    """Return the path of a socket whose step demands this, from a server that checks signatures."""
    endpoint = {"type": "websocket", "content-type": "audio/l16;rate=16000"}
    if authorization is not None:
        endpoint["authorization"] = authorization
    path = path_of(client, ("echo", "connect", {"app": "echo", "endpoint": endpoint}))
    Application.objects.update(application_id=APPLICATION)
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    return path


async def opens(path: str, *headers: str) -> bool:
    """Whether a socket that brings these Authorization headers is let in."""
    named = [(b"authorization", each.encode()) for each in headers]
    communicator = WebsocketCommunicator(application, path, headers=named)
    connected, _ = await communicator.connect(timeout=5)
    await communicator.disconnect(timeout=5)
    return connected


@sync_to_async
def problems() -> list[str]:
    return list(TimelineEntry.objects.filter(kind="problem").values_list("text", flat=True))


async def counted() -> Refusal:
    refusal: Refusal = await until(Refusal.objects.first)
    return refusal


@pytest.mark.parametrize("demanded", [{"type": "vonage"}, {}], ids=["vonage", "default"])
async def test_socket_that_vonage_signed_is_let_in(client: Client, settings: Settings, demanded: Any) -> None:
    path = await sync_to_async(demanding)(client, settings, demanded)
    assert await opens(path, bearer(payload_hash=None))
    assert await problems() == []


async def test_hash_of_a_handshake_is_not_demanded_and_may_be_of_nothing(client: Client, settings: Settings) -> None:
    path = await sync_to_async(demanding)(client, settings, {"type": "vonage"})
    for hash_of in (b"", b"something"):
        assert await opens(path, bearer(hash_of))


@pytest.mark.parametrize(
    ("brought", "sentence"),
    [
        ("", "expected a signed webhook"),
        ("Bearer rubb.is.h", "expected a JSON Web Token"),
        ({"secret": "x" * 32}, "the signature fits no secret"),
        ({"iss": "Acme"}, "expected a token issued by 'Vonage'"),
        ({"iat": 1}, "the token was issued"),
        ({"application_id": "another"}, "expected one of our applications"),
    ],
    ids=["none", "rubbish", "secret", "issuer", "clock", "application"],
)
async def test_socket_that_vonage_did_not_sign_is_refused(
    client: Client, settings: Settings, brought: Any, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = await sync_to_async(demanding)(client, settings, {"type": "vonage"})
    header = brought if isinstance(brought, str) else bearer(**brought)
    with caplog.at_level(logging.DEBUG):
        assert not await opens(path, *filter(None, [header]))
    (problem,) = await problems()
    assert problem.startswith(f"A socket was refused: {sentence}")
    refusal = await counted()
    assert (refusal.reason, refusal.sentence) == ("authorization", problem.removeprefix("A socket was refused: "))
    assert not header or header.removeprefix("Bearer ") not in caplog.text
    # Its token is not used up: Vonage may still come.
    assert await sync_to_async(Line.objects.get)(state=Line.State.EXPECTED)


async def test_two_headers_fit_nothing(client: Client, settings: Settings) -> None:
    path = await sync_to_async(demanding)(client, settings, {"type": "vonage"})
    assert not await opens(path, bearer(), bearer())


async def test_custom_authorization_must_be_the_same(client: Client, settings: Settings) -> None:
    path = await sync_to_async(demanding)(client, settings, {"type": "custom", "value": VALUE})
    for wrong in ("", "Bearer abc", VALUE + " ", VALUE.lower(), bearer()):
        assert not await opens(path, *filter(None, [wrong]))
    assert set(await problems()) == {
        "A socket was refused: expected the authorization that its step names, got none",
        "A socket was refused: expected the authorization that its step names, got another one",
    }
    assert await opens(path, VALUE)


async def test_custom_authorization_stands_neither_on_the_timeline_nor_in_the_log(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        path = await sync_to_async(demanding)(client, settings, {"type": "custom", "value": VALUE})
        await opens(path, VALUE)
        await opens(path, "Bearer wrong-one")
    data = await sync_to_async(lambda: str(list(TimelineEntry.objects.values_list("data", "text"))))()
    assert "authorization" in data
    for secret in ("abc-custom-123", "wrong-one"):
        assert secret not in data
        assert secret not in caplog.text


async def test_nothing_is_demanded_without_the_option(client: Client, settings: Settings) -> None:
    path = await sync_to_async(demanding)(client, settings, None)
    assert await opens(path)
    assert await opens(path, "Bearer whatever")


async def test_signature_is_not_demanded_where_no_secret_is_configured(client: Client, settings: Settings) -> None:
    path = await sync_to_async(demanding)(client, settings, {"type": "vonage"})
    settings.SIGNATURE_SECRETS = {}
    assert await opens(path)
