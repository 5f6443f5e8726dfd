"""Knows what happens to signed webhooks, and to those that are not signed, or wrongly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from callflows.models import Application, Call, Refusal, SeenToken, StrayEvent, TimelineEntry
from callflows.models.tokens import KEPT_SECONDS
from callflows.payloads.signature import of_post, verify
from callflows.webhooks.reading import Received, read
from tests import dates
from tests.dates import stamp
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, event_url, make_flow, make_number, talk
from tests.services import wait_until
from tests.signing import APPLICATION, KEY, SECRET, bearer, compact

pytestmark = pytest.mark.django_db(transaction=True)

SIGNED = Path(__file__).parent.parent / "payloads" / "signed"
QUERY = {"to": NUMBER, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM}
EVENT = {"uuid": UUID, "conversation_uuid": ROOM, "status": "ringing", "timestamp": stamp(5)}
PATHS = ("/webhooks/answer", "/webhooks/events", "/webhooks/fallback")


@pytest.fixture(autouse=True)
def secrets(settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}


def post(client: Client, path: str, body: Any, sign: str | None = None, **headers: str) -> Any:
    """Post a body, signed as Vonage does unless ``sign`` is another header; "" sends none."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    authorization = bearer(raw) if sign is None else sign
    if authorization:
        headers["Authorization"] = authorization
    return client.post(path, raw, content_type="application/json", headers=headers)


def get(client: Client, path: str, query: Mapping[str, str], sign: str | None = None) -> Any:
    authorization = bearer(compact(dict(query))) if sign is None else sign
    return client.get(path, query, headers={"Authorization": authorization})


def serve(*steps: Any) -> None:
    """Serve a flow at the number of the application that the tokens name."""
    Application.objects.create(name="Test", application_id=APPLICATION)
    make_number(make_flow(*steps))


def counted() -> dict[str, int]:
    return {refusal.reason: refusal.times for refusal in Refusal.objects.all()}


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Call, TimelineEntry, SeenToken, StrayEvent))


# What Vonage signed gets through.


def test_signed_answer_is_served_and_its_events_are_recorded(client: Client) -> None:
    serve(talk("hello"), ECHO)
    _, connect = json.loads(post(client, "/webhooks/answer", QUERY).content)
    assert post(client, event_url(connect).removeprefix("http://testserver"), EVENT).status_code == 204
    assert [entry.name for entry in Call.objects.get().timeline.order_by("pk")] == ["answer", "ringing"]
    assert counted() == {}


def test_signed_get_is_served(client: Client) -> None:
    serve(talk("hello"))
    assert json.loads(get(client, "/webhooks/answer", QUERY).content)[0]["text"] == "Hello"
    assert SeenToken.objects.count() == 1


def test_signed_fallback_is_served(client: Client) -> None:
    failed = {**QUERY, "reason": "Socket timeout.", "original_request": {"url": "https://x", "type": "answer"}}
    assert post(client, "/webhooks/fallback", failed).status_code == 200
    assert Call.objects.get().timeline.get().kind == TimelineEntry.Kind.FALLBACK


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_name_of_the_header_is_read_in_any_case(client: Client, name: str) -> None:
    body = json.dumps(EVENT).encode()
    response = post(client, "/webhooks/events", body, sign="", **{name: bearer(body).replace("Bearer", "bearer")})
    assert response.status_code == 204


