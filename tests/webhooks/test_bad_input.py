"""Knows that what cannot be a webhook of Vonage's is refused, changes nothing, and that harmless oddities pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.apps import apps
from django.test import Client, RequestFactory
from pytest_django import Settings

from callflows.models import Call, Refusal, TimelineEntry
from callflows.webhooks.reading import read
from project.asgi import application as http
from tests.make import CALLER, NUMBER, ROOM, UUID, make_flow, make_number, talk
from tests.services import wait_until
from tests.signing import KEY, SECRET, bearer, compact

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = ("/webhooks/answer", "/webhooks/events", "/webhooks/fallback")
IDS = {"uuid": UUID, "conversation_uuid": ROOM}
LIMIT = 256 * 1024
HOST = "localhost"
# It has no types of its own.
COMMUNICATOR: Any = ApplicationCommunicator


def everything() -> dict[str, int]:
    """Return how many rows each table has, but for the count of refusals."""
    models = apps.get_app_config("callflows").get_models()
    return {model.__name__: model._default_manager.count() for model in models if model is not Refusal}


def counted() -> dict[str, int]:
    return {refusal.reason: refusal.times for refusal in Refusal.objects.all()}


def with_member(text: bytes) -> bytes:
    """Return an event with one more member, written by hand."""
    return json.dumps({**IDS, "status": "ringing"}).encode()[:-1] + b', "x": ' + text + b"}"


UNREADABLE = {
    "empty": b"",
    "no JSON": b"rubbish",
    "a form": b"uuid=1&to=2",
    "half an object": b'{"uuid": "a"',
    "two objects": b"{}{}",
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"uuid": "\xff\xfe"}',
    "half a surrogate pair": with_member(rb'"\ud800"'),
    "half a pair as bytes": with_member(b'"\xed\xa0\x80"'),
    "half a pair in a name": with_member(rb'{"\udc00": 1}'),
    "a NUL character": with_member(rb'"\u0000"'),
    "a NUL in a name": with_member(rb'{"a\u0000": 1}'),
    "a raw NUL byte": with_member(b'"\0"'),
    "NaN": with_member(b"NaN"),
    "Infinity": with_member(b"-Infinity"),
    "a number that no float holds": with_member(b"1e999"),
    "an integer of 5,000 digits": with_member(b"9" * 5_000),
    "101 levels": with_member(b"[" * 101 + b"]" * 101),
    "10,000 levels": with_member(b"[" * 10_000 + b"]" * 10_000),
    "10,000 levels that never end": b"[" * 10_000,
    "10,000 objects": b'{"a":' * 10_000,
}


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("path", PATHS)
def test_unreadable_body_is_refused_and_changes_nothing(
    client: Client, settings: Settings, path: str, signed: bool
) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]} if signed else {}
    before = everything()
    for what, body in UNREADABLE.items():
        headers = {"Authorization": bearer(body)} if signed else {}
        response = client.post(path, body, content_type="application/json", headers=headers)
        assert response.status_code == 400, what
        assert response.content.decode().startswith(("expected ", "nested deeper than 100 levels")), what
        assert len(response.content) < 300, what
    assert everything() == before
    assert counted().keys() == {"body"}


UNREADABLE_QUERIES = (
    {"x": "a\0b"},
    {"a\0b": "x"},
    {"dtmf": '{"digits": "\\u0000"}'},
    {"speech": '{"a": "\\ud800"}'},
    {"headers": "[" * 101 + "]" * 101},
)


@pytest.mark.parametrize("path", PATHS)
def test_unreadable_query_is_refused_and_changes_nothing(client: Client, path: str) -> None:
    before = everything()
    for query in UNREADABLE_QUERIES:
        assert client.get(path, {**IDS, **query}).status_code == 400, query
    assert everything() == before


@pytest.mark.parametrize("path", PATHS)
def test_query_of_too_many_parameters_is_refused(client: Client, settings: Settings, path: str) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
    response = client.get(path + "?" + "&".join(f"a{number}=1" for number in range(1_100)))
    assert response.status_code == 400
    assert response.content == b"expected a query with at most 1000 parameters, got more\n"


NO_IDS: dict[str, Any] = {
    "number": 7,
    "truth": True,
    "object": {"a": 1},
    "list": ["x"],
    "empty list": [],
    "256 characters": "a" * 256,
    "10,000 characters": "a" * 10_000,
}


@pytest.mark.parametrize("name", ["uuid", "call_uuid", "conversation_uuid", "conversation_uuid_to"])
def test_event_whose_id_is_none_is_refused_and_changes_nothing(client: Client, name: str) -> None:
    before = everything()
    for what, value in NO_IDS.items():
        body = json.dumps({"status": "ringing", name: value})
        assert client.post("/webhooks/events", body, content_type="application/json").status_code == 400, what
    assert everything() == before


def test_event_with_neither_id_is_refused_and_changes_nothing(client: Client) -> None:
    before = everything()
    response = client.get("/webhooks/events", {"status": "ringing"})
    assert (response.status_code, response.content) == (400, b"event webhook without 'uuid' and 'conversation_uuid'\n")
    assert everything() == before


def test_answer_without_a_usable_uuid_still_says_something(client: Client, settings: Settings) -> None:
    before = everything()
    for what, value in NO_IDS.items():
        body = json.dumps({"to": NUMBER, "from": CALLER, "uuid": value})
        response = client.post("/webhooks/answer", body, content_type="application/json")
        assert json.loads(response.content) == settings.SAFE_NCCO, what
    # No call can be known by such an id, but that somebody was on the phone is kept.
    assert everything() == before | {"StrayEvent": len(NO_IDS)}


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused(client: Client, path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X<script>"):
        response = client.generic(method, path, b'{"uuid": "a"}', content_type="application/json")
        assert (response.status_code, response["Allow"]) == (405, "GET, POST")
        assert response["Content-Type"].startswith("text/plain")
    assert counted().keys() == {"method"}


# Size.


async def send(path: str, *pieces: bytes, **headers: str) -> int:
    """Post a body in pieces, as a server hands it on when none announced its size; return the status."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "query_string": b""}
    talk = COMMUNICATOR(http, {**scope, "headers": named})
    for number, piece in enumerate(pieces, 1):
        await talk.send_input({"type": "http.request", "body": piece, "more_body": number < len(pieces)})
    status = int((await talk.receive_output(10))["status"])
    await talk.receive_output(10)
    await talk.wait(10)
    return status


