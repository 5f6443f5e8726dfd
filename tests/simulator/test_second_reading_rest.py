"""The contract read a second time, section 7: what the fake's REST API takes, does and refuses."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import wave
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from callflows.simulator.caller import Press
from callflows.simulator.party import Behaviour
from callflows.simulator.sound import Voice
from tests.simulator.rest_world import other_pair
from tests.simulator.second_reader import APPLICATION, CALLEE, HOST, OURS, bearer, second

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HOLDS = [{"action": "talk", "text": "Please hold the line.", "loop": 0}]
UNKNOWN = "/v1/calls/63f61863-4a51-4f6b-86e1-46edebcf9356"


async def test_a_call_out_is_placed_read_and_ended() -> None:
    async with second(HOLDS) as run:
        made = await run.dial(answer_url=[f"https://{HOST}/answer"], answer_method="POST")
        assert made.status == 201
        leg, room = made.json["uuid"], made.json["conversation_uuid"]
        assert made.json == {"uuid": leg, "status": "started", "direction": "outbound", "conversation_uuid": room}
        assert re.fullmatch(ID, leg)
        assert re.fullmatch(f"CON-{ID}", room)
        await run.event("answered")
        await run.until(lambda: run.asked("/answer"))
        asked = run.asked("/answer")[0]
        assert asked.method == "POST"
        assert (asked.members["uuid"], asked.members["to"], asked.members["from"]) == (leg, CALLEE, OURS)
        live = (await run.ask("GET", f"/v1/calls/{leg}")).json
        assert live["status"] == "answered"
        assert (live["to"], live["from"]) == ({"type": "phone", "number": CALLEE}, {"type": "phone", "number": OURS})
        assert live["_links"]["self"]["href"] in (f"/v1/calls/{leg}", f"/calls/{leg}")
        assert (await run.ask("PUT", f"/v1/calls/{leg}", {"action": "hangup"})).status == 204
        completed = await run.event("completed")
        assert (completed["uuid"], completed["direction"]) == (leg, "outbound")
        done = (await run.ask("GET", f"/v1/calls/{leg}")).json
        more = {"rate", "price", "duration", "start_time", "end_time", "network"}
        assert done["status"] == "completed"
        assert {type(done[each]) for each in more} == {str}
        assert re.fullmatch(r"\d{5,6}", done["network"])
        assert set(done) - more >= {"_links", "uuid", "conversation_uuid", "to", "from", "status", "direction"}
        assert [each["status"] for each in run.events if each["status"] in ("answered", "completed")] == [
            "answered",
            "completed",
        ]


async def test_an_inline_ncco_asks_for_no_script() -> None:
    async with second(HOLDS) as run:
        await run.dial(ncco=[{"action": "wait", "timeout": 0.1}])
        await run.event("completed")
        assert not run.asked("/answer")


async def test_calls_are_listed_with_their_links() -> None:
    async with second(callee=Behaviour(outcome="busy", rings=0.05)) as run:
        made = [(await run.dial(ncco=HOLDS)).json for _ in range(2)]
        await run.event("completed", 2)
        found = (await run.ask("GET", "/v1/calls?page_size=1")).json
        assert (found["count"], found["page_size"], found["record_index"]) == (2, 1, 0)
        assert {"self", "first", "last", "next"} <= set(found["_links"])
        assert "prev" not in found["_links"]
        rest = (await run.ask("GET", found["_links"]["next"]["href"])).json
        pages = [each["_embedded"]["calls"][0]["uuid"] for each in (found, rest)]
        assert sorted(pages) == sorted(each["uuid"] for each in made)
        one = (await run.ask("GET", f"/v1/calls?conversation_uuid={made[0]['conversation_uuid']}")).json
        assert [each["uuid"] for each in one["_embedded"]["calls"]] == [made[0]["uuid"]]
        assert (await run.ask("GET", "/v1/calls?page_size=101")).status == 400


async def test_sound_speech_and_keys_are_confirmed() -> None:
    async with second() as run:
        leg = (await run.dial(ncco=HOLDS)).json["uuid"]
        await run.event("answered")
        for method, path, body, message in [
            ("PUT", "talk", {"text": "Hello", "level": "0.4"}, "Talk started"),
            ("DELETE", "talk", None, "Talk stopped"),
            ("PUT", "stream", {"stream_url": [f"https://{HOST}/a.mp3"], "loop": 0, "level": "0.4"}, "Stream started"),
            ("DELETE", "stream", None, "Stream stopped"),
            ("PUT", "dtmf", {"digits": "17p#"}, "DTMF sent"),
        ]:
            answer = await run.ask(method, f"/v1/calls/{leg}/{path}", body)
            assert (answer.status, answer.json) == (200, {"message": message, "uuid": leg})
        for action in ("mute", "unmute", "earmuff", "unearmuff"):
            assert (await run.ask("PUT", f"/v1/calls/{leg}", {"action": action})).status == 204
        assert (await run.ask("PUT", f"/v1/calls/{leg}/talk", {"language": "en-GB"})).status == 400


async def test_a_transfer_moves_the_leg_and_is_told() -> None:
    async with second() as run:
        made = (await run.dial(ncco=HOLDS)).json
        await run.event("answered")
        told = {"action": "notify", "payload": {"a": 1}, "eventUrl": [f"https://{HOST}/told"]}
        body = {"action": "transfer", "destination": {"type": "ncco", "ncco": [told]}}
        assert (await run.ask("PUT", f"/v1/calls/{made['uuid']}", body)).status == 204
        event = await run.event("transfer")
        assert set(event) == {"conversation_uuid_from", "conversation_uuid_to", "type", "uuid", "timestamp"}
        assert (event["type"], event["uuid"]) == ("transfer", made["uuid"])
        assert event["conversation_uuid_from"] == made["conversation_uuid"] != event["conversation_uuid_to"]
        completed = await run.event("completed")
        assert completed["conversation_uuid"] == event["conversation_uuid_to"]
        assert len(run.asked("/told")) == 1


async def test_a_script_to_transfer_to_is_fetched_with_the_usual_parameters() -> None:
    async with second(pages={"/script": [[]]}) as run:
        leg = (await run.dial(ncco=HOLDS)).json["uuid"]
        await run.event("answered")
        body = {"action": "transfer", "destination": {"type": "ncco", "url": [f"https://{HOST}/script?a=1"]}}
        assert (await run.ask("PUT", f"/v1/calls/{leg}", body)).status == 204
        await run.event("completed")
        (asked,) = run.asked("/script")
    assert (asked.method, asked.query["a"], asked.query["uuid"], asked.query["to"]) == ("GET", "1", leg, CALLEE)


async def test_each_key_is_told_of_once_that_is_asked_for() -> None:
    keys = tuple(Press.parse("45@1.0"))
    ncco = [{"action": "input", "type": ["dtmf"], "mode": "asynchronous"}, *HOLDS]
    async with second(callee=Behaviour(rings=0.05, presses=keys, counts="answered")) as run:
        leg = (await run.dial(ncco=ncco)).json["uuid"]
        await run.event("answered")
        answer = await run.ask("PUT", f"/v1/calls/{leg}/input/dtmf", {"event_url": [f"https://{HOST}/keys"]})
        assert (answer.status, answer.body) == (200, b"")
        await run.until(lambda: len(run.asked("/keys")) == 2)
        assert [each.members["dtmf"]["digits"] for each in run.asked("/keys")] == ["4", "5"]
        assert {each.method for each in run.asked("/keys")} == {"POST"}
        assert (await run.ask("DELETE", f"/v1/calls/{leg}/input/dtmf")).status == 200


async def test_without_a_good_token_nothing_is_done() -> None:
    tokens = {
        "none": "",
        "basic": "Basic " + base64.b64encode(b"abcd1234:fake-api-secret").decode(),
        "expired": bearer(exp=1_600_000_000),
        "other key": bearer(other_pair()[0]),
        "nonsense": "Bearer nonsense",
    }
    async with second() as run:
        for which, token in tokens.items():
            answer = await run.ask("GET", "/v1/calls", auth=token)
            refusal = {"type": "UNAUTHORIZED", "error_title": "Unauthorized"}
            assert (answer.status, answer.json) == (401, refusal), which


async def test_what_is_not_there_is_404() -> None:
    gone = {"type": "NOT_FOUND", "error_title": "Not Found"}
    async with second() as run:
        for method, path, body in [
            ("GET", "", None),
            ("PUT", "", {"action": "hangup"}),
            ("PUT", "/talk", {"text": "Hello"}),
            ("DELETE", "/stream", None),
            ("PUT", "/dtmf", {"digits": "1"}),
        ]:
            answer = await run.ask(method, UNKNOWN + path, body)
            assert (answer.status, answer.json) == (404, gone)
        leg = (await run.dial(ncco=[])).json["uuid"]
        await run.event("completed")
        assert (await run.ask("PUT", f"/v1/calls/{leg}", {"action": "hangup"})).status == 404


async def test_a_body_that_does_not_fit_is_refused_by_name() -> None:
    good = {"to": [{"type": "phone", "number": CALLEE}], "from": {"type": "phone", "number": OURS}, "ncco": HOLDS}
    changes: list[tuple[str, dict[str, Any]]] = [
        ("event_url", {"event_url": f"https://{HOST}/events"}),
        ("to", {"to": [{"type": "phone", "number": "+44"}]}),
        ("to", {"to": []}),
        ("from", {"from": None}),
        ("ncco", {"ncco": None}),
        ("ncco", {"answer_url": [f"https://{HOST}/answer"]}),
        ("ringing_timer", {"ringing_timer": 121}),
        ("length_timer", {"length_timer": 86401}),
    ]
    async with second(calls_per_second=len(changes)) as run:
        for name, change in changes:
            body = {member: value for member, value in {**good, **change}.items() if value is not None}
            answer = await run.ask("POST", "/v1/calls", body)
            assert (answer.status, answer.json["title"]) == (400, "Bad Request"), change
            wrong = answer.json["invalid_parameters"]
            assert {frozenset(each) for each in wrong} == {frozenset({"name", "reason"})}
            assert any(name in each["name"] for each in wrong), wrong


async def test_a_hang_up_too_soon_is_refused() -> None:
    async with second(early_hang_up_seconds=2.0) as run:
        leg = (await run.dial(ncco=HOLDS)).json["uuid"]
        answer = await run.ask("PUT", f"/v1/calls/{leg}", {"action": "hangup"})
    assert answer.status == 400
    assert (answer.json["type"], answer.json["error_title"]) == ("BAD_REQUEST", "Bad Request")


async def test_the_fourth_call_and_the_sixteenth_request_of_a_second_are_refused() -> None:
    async with second() as run:
        made = await asyncio.gather(*(run.dial(ncco=HOLDS) for _ in range(4)))
        assert sorted(each.status for each in made) == [201, 201, 201, 429]
        # At once: one after the other they would outlast the second on a busy machine.
        read = await asyncio.gather(*(run.ask("GET", "/v1/calls") for _ in range(16)))
        assert sorted(each.status for each in read) == [200] * 15 + [429]


async def test_a_recording_is_told_and_served_to_its_application_alone() -> None:
    noise = np.random.default_rng(2).uniform(-0.3, 0.3, 16000).astype(np.float32)
    keys = tuple(Press.parse("#@1.1"))
    speaks = Behaviour(voice=Voice.of(noise, 16000), presses=keys, counts="answered")
    ncco = [{"action": "record", "format": "wav", "endOnKey": "#", "eventUrl": [f"https://{HOST}/recorded"]}]
    async with second(ncco, caller=speaks) as run:
        await run.until(lambda: run.asked("/recorded"))
        event = run.asked("/recorded")[0].members
        members = {"start_time", "end_time", "recording_url", "recording_uuid", "size", "conversation_uuid"}
        assert set(event) == members | {"timestamp"}
        url = urlsplit(event["recording_url"])
        assert re.fullmatch(f"/v1/files/{ID}", url.path)
        assert re.fullmatch(ID, event["recording_uuid"])
        assert event["recording_uuid"] not in url.path
        answer = await run.ask("GET", url.path)
        assert (answer.status, answer.type, len(answer.body)) == (200, "audio/wav", event["size"])
        with wave.open(io.BytesIO(answer.body)) as sound:
            assert (sound.getframerate(), sound.getsampwidth()) == (16000, 2)
            heard = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        assert np.abs(heard).max() > 3000
        for auth in ("", "Basic YWJjZDEyMzQ6ZmFrZS1hcGktc2VjcmV0", bearer(other_pair()[0])):
            assert (await run.ask("GET", url.path, auth=auth)).status == 401
        assert APPLICATION not in event["recording_url"]