def test_nothing_of_the_signature_depends_on_the_host_or_the_proxy(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["inside.example"]
    settings.PUBLIC_URL = "https://calls.example.com"
    forwarded = {"Host": "inside.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    assert post(client, "/webhooks/events/", EVENT, **forwarded).status_code == 204


def test_both_secrets_are_good_while_one_replaces_the_other(client: Client, settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {KEY: ["the-new-secret-0123456789-0123456789", SECRET], "other": ["x" * 32]}
    for number, secret in enumerate(settings.SIGNATURE_SECRETS[KEY]):
        body = json.dumps({**EVENT, "status": f"word{number}"}).encode()
        assert post(client, "/webhooks/events", body, bearer(body, secret)).status_code == 204
    body = json.dumps({**EVENT, "status": "other"}).encode()
    assert post(client, "/webhooks/events", body, bearer(body, "x" * 32, api_key="other")).status_code == 204
    assert post(client, "/webhooks/events", body, bearer(body, "x" * 32)).status_code == 401


def test_body_is_hashed_as_it_came_and_not_as_it_reads(client: Client) -> None:
    body = json.dumps(EVENT, indent=3).encode() + b"\r\n"
    assert post(client, "/webhooks/events", body).status_code == 204
    assert post(client, "/webhooks/events", json.dumps(EVENT).encode(), bearer(body)).status_code == 401


def test_vectors_come_out_right_through_the_views(client: Client) -> None:
    for file in sorted(SIGNED.glob("post_*.json")):
        vector = json.loads(file.read_text())
        with time_machine.travel(dates.SIGNED, tick=False):
            response = post(client, "/webhooks/events", vector["raw_body"].encode(), vector["authorization"])
        assert response.status_code == (204 if vector["expect"] == "valid" else 401), file.name
    assert counted() == {"algorithm": 1, "hash": 1, "issuer": 1, "secret": 1}
    assert TimelineEntry.objects.get().name == "answered"


def test_vector_of_a_get_comes_out_right_through_the_view(client: Client) -> None:
    vector = json.loads((SIGNED / "get_vector_uncertain.json").read_text())
    with time_machine.travel(dates.SIGNED, tick=False):
        assert get(client, "/webhooks/answer", vector["query_in_order"], vector["authorization"]).status_code == 200


def test_signature_costs_one_query() -> None:
    Application.objects.create(name="Ours", application_id=APPLICATION)
    body = json.dumps(EVENT).encode()
    for queries in (2, 1):
        token = verify(bearer(body), of_post(body), {KEY: [SECRET]}, timezone.now().timestamp())
        with transaction.atomic(), CaptureQueriesContext(connection) as found:
            Received({}, token).admit()
        # The first looks up which applications are ours, and keeps them for a minute.
        assert len([sql for sql in found if not sql["sql"].startswith(("SAVEPOINT", "RELEASE"))]) == queries


# What it did not, or not so.


@pytest.mark.parametrize("path", PATHS)
class TestRefusals:
    def test_missing_signature_is_asked_for_again(self, client: Client, path: str) -> None:
        response = post(client, path, EVENT, sign="")
        assert response.status_code == 503
        assert response.content.startswith(b"expected a signed webhook")
        assert (counted(), rows()) == ({"unsigned": 1}, (0, 0, 0, 0))

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"secret": "another-secret-0123456789-0123456789"}, "secret"),
            ({"api_key": "other"}, "secret"),
            ({"iss": "Acme"}, "issuer"),
            ({"iat": 1}, "clock"),
            ({"jti": None}, "token"),
            ({"payload_hash": "0" * 64}, "hash"),
        ],
    )
    def test_wrong_signature_is_refused(self, client: Client, path: str, changed: Any, reason: str) -> None:
        body = json.dumps(EVENT).encode()
        assert post(client, path, body, bearer(body, **changed)).status_code == 401
        wait_until(lambda: counted() == {reason: 1}, "it is counted")
        assert rows() == (0, 0, 0, 0)

    def test_get_needs_a_signature_too(self, client: Client, path: str) -> None:
        assert client.get(path, QUERY).status_code == 503
        assert get(client, path, QUERY, "Bearer a.b.c").status_code == 401
        assert rows() == (0, 0, 0, 0)

    def test_signature_comes_before_the_body_is_read_and_after_its_size(self, client: Client, path: str) -> None:
        assert post(client, path, b"rubbish", sign="").status_code == 503
        assert post(client, path, b"rubbish").status_code == 400
        assert post(client, path, b" " * 300_000, sign="").status_code == 413
        assert client.put(path, b"rubbish", content_type="application/json").status_code == 405
        assert counted() == {"unsigned": 1, "body": 1, "size": 1, "method": 1}
        assert rows() == (0, 0, 0, 0)


def test_webhook_for_another_application_is_refused(client: Client) -> None:
    Application.objects.create(name="Ours", application_id="another")
    response = post(client, "/webhooks/events", EVENT)
    assert (response.status_code, counted(), rows()) == (401, {"application": 1}, (0, 0, 0, 0))
    assert APPLICATION.encode() in response.content


def test_application_is_checked_where_some_are_configured_and_one_is_named(client: Client) -> None:
    body = json.dumps(EVENT).encode()
    assert post(client, "/webhooks/events", body).status_code == 204
    Application.objects.create(name="Ours", application_id="another")
    assert post(client, "/webhooks/events", body, bearer(body, application_id=None)).status_code == 204
    assert post(client, "/webhooks/events", body).status_code == 401
    # One that an operator adds is known at once.
    Application.objects.create(name="This", application_id=APPLICATION)
    assert post(client, "/webhooks/events", body).status_code == 204


