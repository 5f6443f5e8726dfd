"""Knows what the answer webhook must do: the right NCCO, in one transaction, in time, and always something."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.conf import settings as live_settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from callflows.models import Application, Call, HeaderSet, Line, Refusal, SocketRefused, TimelineEntry
from callflows.webhooks import answering
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, ask, make_flow, make_number, make_prompt, streamed, talk, tell
from tests.services import wait_until
from tests.signing import APPLICATION, KEY, SECRET, bearer

pytestmark = pytest.mark.django_db(transaction=True)

SAFE = live_settings.SAFE_NCCO


def test_caller_gets_the_flow_of_the_number(client: Client) -> None:
    make_number(make_flow(talk("welcome", "Hello {{ from }}"), ECHO))
    speech, connect = ask(client)
    assert speech == {"action": "talk", "text": f"Hello {CALLER}"}
    (endpoint,) = connect["endpoint"]
    assert endpoint["content-type"] == "audio/l16;rate=16000"
    assert re.fullmatch(r"ws://testserver/socket/[\w-]{16}/[^/]+", endpoint["uri"])
    assert connect["eventType"] == "synchronous"
    assert connect["eventUrl"][0].startswith("http://testserver/webhooks/events/")


def test_call_is_opened_with_leg_line_and_timeline(client: Client) -> None:
    number = make_number(make_flow(ECHO))
    ask(client)
    call = Call.objects.get()
    assert (call.uuid, call.caller, call.number, call.flow_name) == (UUID, CALLER, number, "Echo")
    leg = call.legs.get()
    assert (leg.uuid, leg.room, leg.kind) == (UUID, ROOM, "phone")
    assert call.lines.get().state == Line.State.EXPECTED
    entry = call.timeline.get()
    assert entry.kind == TimelineEntry.Kind.ANSWER
    assert entry.text == "Served Echo from step echo"


def test_answer_takes_six_queries_and_one_more_after_an_event(client: Client) -> None:
    """The number, whoever is there, and a row each of call, leg, line and timeline."""
    make_number(make_flow(talk("welcome"), ECHO))
    ask(client, uuid="c" * 32, conversation_uuid="CON-3")
    queries = list[str]()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "PRAGMA")):
            queries.append(sql)
        return execute(sql, params, many, context)

    original = answering.Answer._in_transaction

    def counted(self: answering.Answer, turn: Any) -> str:
        # In the webhook's own thread, which has a connection of its own.
        with connection.execute_wrapper(count):
            return original(self, turn)

    with patch.object(answering.Answer, "_in_transaction", counted):
        ask(client)
        fresh = len(queries)
        tell(client, uuid="b" * 32, conversation_uuid="CON-2", status="started", to=NUMBER)
        queries.clear()
        ask(client, uuid="b" * 32, conversation_uuid="CON-2")
    assert fresh == 6, queries
    assert len(queries) <= 7, queries


def test_repeated_answer_gets_the_same_bytes_and_opens_nothing(client: Client) -> None:
    make_number(make_flow(ECHO))
    query = {"to": NUMBER, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM}
    first = client.get("/webhooks/answer", query)
    again = client.get("/webhooks/answer/", query)
    assert first.content == again.content
    assert (Call.objects.count(), Line.objects.count(), TimelineEntry.objects.count()) == (1, 1, 1)


def test_replies_are_forgotten_after_a_day(client: Client) -> None:
    """Addresses in them steer a call; a repeat that comes later gets the safe NCCO, and opens nothing."""
    make_number(make_flow(ECHO))
    ask(client)
    now = timezone.now()
    assert TimelineEntry.objects.forget_replies(now + timedelta(hours=23)) == 0
    assert TimelineEntry.objects.forget_replies(now + timedelta(hours=25)) == 1
    assert TimelineEntry.objects.forget_replies(now + timedelta(hours=25)) == 0
    assert "/webhooks/events/" not in "".join(entry.reply for entry in TimelineEntry.objects.all())
    assert ask(client) == SAFE
    assert (Call.objects.count(), Line.objects.count(), TimelineEntry.objects.count()) == (1, 1, 1)


def test_post_is_answered_like_get(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    body = {"to": NUMBER, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM, "endpoint_type": "phone"}
    response = client.post("/webhooks/answer", json.dumps(body), content_type="application/json")
    assert json.loads(response.content) == [{"action": "talk", "text": "Hello"}]


def test_answer_completes_the_call_that_an_event_opened(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    tell(client, status="started", to=NUMBER, **{"from": CALLER})
    ask(client)
    call = Call.objects.get()
    assert (call.flow_name, call.status) == ("Echo", "started")
    assert [entry.name for entry in call.timeline.order_by("pk")] == ["started", "answer"]


def test_header_values_are_those_of_the_published_version(client: Client) -> None:
    headers = HeaderSet.objects.create(name="Echo headers")
    row = headers.rows.create(key="caller", value="{{ from }}")
    headers.rows.create(key="tenant", kind="json", value="7")
    flow = make_flow(("echo", "connect", {**ECHO[2], "headerSet": headers.pk}))
    make_number(flow)
    row.value = "changed"
    row.save()
    assert ask(client)[0]["endpoint"][0]["headers"] == {"caller": CALLER, "tenant": 7}


def test_draft_reaches_callers_only_when_published(client: Client) -> None:
    flow = make_flow(talk("hello", "Old"))
    make_number(flow)
    flow.steps.update(options={"text": "New"})
    assert ask(client)[0]["text"] == "Old"
    flow.publish({})
    assert ask(client, uuid="c" * 32)[0]["text"] == "New"


def test_stream_of_a_prompt_names_an_address_that_works(client: Client) -> None:
    prompt = make_prompt(seconds=0.5)
    make_number(make_flow(("music", "stream", {"prompt": prompt.pk})))
    (url,) = ask(client)[0]["streamUrl"]
    response = client.get(url.removeprefix("http://testserver"))
    assert response.status_code == 200
    assert "immutable" in response["Cache-Control"]
    part = client.get(url.removeprefix("http://testserver"), headers={"Range": "bytes=0-3"})
    assert (part.status_code, streamed(part)) == (206, b"RIFF")
    assert client.get(url.removeprefix("http://testserver")[:-8] + "x.wav").status_code == 404


@override_settings(PUBLIC_URL="https://calls.example.com")
def test_public_url_makes_secure_addresses(client: Client) -> None:
    make_number(make_flow(ECHO))
    (connect,) = ask(client)
    assert connect["endpoint"][0]["uri"].startswith("wss://calls.example.com/socket/")
    assert connect["eventUrl"][0].startswith("https://calls.example.com/webhooks/events/")


def test_token_lasts_until_the_actions_before_it_have_ended(client: Client) -> None:
    # 294 characters at 3 a second, and 2 s: at most 100 s, then 60 s for the socket.
    make_number(make_flow(talk("long", "a" * 294), ECHO))
    ask(client)
    line = Line.objects.get()
    with time_machine.travel(timezone.now() + timedelta(seconds=155)):
        assert Line.objects.admit(line.pk, line.token) == line
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=161)),
        pytest.raises(SocketRefused, match="the token expired"),
    ):
        Line.objects.admit(line.pk, line.token)


# Whatever goes wrong, someone is listening.


def safe_reason(ncco: Any) -> str:
    assert ncco == SAFE
    assert Call.objects.get().outcome == "not served"
    return str(TimelineEntry.objects.get().text)


def test_unknown_number_gets_the_safe_ncco(client: Client) -> None:
    assert "No phone number 447700900099 is configured" in safe_reason(ask(client, to="447700900099"))


def test_request_without_a_number_is_told_in_whole_sentences(client: Client) -> None:
    client.get("/webhooks/answer", {"uuid": UUID, "conversation_uuid": ROOM, "headers": "none"})
    assert TimelineEntry.objects.get().text == (
        "What was called is no phone number, and no application is configured: the safe NCCO was served. "
        "headers: expected JSON, got text, which is kept as it came"
    )


def test_application_whose_callers_bring_no_number_is_the_only_one(client: Client) -> None:
    app = {"from_user": "alice", "to": "", "uuid": UUID, "conversation_uuid": ROOM}
    for name in ("one", "two"):
        Application.objects.create(name=name, application_id=name, flow=make_flow(talk("hello"), name=name))
    assert client.get("/webhooks/answer", app).json() == live_settings.SAFE_NCCO
    (entry,) = TimelineEntry.objects.all()
    assert "of several applications the webhook names none" in entry.text
    Application.objects.filter(name="one").delete()
    assert client.get("/webhooks/answer", {**app, "uuid": "b" * 32}).json() == [{"action": "talk", "text": "Hello"}]
    Application.objects.update(flow=None)
    assert client.get("/webhooks/answer", {**app, "uuid": "c" * 32}).json() == live_settings.SAFE_NCCO
    assert (
        TimelineEntry.objects.latest("pk").text
        == "Nothing to serve: application two has no flow. The safe NCCO was served."
    )


def test_application_that_signed_answers_its_callers(client: Client, settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    for name in (APPLICATION, "another"):
        flow = make_flow(talk("hello", f"Hello from {name}"), name=name)
        Application.objects.create(name=name, application_id=name, flow=flow)
    app = {"from_user": "alice", "uuid": UUID, "conversation_uuid": ROOM}
    headers = {"Authorization": bearer(json.dumps(app).encode())}
    reply = client.post("/webhooks/answer", json.dumps(app), content_type="application/json", headers=headers)
    assert reply.json() == [{"action": "talk", "text": f"Hello from {APPLICATION}"}]


def test_flow_without_version_gets_the_safe_ncco(client: Client) -> None:
    make_number(make_flow(talk("hello"), publish=False))
    assert "flow Echo has no published version" in safe_reason(ask(client))


def test_number_without_flow_gets_its_own_safe_ncco(client: Client) -> None:
    own = [{"action": "talk", "text": "We are closed."}]
    make_number(None, safe_ncco=own)
    assert ask(client) == own
    assert "the number has no flow" in TimelineEntry.objects.get().text


def test_error_of_ours_gets_the_safe_ncco(client: Client) -> None:
    make_number(make_flow(ECHO))
    with patch.object(answering, "serve", side_effect=RuntimeError("broken")):
        assert ask(client) == SAFE
        wait_until(TimelineEntry.objects.exists, "the reason is written down")
    assert TimelineEntry.objects.get().text == "The safe NCCO was served: RuntimeError: broken"


def test_answer_without_uuid_is_answered_and_not_recorded(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    assert ask(client, uuid="") == SAFE
    assert not Call.objects.exists()


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a long write of another process does."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_locked_database_still_answers_in_time_and_the_reason_follows(client: Client) -> None:
    own = [{"action": "talk", "text": "One moment please."}]
    make_number(make_flow(ECHO), safe_ncco=own)
    with held_lock(Path(connection.settings_dict["NAME"])):
        # It comes while the lock is held: so nothing waits for that, but for the deadline of 1.2 s.
        assert ask(client) == own
        assert not Call.objects.exists()
    wait_until(TimelineEntry.objects.exists, "the reason is written down")
    assert "the database is away: database is locked" in TimelineEntry.objects.get().text
    assert not Line.objects.exists()


# Refusals, in order: method, size, readable.


@pytest.mark.parametrize("path", ["/webhooks/answer", "/webhooks/events", "/webhooks/fallback"])
class TestRefusals:
    def test_wrong_method(self, client: Client, path: str) -> None:
        response = client.put(path, "{}", content_type="application/json")
        assert (response.status_code, response["Allow"]) == (405, "GET, POST")

    def test_too_large(self, client: Client, path: str) -> None:
        response = client.post(path, b" " * 1_000_000, content_type="application/json")
        assert (response.status_code, response.content) == (413, b"expected at most 262144 bytes, got 1000000\n")

    @pytest.mark.parametrize(
        "body", [b"", b"rubbish", b"[]", b'"text"', b"\xff", b'{"uuid": "\\u0000"}', b"[" * 10_000]
    )
    def test_unreadable(self, client: Client, path: str, body: bytes) -> None:
        response = client.post(path, body, content_type="application/json")
        assert response.status_code == 400
        assert response.content.startswith(b"expected ")
        assert not Call.objects.exists()
        assert Refusal.objects.get(reason="body").times == 1


def test_trailing_slash_makes_no_redirect(client: Client) -> None:
    with CaptureQueriesContext(connection):
        for path in ("/webhooks/answer", "/webhooks/answer/", "/webhooks/fallback", "/webhooks/fallback/"):
            assert client.get(path, {"to": NUMBER, "uuid": path}).status_code == 200
