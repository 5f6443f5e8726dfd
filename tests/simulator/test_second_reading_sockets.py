"""The contract read a second time, section 5: what the fake says and hears on a WebSocket."""

from __future__ import annotations

import re
from typing import Any

import pytest

from callflows.simulator.caller import Press
from callflows.simulator.party import Behaviour
from tests.simulator.second_reader import APPLICATION, CALLER, HOST, OURS, Second, Socket, checked, second

STAYS = Behaviour()
FRAME = bytes(640)
# Frames, 300 ms, in which nothing else may come any more.
QUIET_FRAMES = 15


def connect(path: str = "/socket?id=1&t=a%2Fb", rate: int = 16000, **more: Any) -> dict[str, Any]:
    """A connect to a socket of ours."""
    uri, audio = f"wss://{HOST}{path}", f"audio/l16;rate={rate}"
    endpoint = {"type": "websocket", "uri": uri, "content-type": audio, **more}
    return {"action": "connect", "from": OURS, "eventType": "synchronous", "endpoint": [endpoint]}


def of_socket(run: Second) -> list[dict[str, Any]]:
    """The events of socket legs."""
    return [each for each in run.events if str(each.get("to", "")).startswith("wss:")]


async def next_frames(run: Second, socket: Socket, count: int) -> None:
    have = len(socket.frames)
    await run.until(lambda: len(socket.frames) >= have + count)


async def said(run: Second, socket: Socket, count: int) -> list[dict[str, Any]]:
    """Wait for so many texts after the first message, and return them."""
    await run.until(lambda: len(socket.texts) > count)
    return socket.texts[1:]


def half_seconds(socket: Socket) -> list[float]:
    """Return how long each 25 steps from frame to frame took."""
    return [last - first for (first, _), (last, _) in zip(socket.frames, socket.frames[25:], strict=False)]


@pytest.mark.parametrize(("rate", "size"), [(8000, 320), (16000, 640), (24000, 960)])
async def test_frames_of_20_ms_come_at_50_a_second(rate: int, size: int) -> None:
    async with second([connect(rate=rate)], caller=STAYS) as run:
        socket = await run.socket()
        # 25 steps of 20 ms: a busy machine makes a reader late now and then, a wrong rate always.
        await run.until(lambda: any(0.42 < took < 0.6 for took in half_seconds(socket)))
        first, frames = socket.texts[0], list(socket.frames)
    assert first == {"event": "websocket:connected", "content-type": f"audio/l16;rate={rate}"}
    assert isinstance(socket.heard[0][1], str)
    assert {len(each) for _, each in frames} == {size}


async def test_a_socket_is_opened_as_it_was_written_and_told_of_as_a_leg() -> None:
    headers = {"event": "mine", "name": "Zoë", "age": 40, "nested": {"a": [1, True]}}
    async with second([connect(headers=headers)], caller=STAYS) as run:
        socket = await run.socket()
        await run.until(lambda: len(of_socket(run)) >= 3)
        events = of_socket(run)
        inbound = run.asked("/answer")[0].members
    asked = socket.request
    assert asked.target == "/socket?id=1&t=a%2Fb"
    assert asked.headers["sec-websocket-version"] == "13"
    assert not {"authorization", "sec-websocket-protocol", "name"} & set(asked.headers)
    flat = {"name": "Zoë", "age": 40, "nested": {"a": [1, True]}, "content-type": "audio/l16;rate=16000"}
    assert socket.texts[0] == {**flat, "event": "websocket:connected"}
    assert [each["status"] for each in events if each["status"] != "ringing"] == ["started", "answered"]
    for each in events:
        assert (each["direction"], each["to"]) == ("outbound", f"wss://{HOST}/socket?id=1&t=a%2Fb")
        assert each["headers"] == headers
        assert each["conversation_uuid"] == inbound["conversation_uuid"]
        assert each["uuid"] != inbound["uuid"]


async def test_a_handshake_is_authorized_as_asked() -> None:
    custom = {"type": "custom", "value": "Basic abc:123"}
    async with second([connect(authorization=custom)], caller=STAYS) as run:
        assert (await run.socket()).request.headers["authorization"] == "Basic abc:123"
    async with second([connect(authorization={})], caller=STAYS) as run:
        claims = checked((await run.socket()).request.headers["authorization"])
    assert (claims["iss"], claims["application_id"], claims["api_key"]) == ("Vonage", APPLICATION, "abcd1234")


async def test_notify_waits_for_the_sound_before_it_and_clear_drops_both() -> None:
    async with second([connect()], caller=STAYS) as run:
        socket = await run.socket()
        socket.send("no JSON")
        socket.send({"action": "dance"})
        socket.send({"action": "notify", "payload": {"n": 1}})
        assert await said(run, socket, 1) == [{"event": "websocket:notify", "payload": {"n": 1}}]
        asked = len(socket.frames)
        for _ in range(30):
            socket.send(FRAME)
        socket.send({"action": "notify", "payload": {"n": [2]}})
        assert (await said(run, socket, 2))[1] == {"event": "websocket:notify", "payload": {"n": [2]}}
        place = next(at for at, (_, each) in enumerate(socket.heard) if isinstance(each, str) and "[2]" in each)
        # By the fake's own clock, which is its frames: 30 of ours were played, and those that a busy reader was late.
        assert 25 <= sum(isinstance(each, bytes) for _, each in socket.heard[:place]) - asked < 100
        for _ in range(500):
            socket.send(FRAME)
        socket.send({"action": "notify", "payload": {"n": 3}})
        socket.send({"action": "clear"})
        assert (await said(run, socket, 3))[2] == {"event": "websocket:cleared"}
        await next_frames(run, socket, QUIET_FRAMES)
        assert len(socket.texts) == 4