EVENT = json.dumps({**IDS, "status": "ringing"}).encode()


@pytest.mark.parametrize("path", PATHS)
async def test_ten_megabytes_are_refused_announced_or_not(path: str) -> None:
    million = b" " * 1_000_000
    assert await send(path, *[million] * 10) == 413
    assert await send(path, *[million] * 10, content_length="10000000") == 413
    assert await send(path, EVENT, content_length="10000000") == 413


async def test_body_may_have_256_kib_and_not_one_byte_more() -> None:
    full = EVENT + b" " * (LIMIT - len(EVENT))
    assert await send("/webhooks/events", full[:1000], full[1000:]) == 204
    assert await send("/webhooks/events", full, b" ") == 413


async def test_announced_size_that_lies_changes_nothing_of_what_came() -> None:
    for size in ("", "0", "5", "-1", "abc", "1e9", "9" * 30, "9" * 5_000, "²", "٣"):
        assert await send("/webhooks/events", EVENT, content_length=size) in (204, 413), size


def test_query_of_ten_megabytes_is_refused(client: Client) -> None:
    assert client.get("/webhooks/events?uuid=" + "a" * 10_000_000).status_code == 413
    assert counted() == {"size": 1}


# What is odd and harmless.


TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "rubbish", "a; charset=rubbish"]


def test_content_type_is_not_asked_for(client: Client) -> None:
    for kind in TYPES:
        assert client.generic("POST", "/webhooks/events", EVENT, content_type=kind).status_code == 204, kind
    assert TimelineEntry.objects.get().name == "ringing"


def test_name_that_comes_twice_has_its_last_value(client: Client) -> None:
    body = EVENT[:-1] + b', "status": "answered"}'
    assert client.post("/webhooks/events", body, content_type="application/json").status_code == 204
    assert TimelineEntry.objects.get().name == "answered"
    assert client.get(f"/webhooks/events?uuid={UUID}&status=ringing&status=busy").status_code == 204
    assert TimelineEntry.objects.filter(name="busy").exists()


UNUSUAL = [b"1e308", b"-0.0", b"9" * 4_000, b"[" * 90 + b"]" * 90, rb'"\ud83d\ude00"']


def test_unusual_value_is_kept(client: Client) -> None:
    for value in UNUSUAL:
        assert client.post("/webhooks/events", with_member(value), content_type="application/json").status_code == 204
        assert TimelineEntry.objects.latest("pk").data["raw"]["x"] == json.loads(value)


@pytest.mark.parametrize("text", ['{"digits": "3"', "[" * 10_000, '{"a": NaN}'], ids=["cut off", "deep", "NaN"])
def test_nested_member_of_a_get_that_is_no_json_is_kept_as_text(client: Client, text: str) -> None:
    assert client.get("/webhooks/events", {**IDS, "payload": text}).status_code == 204
    assert Call.objects.get().timeline.get().data["raw"]["payload"] == text
    received = read(RequestFactory().get("/webhooks/events", {**IDS, "payload": text}))
    assert received.notes == ("payload: expected JSON, got text, which is kept as it came",)


@pytest.mark.parametrize("path", ["/webhooks/answer/", "/webhooks/events/"])
def test_address_that_is_none_of_ours_is_answered_all_the_same(client: Client, path: str) -> None:
    make_number(make_flow(talk("hello")))
    for ref in ("rubbish", "a:b:c", "%00", "%FF", "x" * 5_000, "WzEsMiwzXQ:1x:abc"):
        assert client.get(f"{path}{ref}", {**IDS, "to": NUMBER, "status": "ringing"}).status_code in (200, 204), ref


# Hosts.


@pytest.mark.parametrize("path", PATHS)
def test_webhook_for_another_host_is_counted(client: Client, path: str) -> None:
    response = client.post(path, EVENT, content_type="application/json", headers={"Host": "evil.example"})
    assert response.status_code == 400
    wait_until(Refusal.objects.filter(times=1).exists, "the refusal is counted")
    assert Refusal.objects.get().reason == "host"
    assert "'evil.example': expected the one of PUBLIC_URL" in Refusal.objects.get().sentence
    assert not Call.objects.exists()


def test_other_pages_for_another_host_are_no_lost_call(client: Client) -> None:
    assert client.get("/admin/", headers={"Host": "evil.example"}).status_code == 400
    assert not Refusal.objects.exists()


async def test_webhook_for_another_host_is_counted_under_asgi_too() -> None:
    assert await send("/webhooks/events", EVENT, host="evil.example") == 400
    await sync_to_async(wait_until)(Refusal.objects.filter(reason="host").exists, "the refusal is counted")


def test_signed_query_may_be_empty(client: Client, settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    headers = {"Authorization": bearer(compact({}))}
    assert client.get("/webhooks/events", headers=headers).status_code == 204
