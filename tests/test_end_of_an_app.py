"""Knows how a socket app ends with two workers: the socket at one of them, Vonage's events at the other, REST between.

The test is Vonage: it asks, opens the socket, and tells of its end by hand.
"""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.rest_server import Reply, RestServer, let_ask, rest_server
from tests.services import Deployment, Process, rows, wait_until
from tests.test_a_call import command, until_open

MESSAGE, OLD_STYLE = "447700900004", "447700900005"
LEG = "0A0000000123ABCD1"
SILENCE = bytes(640)


@dataclass
class World:
    """Two workers that ask ``vonage`` over REST. Answers come from ``first``, sockets go to ``second``."""

    deployment: Deployment
    vonage: RestServer
    first: Process
    second: Process

    def ask(self, number: str) -> dict[str, Any]:
        """Return the connect of the document that a caller of ``number`` is answered with."""
        query = urllib.parse.urlencode(
            {"to": number, "from": "447700900123", "uuid": "caller", "conversation_uuid": "CON-1"}
        )
        with urllib.request.urlopen(f"{self.first.url}/webhooks/answer?{query}", timeout=10) as response:
            found: dict[str, Any] = json.loads(response.read())[-1]
            return found

    def tell(self, step: dict[str, Any], status: str) -> Any:
        """Tell the first worker of the socket's leg; return the document that it replies, None for none."""
        uri = step["endpoint"][0]["uri"]
        event = {"uuid": LEG, "conversation_uuid": "CON-1", "status": status, "to": uri, "from": "442079460000"}
        path = urllib.parse.urlsplit(step["eventUrl"][0]).path
        request = urllib.request.Request(
            f"{self.first.url}{path}", json.dumps(event).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            body = response.read()
            return json.loads(body) if body else None

    def open(self, step: dict[str, Any]) -> Any:
        path = urllib.parse.urlsplit(step["endpoint"][0]["uri"]).path
        return connect(f"ws://127.0.0.1:{self.second.port}{path}", max_queue=None)

    def outcome(self) -> list[Any]:
        return rows(self.deployment, "SELECT state, outcome FROM callflows_line")


@pytest.fixture
def world(on_postgres: Deployment) -> Iterator[World]:
    with rest_server() as vonage:
        let_ask(on_postgres, vonage)
        yield World(on_postgres, vonage, on_postgres.serve(), on_postgres.serve())
        assert not vonage.refused


async def greet(socket: ClientConnection, step: dict[str, Any]) -> None:
    kind = step["endpoint"][0]["content-type"]
    await socket.send(json.dumps({"event": "websocket:connected", "content-type": kind}))


async def close_code(socket: ClientConnection) -> int:
    """Play what comes, answer marks, until the other side closes; return its code."""
    try:
        while True:
            message = await asyncio.wait_for(socket.recv(), 20)
            if isinstance(message, str) and (said := json.loads(message))["action"] == "notify":
                await socket.send(json.dumps({"event": "websocket:notify", "payload": said["payload"]}))
    except ConnectionClosed:
        return socket.close_code or 0


async def recorded(socket: ClientConnection, deployment: Deployment) -> None:
    """Be heard until the recording has begun."""
    begun = "SELECT 1 FROM callflows_timelineentry WHERE kind = 'recording'"
    while not await asyncio.to_thread(rows, deployment, begun):
        await socket.send(SILENCE)
        await asyncio.sleep(0.02)


async def test_outcome_with_a_branch_is_committed_before_the_close_and_the_other_worker_answers(world: World) -> None:
    step = await asyncio.to_thread(world.ask, MESSAGE)
    await asyncio.to_thread(world.tell, step, "answered")
    async with world.open(step) as socket:
        await greet(socket, step)
        closing = asyncio.create_task(close_code(socket))
        await recorded(socket, world.deployment)
        await socket.send(json.dumps({"event": "websocket:dtmf", "digit": "#", "duration": 100}))
        assert await closing == 1000
    assert world.outcome() == [("closed", "key")]
    document = await asyncio.to_thread(world.tell, step, "disconnected")
    assert [each["text"] for each in document] == ["Thank you. Goodbye."]
    # A repeat, at whichever worker, is the same reply; and nothing was hung up over REST.
    assert await asyncio.to_thread(world.tell, step, "disconnected") == document
    assert world.vonage.requests() == []


async def hung_up_by_an_operator(world: World, socket: ClientConnection, step: dict[str, Any]) -> None:
    """Let the app end with an outcome for which there is no branch, but only the fallback's."""
    await greet(socket, step)
    await asyncio.to_thread(until_open, world.deployment)
    await asyncio.to_thread(command, world.deployment, "hang_up")


async def test_outcome_without_a_branch_hangs_the_leg_up_over_rest(world: World) -> None:
    step = await asyncio.to_thread(world.ask, OLD_STYLE)
    await asyncio.to_thread(world.tell, step, "answered")
    async with world.open(step) as socket:
        await hung_up_by_an_operator(world, socket, step)
        await asyncio.to_thread(wait_until, lambda: world.vonage.requests() != [], "the leg is hung up")
        assert world.vonage.requests() == [("PUT", f"/v1/calls/{LEG}", {"action": "hangup"})]
        # Vonage closes the socket then, and the leg ends without a `disconnected`.
    await asyncio.to_thread(wait_until, lambda: world.outcome() == [("closed", "hung-up")], "the line is closed")
    assert await asyncio.to_thread(world.tell, step, "completed") is None


async def test_leg_that_no_event_named_is_asked_for(world: World) -> None:
    step = await asyncio.to_thread(world.ask, OLD_STYLE)
    listed = {"uuid": LEG, "to": {"type": "websocket", "uri": step["endpoint"][0]["uri"]}}
    world.vonage.replies = [Reply(200, {"count": 1, "_embedded": {"calls": [listed]}})]
    async with world.open(step) as socket:
        await hung_up_by_an_operator(world, socket, step)
        await asyncio.to_thread(wait_until, lambda: len(world.vonage.asked) == 2, "the leg is hung up")
    assert world.vonage.requests() == [
        ("GET", "/v1/calls", None),
        ("PUT", f"/v1/calls/{LEG}", {"action": "hangup"}),
    ]
    assert world.vonage.asked[0].query["conversation_uuid"] == "CON-1"


async def test_when_rest_fails_the_socket_is_closed_and_its_event_known_to_be_ours(world: World) -> None:
    world.vonage.answer = lambda asked: Reply(503)
    step = await asyncio.to_thread(world.ask, OLD_STYLE)
    await asyncio.to_thread(world.tell, step, "answered")
    async with world.open(step) as socket:
        await hung_up_by_an_operator(world, socket, step)
        assert await close_code(socket) == 1000
    assert world.outcome() == [("closed", "hung-up")]
    assert {each[:2] for each in world.vonage.requests()} == {("PUT", f"/v1/calls/{LEG}")}
    # The step's fallback branch is for sockets that broke: a close of our own never runs it.
    assert await asyncio.to_thread(world.tell, step, "disconnected") is None
