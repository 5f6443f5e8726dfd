"""Knows that every open question is a knob: what each default does, and what its other answers do."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from callflows.simulator.account import APPLICATION
from callflows.simulator.effects import Closed
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour
from tests.simulator.world import NUMBER, STAYS, World, payload, run, socket

TALK = {"action": "talk", "text": "x" * 30}
GOODBYE = [{"action": "talk", "text": "Goodbye."}]
KEYS = {"action": "input", "type": ["dtmf"], "dtmf": {"timeOut": 1}}
SECRET = "fixture-signature-secret-0123456789abcdef"


def test_the_default_of_every_question_is_the_contracts() -> None:
    defaults = {
        "ncco_after_ws": "after",
        "webhook_retries": 1,
        "retry_delay": 1.0,
        "headers_over_512": "reject",
        "overflow": "newest",
        "buffer": 3072,
        "bad_frame": "edges",
        "clear_fires_notify": False,
        "ws_payload_hash": False,
        "dtx": False,
        "detail_generation": "timeout",
        "payload_generation": "2025",
        "other_legs_ended_by": "platform",
        "connected_form": "new",
        "record_timeout_blocks": False,
        "duplicate_rate": 0.0,
        "shuffle_started_ringing": False,
        "retry_events": "synchronous",
        "ncco_bytes": None,
        "wait_range": (0.1, 7200.0),
        "least_beep_timeout": 30,
        "number_update": "replace",
        "numbers_empty": "{}",
        "number_app_pair": "link",
        "trailing_slash": "kept",
        "numbers_rps": 10,
        "put_keys_omitted": "keep",
        "leg_persistence_default": 7,
    }
    assert {name: getattr(Knobs(), name) for name in defaults} == defaults
    assert defaults.keys() <= {each.name for each in fields(Knobs)}


def closes_after(frames: int) -> Any:
    left = [frames]

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        left[0] -= isinstance(message, bytes)
        return [Closed("", 1000)] if left[0] == 0 else []

    return app


def test_actions_after_a_socket_wait_for_its_end() -> None:
    world = run(socket(), TALK, app=closes_after(50), behaviour=Behaviour(seconds=30))
    assert next(note.t for note in world.notes if note.kind == "talk") > 1.0


def test_actions_after_a_socket_may_run_at_once_and_the_call_lasts_as_long_as_it() -> None:
    knobs = Knobs(ncco_after_ws="immediate")
    world = run(socket(), TALK, knobs=knobs, app=closes_after(200), behaviour=Behaviour(seconds=30))
    assert next(note.t for note in world.notes if note.kind == "talk") < 0.1
    assert world.names("websocket")[-2:] == ["disconnected", "completed"]
    assert world.events("websocket")[-1]["duration"] == "4"
    assert world.events()[-1]["disconnected_by"] == "platform"


def test_a_reply_to_disconnected_counts_there_too() -> None:
    knobs = Knobs(ncco_after_ws="immediate")
    replies = {"disconnected": [GOODBYE]}
    world = run(socket(), TALK, knobs=knobs, app=closes_after(200), replies=replies, behaviour=Behaviour(seconds=30))
    assert world.noted("talk") == [TALK["text"], "Goodbye."]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_attempts_after_the_first_one(retries: int) -> None:
    world = World("timeout", fallback="timeout", knobs=Knobs(webhook_retries=retries, retry_delay=0.5))
    world.call_in(STAYS)
    world.go()
    asked = [at for at, fetch in zip(world.times, world.requests, strict=True) if fetch.url.endswith("answer")]
    assert len(asked) == retries + 1
    assert not retries or asked[1] - asked[0] == pytest.approx(0.51)


def test_headers_that_are_too_long_are_an_error_or_are_left_out() -> None:
    long = socket(headers={"ref": "x" * 600})
    world = run(long, fallback=GOODBYE)
    assert "Syntax error" in world.event("error")["reason"]
    assert world.noted("talk") == ["Goodbye."]
    world = run(long, knobs=Knobs(headers_over_512="drop"))
    assert json.loads(str(world.sent[0])).keys() == {"event", "content-type"}
    assert world.events("websocket")[0]["headers"] == {}


@pytest.mark.parametrize(("overflow", "first"), [("newest", 1), ("oldest", 2)])
def test_a_full_buffer_loses_the_newest_or_the_oldest_frames(overflow: Any, first: int) -> None:
    frames = [bytes([place + 1, 0]) * 320 for place in range(6)]

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        return list(frames) if isinstance(message, str) else []

    world = run(socket(), app=app, knobs=Knobs(buffer=5, overflow=overflow))
    heard = world.sound.of("socket")
    assert (heard[0], len(heard) // 640, world.call.lost) == (first, 5, 1)


@pytest.mark.parametrize("frames", [1024, 3072])
def test_the_buffer_holds_so_many_frames(frames: int) -> None:
    def app(message: str | bytes) -> list[str | bytes | Closed]:
        return [bytes(640)] * (frames + 10) if isinstance(message, str) else []

    world = run(socket(), app=app, knobs=Knobs(buffer=frames), behaviour=Behaviour(seconds=70.0))
    assert (world.sound.frames, world.call.lost) == (frames, 10)


def test_a_wrong_frame_may_be_filled() -> None:
    def app(message: str | bytes) -> list[str | bytes | Closed]:
        return [b"\1" * 320] if isinstance(message, str) else []

    world = run(socket(), app=app, knobs=Knobs(bad_frame="pad"))
    assert world.sound.of("socket") == b"\1" * 320 + bytes(320)
    assert world.call.bad == 1


@pytest.mark.parametrize(("fires", "expected"), [(False, ["cleared"]), (True, ["notify", "cleared"])])
def test_a_clear_drops_the_notifies_that_wait_or_fires_them(fires: bool, expected: list[str]) -> None:
    notify = json.dumps(payload("websocket/command_notify"))

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        return [bytes(640), notify, '{"action":"clear"}'] if isinstance(message, str) and "connected" in message else []

    world = run(socket(), app=app, knobs=Knobs(clear_fires_notify=fires))
    told = [json.loads(each)["event"].partition(":")[2] for each in world.sent if isinstance(each, str)]
    assert told[1:] == expected


def test_a_notify_comes_back_when_all_before_it_was_played() -> None:
    def app(message: str | bytes) -> list[str | bytes | Closed]:
        marked: list[str | bytes | Closed] = [*[bytes(640)] * 50, '{"action":"notify","payload":{"mark":1}}']
        return marked if isinstance(message, str) and "connected" in message else []

    world = run(socket(), app=app)
    before = world.sent.index('{"event":"websocket:notify","payload":{"mark":1}}')
    assert before == pytest.approx(50 + 4, abs=2)


def test_older_payloads_have_no_new_members() -> None:
    new = {"disconnected_by", "sip_code", "region_url", "endpoint_type"}
    world = run(*GOODBYE, knobs=Knobs(payload_generation="2020"))
    assert not new & world.requests[0].query.keys()
    assert world.event("completed").keys() == payload("events/completed").keys()
    assert run(*GOODBYE).event("completed").keys() == payload("events/completed_2026").keys()


def test_a_part_of_the_events_comes_twice() -> None:
    world = run(*GOODBYE, knobs=Knobs(duplicate_rate=0.5))
    assert world.names() == ["started", "ringing", "ringing", "answered", "completed", "completed"]


def test_ringing_may_come_before_started_but_has_the_later_time() -> None:
    world = run(*GOODBYE, knobs=Knobs(shuffle_started_ringing=True))
    assert world.names()[:2] == ["ringing", "started"]
    assert world.event("started")["timestamp"] <= world.event("ringing")["timestamp"]
    assert world.call.leg.status == "completed"


@pytest.mark.parametrize(("which", "times"), [("synchronous", 1), ("all", 2)])
def test_plain_events_are_tried_again_after_a_503_or_not(which: Any, times: int) -> None:
    world = run(*GOODBYE, replies={"started": [(503, "", b""), None]}, knobs=Knobs(retry_events=which))
    assert world.names().count("started") == times


def test_disconnected_may_be_answered_only_where_the_connect_is_synchronous() -> None:
    replies = {"disconnected": [GOODBYE]}
    plain = {name: value for name, value in socket().items() if name != "eventType"}
    knobs = Knobs(disconnected_needs_synchronous=True)
    patient = Behaviour(seconds=30)
    assert run(plain, app=closes_after(20), replies=replies, behaviour=patient).noted("talk") == ["Goodbye."]
    assert run(plain, app=closes_after(20), replies=replies, behaviour=patient, knobs=knobs).noted("talk") == []


@pytest.mark.parametrize(
    ("timeout", "between", "seconds"),
    [(None, (0.1, 7200), 10.0), (0, (0.1, 7200), 0.1), (1, (2, 60), 2.0), (99, (2, 60), 60.0), ("3", (0.1, 7200), 3)],
)
def test_a_wait_is_brought_into_its_range(timeout: Any, between: Any, seconds: float) -> None:
    action = {"action": "wait"} if timeout is None else {"action": "wait", "timeout": timeout}
    world = run(action, behaviour=Behaviour(), knobs=Knobs(wait_range=between))
    assert world.platform.now == pytest.approx(seconds, abs=0.03)


def test_a_document_may_have_a_greatest_size() -> None:
    world = run({"action": "talk", "text": "x" * 500}, fallback=GOODBYE, knobs=Knobs(ncco_bytes=200))
    assert world.noted("talk") == ["Goodbye."]


def test_a_socket_may_not_ring() -> None:
    world = run(socket(), knobs=Knobs(ws_ringing=False))
    assert world.names("websocket") == ["started", "answered", "completed"]


# The fallback, and notify


def test_an_invalid_document_of_the_fallback_ends_the_call() -> None:
    world = run(KEYS, TALK, replies={"input": [(200, "application/json", b"[{}]")]}, fallback=[{"action": "pay"}])
    assert world.noted("talk") == []
    assert world.call.leg.ended


def test_an_application_without_a_fallback_ends_the_call_when_its_answer_fails() -> None:
    world = World((500, "", b""))
    hooks = world.platform.account.applications[APPLICATION].document["capabilities"]["voice"]["webhooks"]
    del hooks["fallback_answer_url"]
    world.call_in(STAYS)
    world.go()
    assert world.names() == ["started", "ringing", "completed"]


def test_the_reply_to_a_notify_replaces_the_document_and_an_empty_one_does_not() -> None:
    example = payload("events/notify")
    tell = {"action": "notify", "payload": example["payload"], "eventUrl": ["http://app.example/told"]}
    world = run(tell, TALK, replies={"notify": [GOODBYE]})
    assert world.noted("talk") == ["Goodbye."]
    body = world.event("notify")
    assert (body.keys(), body["payload"]) == (example.keys(), example["payload"])
    assert [fetch.url for fetch in world.requests if fetch.body == body] == ["http://app.example/told"]
    assert run(tell, TALK).noted("talk") == [TALK["text"]]


@pytest.mark.parametrize("name", ["notify", "input_dtmf", "started", "error_invalid_ncco"])
def test_events_by_get_have_flat_parameters(name: str) -> None:
    example = payload(f"events_get/{name}")
    get = {"eventUrl": ["http://app.example/got"], "eventMethod": "GET"}
    tell = {"action": "notify", "payload": {"step": "greeting_done", "ref": 20931}, **get}
    world = World([tell, {**KEYS, **get}], replies={"input": [(200, "application/json", b"[{}]")]})
    world.platform.account.applications[APPLICATION].document["capabilities"]["voice"]["webhooks"]["event_url"][
        "http_method"
    ] = "GET"
    world.call_in(STAYS)
    world.go()
    sent = [fetch.query for fetch in world.requests if fetch.method == "GET"]
    assert any(query.keys() == example.keys() for query in sent)
    assert all(isinstance(value, str) for query in sent for value in query.values())


# Calls in by other ways


def test_headers_of_a_sip_call_are_parameters_of_the_answer_webhook() -> None:
    example = payload("answer/post_inbound_sip")
    world = World(GOODBYE, method="POST")
    headers = {"X-UserId": "1938ND9", "User-to-User": "342342ef34;encoding=hex", "X-Nexmo-Inner": "1"}
    world.call_in(STAYS, example["from"], kind="sip", headers=headers, application=APPLICATION)
    world.go()
    assert world.requests[0].body is not None
    body = next(fetch.body for fetch in world.requests if fetch.url.endswith("answer"))
    assert body is not None
    assert body.keys() == example.keys()
    assert body["SipHeader_X-UserId"] == "1938ND9"


def test_a_call_of_an_app_has_from_user_and_its_data() -> None:
    world = World(GOODBYE, method="POST")
    world.call_in(STAYS, "ada", kind="app", application=APPLICATION, custom_data={"ref": "7"})
    world.go()
    body = next(fetch.body for fetch in world.requests if fetch.url.endswith("answer"))
    assert body is not None
    assert (body["from_user"], body["custom_data"], "from" in body) == ("ada", {"ref": "7"}, False)
    assert body["to"] == NUMBER