def test_get_whose_hash_differs_is_served_and_noted(client: Client) -> None:
    serve(talk("hello"))
    sign = bearer(b"something else")
    assert get(client, "/webhooks/answer", QUERY, sign).status_code == 200
    assert counted() == {}
    (note,) = read(RequestFactory().get("/webhooks/answer", QUERY, headers={"Authorization": sign})).notes
    assert note.startswith("payload_hash: expected the SHA-256 of the request")


def test_last_sentence_and_its_time_are_kept(client: Client) -> None:
    post(client, "/webhooks/events", EVENT, sign="Bearer a.b.c")
    refusal = Refusal.objects.get()
    assert refusal.sentence.startswith("expected a JSON Web Token, got something else")
    assert timezone.now() - refusal.last < timedelta(seconds=30)


# Tokens that come again.


def test_same_token_with_the_same_body_is_a_retry(client: Client) -> None:
    serve(talk("hello"), ECHO)
    body = json.dumps(QUERY).encode()
    token = bearer(body)
    first = post(client, "/webhooks/answer", body, token)
    before = rows()
    again = post(client, "/webhooks/answer/", body, token)
    assert (again.status_code, again.content, rows()) == (200, first.content, before)


def test_same_event_with_another_token_is_a_retry_too(client: Client) -> None:
    for _ in range(3):
        assert post(client, "/webhooks/events", EVENT).status_code == 204
    assert (TimelineEntry.objects.count(), SeenToken.objects.count()) == (1, 3)


@pytest.mark.parametrize("path", PATHS)
def test_same_token_with_another_body_is_refused(client: Client, path: str) -> None:
    first, other = (json.dumps({**QUERY, "status": word}).encode() for word in ("ringing", "completed"))
    assert post(client, path, first, bearer(first, jti="one")).status_code in (200, 204)
    before = rows()
    response = post(client, path, other, bearer(other, jti="one"))
    assert (response.status_code, response.content) == (401, b"the token came before, with another body\n")
    assert (rows(), counted()) == (before, {"replay": 1})


def test_same_token_of_a_get_with_another_query_is_refused(client: Client) -> None:
    token = bearer(compact(QUERY))
    assert get(client, "/webhooks/events", {**QUERY, "status": "ringing"}, token).status_code == 204
    assert get(client, "/webhooks/events", {**QUERY, "status": "ringing"}, token).status_code == 204
    assert get(client, "/webhooks/events", {**QUERY, "status": "completed"}, token).status_code == 401


def test_tokens_are_remembered_as_long_as_they_are_fresh() -> None:
    SeenToken.objects.admit("old", "a")
    later = timezone.now() + timedelta(seconds=KEPT_SECONDS + 1)
    with time_machine.travel(later):
        SeenToken.objects.admit("new", "b")
    assert SeenToken.objects.forget(timezone.now()) == 0
    assert SeenToken.objects.forget(later) == 1
    assert SeenToken.objects.get().jti == "new"


# Events that belong nowhere.


def test_signed_event_that_names_no_call_is_kept_once(client: Client) -> None:
    strange = {"status": "surprise", "colour": "green"}
    for _ in range(2):
        assert post(client, "/webhooks/events", strange).status_code == 204
    kept = StrayEvent.objects.get()
    assert (kept.name, kept.raw) == ("surprise", strange)
    assert not Call.objects.exists()


def test_stray_event_obeys_the_rules_of_tokens(client: Client) -> None:
    for colour, status in (("green", 204), ("blue", 401)):
        body = json.dumps({"colour": colour}).encode()
        assert post(client, "/webhooks/events", body, bearer(body, jti="one")).status_code == status
    assert StrayEvent.objects.get().raw == {"colour": "green"}


# Without secrets.


def test_nothing_is_checked_where_no_secret_is_configured(client: Client, settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {}
    with CaptureQueriesContext(connection):
        assert post(client, "/webhooks/events", EVENT, sign="").status_code == 204
        assert post(client, "/webhooks/events", {**EVENT, "status": "x"}, sign="Bearer rubbish").status_code == 204
    assert post(client, "/webhooks/events", {"status": "surprise"}, sign="").status_code == 400
    assert (SeenToken.objects.count(), StrayEvent.objects.count()) == (0, 0)
