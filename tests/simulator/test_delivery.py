"""Knows how webhooks are delivered: forms, attempts, the fallback URL."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callflows.simulator.delivery import INVALID, as_query, judge
from callflows.simulator.effects import Fetched
from callflows.simulator.knobs import Knobs
from tests.simulator.world import JSON, Series, World, caller, payload

GOODBYE = [{"action": "talk", "text": "Goodbye."}]
NOTHING: list[Any] = []
KEYS = [{"action": "input", "type": ["dtmf"]}]


def paths(world: World) -> list[str]:
    return [fetch.url.rpartition("/")[2] for fetch in world.requests if not fetch.url.endswith("events")]


def shape(body: Any) -> dict[str, str]:
    """The fields of a payload with their types, in no order."""
    return {key: type(value).__name__ for key, value in body.items()}


def test_answer_webhook_is_a_get_with_all_fields_in_its_query() -> None:
    world = World(GOODBYE)
    world.run(caller())
    fetch = world.requests[0]
    expected = payload("answer/get_inbound_phone_2026")
    assert (fetch.method, fetch.body) == ("GET", None)
    assert shape(fetch.query) == shape(expected)
    assert {name: fetch.query[name] for name in ("to", "from")} == {name: expected[name] for name in ("to", "from")}
    assert fetch.query["uuid"].isalnum()
    assert len(fetch.query["uuid"]) == 32
    assert fetch.query["conversation_uuid"].startswith("CON-")


def test_answer_webhook_can_be_a_post() -> None:
    world = World(GOODBYE)
    world.run(caller(), method="POST")
    assert shape(world.requests[0].body) == shape(payload("answer/post_inbound_phone_2026"))


@pytest.mark.parametrize("first", ["timeout", "reset", "closed", (429, "", b""), (503, "", b""), (504, "", b"")])
def test_answer_webhook_is_tried_again_after_a_second(first: Any) -> None:
    world = World(Series([first, GOODBYE]))
    call = world.run(caller())
    assert paths(world) == ["answer", "answer"]
    times = [at for at, fetch in zip(world.times, world.requests, strict=True) if fetch.url.endswith("answer")]
    assert times[1] - times[0] == pytest.approx(1.01)
    assert call.refusals == []


@pytest.mark.parametrize("answer", [(404, "", b""), (401, "", b""), (500, "", b"")])
def test_other_statuses_go_straight_to_the_fallback(answer: Any) -> None:
    world = World(answer, fallback=GOODBYE)
    call = world.run(caller())
    assert paths(world) == ["answer", "fallback"]
    # A wrong path is the usual reason of a 404.
    asked = "answer webhook /webhooks/answer" if answer[0] == 404 else "answer webhook"
    assert call.refusals == [f"{asked}: Invalid response code. HTTP {answer[0]}"]
    assert world.names("phone")[-1] == "completed"


def test_after_two_attempts_at_both_the_call_ends_unanswered() -> None:
    world = World("timeout", fallback="timeout")
    call = world.run(caller())
    assert paths(world) == ["answer", "answer", "fallback", "fallback"]
    assert world.names() == ["started", "ringing", "completed"]
    assert world.events()[-1]["duration"] == "0"
    assert world.events()[-1]["start_time"] is None
    assert len(call.refusals) == 2


def test_answer_is_awaited_for_five_seconds() -> None:
    world = World(Series(["hangs", GOODBYE]))
    world.run(caller())
    times = [at for at, fetch in zip(world.times, world.requests, strict=True) if fetch.url.endswith("answer")]
    assert times[1] - times[0] == pytest.approx(6.0)


@pytest.mark.parametrize(("method", "form"), [("GET", "get_fallback"), ("POST", "post_fallback")])
def test_fallback_gets_the_first_payload_and_the_reason(method: str, form: str) -> None:
    world = World("timeout", fallback=GOODBYE)
    world.run(caller(), method=method)
    fetch = next(each for each in world.requests if each.url.endswith("fallback"))
    body = dict(fetch.body or fetch.query)
    new = {"endpoint_type": "str", "region_url": "str"}
    assert shape(body) == shape(payload(f"answer/{form}")) | new
    assert body["reason"] == "Socket timeout."
    request = body["original_request"]
    assert (json.loads(request) if method == "GET" else request) == {
        "url": "http://app.example/webhooks/answer",
        "type": "answer",
    }


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "talk", "text": "no list"},
        [{"action": "hangup"}],
        [{"action": "talk"}],
        (200, "text/html", b"[]"),
        (200, JSON, b"[{"),
        (200, JSON, b""),
    ],
)
def test_an_invalid_ncco_is_an_error_event_and_then_the_fallback(answer: Any) -> None:
    world = World(answer, fallback=GOODBYE)
    call = world.run(caller())
    assert paths(world) == ["answer", "fallback"]
    error = next(body for body in world.events() if "reason" in body)
    assert shape(error) == shape(payload("events/error_invalid_ncco"))
    assert error["reason"] == payload("events/error_invalid_ncco")["reason"]
    fallback = next(fetch for fetch in world.requests if fetch.url.endswith("fallback"))
    assert fallback.query["reason"] == payload("answer/post_fallback_invalid_ncco")["reason"]
    assert "Invalid NCCO." in call.refusals[0]


def test_an_empty_document_is_answered_and_ends_the_call() -> None:
    world = World(NOTHING)
    assert world.run(caller()).refusals == []
    assert world.names() == ["started", "ringing", "answered", "completed"]


def test_a_synchronous_event_that_fails_goes_to_the_fallback_and_then_the_old_flow_goes_on() -> None:
    world = World([*KEYS, *GOODBYE], replies={"input": ["timeout", "timeout"]}, fallback="timeout")
    world.run(caller("1@0.5"))
    assert paths(world) == ["answer", "fallback", "fallback"]
    body = next(fetch.query for fetch in world.requests if fetch.url.endswith("fallback"))
    assert json.loads(body["original_request"])["type"] == "event"
    assert [note.text for note in world.notes if note.kind == "talk"] == ["Goodbye."]


def test_the_fallback_of_a_synchronous_event_may_bring_the_document() -> None:
    world = World(KEYS, replies={"input": [(500, "", b"")]}, fallback=GOODBYE)
    world.run(caller("1@0.5"))
    assert [note.text for note in world.notes if note.kind == "talk"] == ["Goodbye."]


def test_an_event_without_answer_is_not_tried_again_for_a_status() -> None:
    world = World(NOTHING, replies={"started": [(500, "text/plain", b"broken  here")]})
    call = world.run(caller())
    assert world.names() == ["started", "ringing", "answered", "completed"]
    assert call.refusals == ["event webhook of 'started': Invalid response code. HTTP 500 broken here"]


def test_events_stay_in_order_behind_a_slow_one() -> None:
    world = World(GOODBYE, replies={"started": ["hangs"]})
    world.run(caller())
    assert world.names() == ["started", "started", "ringing", "answered", "completed"]


def test_nested_values_are_json_text_in_a_query() -> None:
    assert as_query({"a": None, "b": {"c": 1}, "d": 2, "e": "f", "g": True}) == {
        "a": "",
        "b": '{"c":1}',
        "d": "2",
        "e": "f",
        "g": "true",
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *(("text/plain", b"OK"), ("text/html", b"<html>OK</html>"), (JSON, b'{"status":"ok"}'), (JSON, b"null")),
        *((JSON, b"OK"), ("", b"200"), (JSON, b'"ok"'), (JSON, b" "), ("text/plain", b"[object Object]")),
    ],
)
def test_reply_to_an_event_that_is_no_array_lets_the_next_action_run(kind: str, body: bytes) -> None:
    reply = judge(Fetched(1, 200, kind, body), "document or nothing", Knobs())
    assert (reply.document, reply.reason) == (None, "")
    assert reply.text == (f"got no NCCO, so the next action runs: {body.decode()}" if body.strip() else "")
    assert judge(Fetched(1, 200, kind, body), "document", Knobs()).reason == INVALID


@pytest.mark.parametrize("body", [b"[{]", b'[{"action":"tlak"}]', b"[1]"])
def test_reply_that_was_meant_as_an_ncco_is_judged_as_one(body: bytes) -> None:
    assert judge(Fetched(1, 200, JSON, body), "document or nothing", Knobs()).reason == INVALID