async def test_keys_of_the_caller_and_of_rest_come_as_messages() -> None:
    caller = Behaviour(presses=tuple(Press.parse("5#@0.2")), counts="answered")
    async with second([connect()], caller=caller) as run:
        socket = await run.socket()
        pressed = await said(run, socket, 2)
        leg = of_socket(run)[0]["uuid"]
        answer = await run.ask("PUT", f"/v1/calls/{leg}/dtmf", {"digits": "9"})
        assert (answer.status, answer.json) == (200, {"message": "DTMF sent", "uuid": leg})
        pressed = await said(run, socket, 3)
    assert [each["digit"] for each in pressed] == ["5", "#", "9"]
    for each in pressed:
        assert set(each) == {"event", "digit", "duration"}
        assert each["event"] == "websocket:dtmf"
        assert type(each["duration"]) is int


@pytest.mark.parametrize("size", [320, 641])
async def test_a_frame_of_the_wrong_size_ends_the_leg_without_a_word(size: int) -> None:
    async with second([connect()], caller=STAYS) as run:
        socket = await run.socket()
        # In mid-stream: a short one right at the opening, or as the last one, is filled.
        for each in (640, size, 640):
            socket.send(bytes(each))
        await run.until(lambda: socket.end)
        assert socket.end == 1006
        await run.event("completed", 2)
        assert {each["uuid"] for each in run.came("completed")} == {each["uuid"] for each in run.came("started")}


@pytest.mark.parametrize("how", ["close", "crash"])
async def test_a_socket_that_we_end_is_disconnected_and_the_reply_runs(how: str) -> None:
    headers = {"caller-id": CALLER}
    first, again = connect("/one", headers=headers), connect("/two")
    async with second([first], caller=STAYS, replies={"disconnected": [[again], None]}) as run:
        socket = await run.socket()
        getattr(socket, how)()
        event = await run.event("disconnected")
        assert set(event) == {"from", "to", "uuid", "conversation_uuid", "status", "timestamp", "headers"}
        assert (event["to"], event["headers"]) == (f"wss://{HOST}/one", headers)
        second_socket = await run.socket(2)
        assert second_socket.request.target == "/two"
        assert second_socket.end is None
        second_socket.close()
        other = await run.event("disconnected", 2)
        assert other["uuid"] != event["uuid"]
        # An empty reply: the old script goes on, has nothing more, and the call ends.
        await run.event("completed", 3)
        assert run.asked("/answer")[0].members["uuid"] in {each["uuid"] for each in run.came("completed")}


async def test_a_socket_that_rest_hangs_up_is_not_disconnected() -> None:
    told = {"action": "notify", "payload": {}, "eventUrl": [f"https://{HOST}/told"]}
    async with second([connect(), told], caller=STAYS) as run:
        socket = await run.socket()
        await run.until(lambda: len(of_socket(run)) >= 3)
        assert (await run.ask("PUT", f"/v1/calls/{of_socket(run)[0]['uuid']}", {"action": "hangup"})).status == 204
        await run.event("completed", 2)
        assert socket.end is not None
        assert not run.came("disconnected")
        # The next action of the script ran.
        assert len(run.asked("/told")) == 1


async def test_a_caller_who_hangs_up_ends_the_socket_too() -> None:
    async with second([connect()], caller=Behaviour(seconds=0.5, counts="answered")) as run:
        socket = await run.socket()
        await run.event("completed", 2)
        await run.until(lambda: socket.end)
        assert not run.came("disconnected")
        phone = next(each for each in run.came("completed") if each["to"] == OURS)
        assert phone["disconnected_by"] == "user"
        assert len(socket.texts) == 1


async def test_a_refused_handshake_is_told_and_the_reply_runs() -> None:
    for_it: list[Any] = [[connect("/two")]]
    async with second([connect("/refused")], caller=STAYS, replies={"failed": for_it, "unanswered": for_it}) as run:
        assert (await run.socket()).request.target == "/two"
        event = next(each for each in run.events if each["status"] in ("failed", "unanswered"))
        assert (event["to"], event["direction"]) == (f"wss://{HOST}/refused", "outbound")


@pytest.mark.parametrize(("letters", "fits"), [(498, True), (505, False)])
async def test_headers_of_more_than_512_bytes_are_refused(letters: int, fits: bool) -> None:
    # {"k":"..."} is eight bytes longer than its letters; 498 + 8 = 506, 505 + 8 = 513.
    async with second([connect(headers={"k": "x" * letters})], caller=STAYS) as run:
        if fits:
            assert len((await run.socket()).texts[0]["k"]) == letters
        else:
            assert re.search("(?i)ncco", (await run.event("error"))["reason"])
            assert not run.site.sockets
