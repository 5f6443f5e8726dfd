"""The contract read a second time, sections 2, 3, 4 and 6: what the fake's webhooks carry, and when."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

import numpy as np
import pytest

from callflows.simulator.caller import Press
from callflows.simulator.party import Behaviour
from callflows.simulator.sound import Voice
from tests.simulator.second_reader import (
    APPLICATION,
    CALLEE,
    CALLER,
    HOST,
    OURS,
    Given,
    Request,
    checked,
    second,
)

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
WAITS = [{"action": "wait", "timeout": 0.2}]
# Somebody who stays until the NCCO is done.
STAYS = Behaviour()
COMMON = {"from", "to", "uuid", "conversation_uuid", "status", "timestamp"}
# Section 3.2, and the members of 3.9 and 3.18.
MEMBERS = {
    "started": COMMON | {"direction", "headers"},
    "ringing": COMMON | {"direction", "headers"},
    "answered": COMMON | {"direction", "headers", "start_time", "rate", "network"},
    "completed": COMMON
    | {"direction", "headers", "start_time", "end_time", "duration", "rate", "price", "network"}
    | {"disconnected_by", "sip_code"},
}


def keys(text: str) -> Behaviour:
    """Somebody who presses keys when the flow listens."""
    return Behaviour(presses=tuple(Press.parse(text)))


def told(path: str) -> dict[str, Any]:
    """An action that asks for a path of ours."""
    return {"action": "notify", "payload": {}, "eventUrl": [f"https://{HOST}/{path}"]}


async def test_an_inbound_call_asks_for_its_script_by_post() -> None:
    async with second(WAITS, caller=STAYS) as run:
        await run.event("completed")
        (asked,) = run.asked("/answer")
    assert asked.method == "POST"
    assert asked.headers["content-type"].startswith("application/json")
    body = asked.members
    assert set(body) == {"to", "from", "uuid", "conversation_uuid", "region_url", "endpoint_type"}
    assert {type(each) for each in body.values()} == {str}
    assert (body["to"], body["from"], body["endpoint_type"]) == (OURS, CALLER, "phone")
    assert re.fullmatch(f"CON-{ID}", body["conversation_uuid"])
    assert 0 < len(body["uuid"]) <= 64
    assert body["region_url"].startswith("http")


async def test_the_events_of_a_call_have_their_members_in_their_order() -> None:
    async with second(WAITS, caller=STAYS) as run:
        await run.event("completed")
        paths, events = [each.path for each in run.site.requests], run.events
    assert sorted(each["status"] for each in events[:2]) == ["ringing", "started"]
    assert [each["status"] for each in events[2:]] == ["answered", "completed"]
    # It rings until the script is there.
    assert paths.index("/answer") < [n for n, path in enumerate(paths) if path == "/events"][2]
    assert len({(each["uuid"], each["conversation_uuid"]) for each in events}) == 1
    stamps = [each["timestamp"] for each in events]
    assert stamps == sorted(stamps)
    for each in events:
        assert set(each) == MEMBERS[each["status"]]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["timestamp"])
        assert (each["from"], each["to"], each["direction"], each["headers"]) == (CALLER, OURS, "inbound", {})
    answered, completed = events[2:]
    assert (answered["start_time"], answered["rate"], answered["network"]) == (None, None, None)
    assert {type(completed[each]) for each in ("duration", "rate", "price", "network")} == {str}
    assert completed["start_time"].endswith(".000Z")
    assert completed["end_time"].endswith(".000Z")
    assert (completed["disconnected_by"], completed["sip_code"]) == ("platform", 200)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_every_webhook_is_signed_over_what_it_carries(method: str) -> None:
    notify = {
        "action": "notify",
        "payload": {"foo": "b&r"},
        "eventUrl": [f"https://{HOST}/told?step=a%2Fb"],
        "eventMethod": method,
    }
    async with second([notify], caller=STAYS, method=method) as run:
        await run.event("completed")
        requests = run.site.requests
        (told,) = run.asked("/told")
    assert {each.method for each in requests} == {method}
    seen = set()
    for each in requests:
        claims = checked(each.headers["authorization"])
        assert set(claims) - {"application_id"} == {"iat", "jti", "iss", "payload_hash", "api_key"}
        assert (claims["iss"], claims["application_id"], claims["api_key"]) == ("Vonage", APPLICATION, "abcd1234")
        assert isinstance(claims["iat"], int)
        assert abs(claims["iat"] - time.time()) < 30
        assert claims["payload_hash"] == hashlib.sha256(content(each)).hexdigest()
        assert re.fullmatch(ID, claims["jti"])
        seen.add(claims["jti"])
    assert len(seen) == len(requests)
    payload = told.members["payload"]
    # By GET nested values are JSON text.
    assert (json.loads(payload) if method == "GET" else payload) == {"foo": "b&r"}
    assert told.query["step"] == "a/b"
    assert set(told.members) - {"step"} == {"payload", "conversation_uuid", "timestamp"}


def content(request: Request) -> bytes:
    """What the hash is counted over, as section 6.3 says."""
    return request.body or json.dumps(request.query, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("given", "times", "reason"),
    [
        (503, 2, "Invalid response code."),
        (404, 1, "Invalid response code."),
        ([{"action": "hangup"}], 1, "Invalid NCCO."),
        ([{"action": "talk", "text": 5}], 1, "Invalid NCCO."),
    ],
)
async def test_what_cannot_be_run_goes_to_the_fallback(given: Given, times: int, reason: str) -> None:
    async with second(given, caller=STAYS, pages={"/fallback": [WAITS]}, retry_delay=0.2) as run:
        await run.event("completed")
        answers, (fallback,), errors = run.asked("/answer"), run.asked("/fallback"), run.came("error")
        assert run.came("answered")
    assert len(answers) == times
    original = {"url": f"https://{HOST}/answer", "type": "answer"}
    assert fallback.members == {**answers[0].members, "reason": reason, "original_request": original}
    if reason == "Invalid NCCO.":
        assert set(errors[0]) == {"reason", "conversation_uuid", "timestamp"}
        assert errors[0]["reason"]
        assert errors[0]["conversation_uuid"] == answers[0].members["conversation_uuid"]


async def test_without_a_working_fallback_the_call_ends() -> None:
    async with second(503, caller=STAYS, pages={"/fallback": [503]}, retry_delay=0.1) as run:
        await run.event("completed")
        assert (len(run.asked("/answer")), len(run.asked("/fallback"))) == (2, 2)
        assert not run.came("answered")


@pytest.mark.parametrize(
    ("outcome", "status", "more"),
    [
        ("busy", "busy", {"sip_code": 486}),
        ("unavailable", "unanswered", {"sip_code": 480, "detail": "unavailable"}),
        ("declines", "rejected", {"sip_code": 603, "detail": "declined"}),
        ("no route", "failed", {"sip_code": 404, "detail": "cannot_route"}),
    ],
)
async def test_a_called_party_that_does_not_answer_is_told(outcome: Any, status: str, more: dict[str, Any]) -> None:
    async with second(callee=Behaviour(outcome=outcome, rings=0.05)) as run:
        await run.dial(ncco=WAITS)
        event = await run.event(status)
        assert set(event) - {"headers"} == COMMON | {"direction"} | set(more)
        assert {name: event[name] for name in more} == more
        assert (event["from"], event["to"], event["direction"]) == (OURS, CALLEE, "outbound")
        if status != "rejected":
            assert (await run.event("completed"))["duration"] == "0"
        assert not run.came("answered")


async def test_nobody_at_all_is_a_timeout() -> None:
    async with second(callee=Behaviour(rings=None)) as run:
        await run.dial(ncco=WAITS, ringing_timer=1)
        event = await run.event("timeout")
        assert set(event) - {"headers"} == COMMON | {"direction"}
        assert await run.event("completed")


@pytest.mark.parametrize(
    ("pressed", "options", "dtmf"),
    [
        ("12@0.1", {"maxDigits": 2}, {"digits": "12", "timed_out": False}),
        ("7#@0.1", {"submitOnHash": True}, {"digits": "7", "timed_out": False}),
        ("7@0.1", {"timeOut": 1}, {"digits": "7", "timed_out": True}),
        ("", {"timeOut": 1}, {"digits": "", "timed_out": True}),
    ],
)
async def test_keys_are_collected(pressed: str, options: dict[str, Any], dtmf: dict[str, Any]) -> None:
    ncco = [{"action": "input", "type": ["dtmf"], "dtmf": options}]
    async with second(ncco, caller=keys(pressed) if pressed else STAYS) as run:
        event = await run.event("input")
        assert set(event) == {"speech", "dtmf", "from", "to", "uuid", "conversation_uuid", "timestamp"}
        assert event["dtmf"] == dtmf
        assert event["speech"] in ({"error": "Speech was not enabled"}, {"results": []})
        assert event["uuid"] == run.asked("/answer")[0].members["uuid"]


async def test_a_reply_to_input_replaces_the_script() -> None:
    ncco = [{"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}}, told("old")]
    async with second(ncco, caller=keys("1@0.1"), replies={"input": [[told("new")]]}) as run:
        await run.event("completed")
        assert (len(run.asked("/new")), len(run.asked("/old"))) == (1, 0)
    async with second(ncco, caller=keys("1@0.1"), replies={"input": [None]}) as run:
        await run.event("completed")
        assert len(run.asked("/old")) == 1


async def test_speech_is_recognised_with_confidence_as_text() -> None:
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 8000).astype(np.float32)
    speaks = Behaviour(voice=Voice.of(noise, 16000), text="sales")
    ncco = [{"action": "input", "type": ["speech"], "speech": {"endOnSilence": 0.4, "startTimeout": 3}}]
    async with second(ncco, caller=speaks) as run:
        event = await run.event("input")
    assert event["dtmf"] == {"digits": None, "timed_out": False}
    assert event["speech"]["timeout_reason"] == "end_on_silence_timeout"
    best = event["speech"]["results"][0]
    assert (set(best), best["text"], type(best["confidence"])) == ({"confidence", "text"}, "sales", str)
    assert 0 < float(best["confidence"]) <= 1


async def test_a_connected_party_is_told_of_where_the_action_says() -> None:
    phone = {"type": "phone", "number": CALLEE}
    connect = {"action": "connect", "from": OURS, "endpoint": [phone], "eventUrl": [f"https://{HOST}/legs"]}
    async with second([connect], caller=STAYS, callee=Behaviour(rings=0.05, seconds=0.3, counts="answered")) as run:
        await run.event("completed")
        legs = [each.members for each in run.asked("/legs")]
        inbound = run.asked("/answer")[0].members
        assert len(run.asked("/answer")) == 1
    # Only the caller's own are at the application's URL.
    assert {each["uuid"] for each in run.events} == {inbound["uuid"]}
    assert sorted(each["status"] for each in legs) == ["answered", "completed", "ringing", "started"]
    for each in legs:
        assert set(each) - {"headers"} == MEMBERS[each["status"]] - {"headers"}
        assert (each["direction"], each["from"], each["to"]) == ("outbound", OURS, CALLEE)
        assert each["conversation_uuid"] == inbound["conversation_uuid"]
        assert each["uuid"] != inbound["uuid"]


@pytest.mark.parametrize("synchronous", [True, False])
async def test_a_busy_party_is_answered_with_a_script_only_when_synchronous(synchronous: bool) -> None:
    connect = {"action": "connect", "from": OURS, "endpoint": [{"type": "phone", "number": CALLEE}]}
    kind = {"eventType": "synchronous"} if synchronous else {}
    replies: dict[str, list[Given]] = {"busy": [[told("new")]]}
    callee = Behaviour(outcome="busy", rings=0.05)
    async with second([{**connect, **kind}, told("old")], caller=STAYS, callee=callee, replies=replies) as run:
        caller = (await run.event("answered"))["uuid"]
        await run.until(lambda: [each for each in run.came("completed") if each["uuid"] == caller])
        assert (len(run.asked("/new")), len(run.asked("/old"))) == ((1, 0) if synchronous else (0, 1))


async def test_an_input_event_that_fails_goes_to_the_fallback_and_then_the_script_goes_on() -> None:
    ncco = [{"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}}, told("old")]
    fails: dict[str, list[Given]] = {"input": [503, 503]}
    pages: dict[str, list[Given]] = {"/fallback": [[told("new")]]}
    async with second(ncco, caller=keys("1@0.1"), replies=fails, pages=pages, retry_delay=0.1) as run:
        await run.event("completed")
        event, again = run.came("input")
        assert event == again
        (fallback,) = run.asked("/fallback")
        original = {"url": f"https://{HOST}/events", "type": "event"}
        reason = "Invalid response code."
        assert fallback.members == {**event, "reason": reason, "original_request": original}
        assert (len(run.asked("/new")), len(run.asked("/old"))) == (1, 0)


async def test_a_machine_is_told_of_by_call_uuid() -> None:
    machine = Behaviour(rings=0.05, machine=True, beep=0.3)
    async with second(callee=machine, detection_seconds=0.1) as run:
        detection = {"behavior": "continue", "mode": "default", "beep_timeout": 45}
        made = await run.dial(ncco=[{"action": "wait", "timeout": 60.0}], advanced_machine_detection=detection)
        assert made.status == 201
        await run.event("machine", 2)
        first, beep = run.came("machine")
    members = {"call_uuid", "from", "to", "status", "conversation_uuid", "timestamp"}
    assert (set(first), set(beep)) == (members, members | {"sub_state"})
    assert beep["sub_state"] == "beep_start"
    assert first["call_uuid"] == beep["call_uuid"] == made.json["uuid"]


async def test_a_named_room_is_told_of_as_a_transfer() -> None:
    caller = Behaviour(seconds=0.3, counts="answered")
    async with second([{"action": "conversation", "name": "Lobby"}], caller=caller) as run:
        completed = await run.event("completed")
        moved = await run.event("transfer")
        asked = run.asked("/answer")[0].members
    assert (moved["uuid"], moved["conversation_uuid_from"]) == (asked["uuid"], asked["conversation_uuid"])
    assert completed["conversation_uuid"] == moved["conversation_uuid_to"] != asked["conversation_uuid"]
