"""Knows that calls work for real: HTTP, a WebSocket and the clock, against a small server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pytest
import uvicorn

from callflows.audio.files import wav_bytes
from callflows.audio.format import Format
from callflows.audio.tones import spectrum_peak, tone
from callflows.simulator.caller import Caller, Press
from callflows.simulator.driver import NoServer
from callflows.simulator.effects import Note, Said
from callflows.simulator.sound import Voice
from tests.placing import place

WIDE = Format(16000)
TONE = Voice.of(tone(440, 0.5, 16000), 16000)
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
HOST = "127.0.0.1"


class Site:
    """A small application: answers webhooks from what it was given, and serves one socket."""

    def __init__(self, document: Callable[[str], list[dict[str, Any]]], replies: dict[str, Any] | None = None) -> None:
        self.document, self.replies = document, replies or {}
        self.url = ""
        self.hosts: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.texts: list[Any] = []
        self.refused = False
        self.bad_frame = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.hosts.add(dict(scope["headers"])[b"host"].decode())
        await (self._socket if scope["type"] == "websocket" else self._webhook)(scope, receive, send)

    async def _webhook(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        document = self.document(self.url) if scope["path"].endswith("answer") else self._reply(json.loads(body))
        status, content = (204, b"") if document is None else (200, json.dumps(document).encode())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _reply(self, body: dict[str, Any]) -> Any:
        self.bodies.append(body)
        return self.replies.get(body.get("status", ""))

    async def _socket(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        if self.refused:
            return await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("bytes") is None:
                self.texts.append(json.loads(message["text"]))
            else:
                echo = message["bytes"][:-1] if self.bad_frame else message["bytes"]
                await send({"type": "websocket.send", "bytes": echo})


class App(Protocol):
    """An ASGI application that is told where it is served."""

    url: str

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None: ...


AppT = TypeVar("AppT", bound=App)


@asynccontextmanager
async def serving(site: AppT) -> AsyncIterator[AppT]:
    config = uvicorn.Config(site, HOST, 0, lifespan="off", log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        site.url = f"{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
        yield site
    finally:
        await server.shutdown()


def connect(place: str, scheme: str = "ws", **options: Any) -> list[dict[str, Any]]:
    endpoint = {
        "type": "websocket",
        "uri": f"{scheme}://{place}/socket/1/x?a=b",
        "content-type": "audio/l16;rate=16000",
    }
    return [{"action": "connect", "eventType": "synchronous", "endpoint": [endpoint | options]}]


def caller(seconds: float = 1.2) -> Caller:
    return Caller("447700900001", "447700900123", TONE, tuple(Press.parse("5@0.3")), seconds)


async def test_caller_hears_what_he_said_frame_for_frame() -> None:
    async with serving(Site(lambda url: connect(url, headers={"ref": 7}))) as site:
        result = await place(caller(), f"http://{site.url}")
    said = b"".join(TONE.frames(WIDE))
    assert result.sound.of("socket")[: len(said)] == said
    assert (result.refusals, result.bad, result.status) == ((), 0, "completed")
    assert site.texts[0] == {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "ref": 7}
    assert [text["digit"] for text in site.texts[1:]] == ["5"]
    own = [body["status"] for body in site.bodies if body["direction"] == "inbound"]
    assert own == ["started", "ringing", "answered", "completed"]
    other = [body["status"] for body in site.bodies if body["direction"] == "outbound"]
    assert other == ["started", "ringing", "answered", "completed"]


async def test_the_saved_sound_is_all_that_was_played() -> None:
    async with serving(Site(lambda url: [{"action": "talk", "text": "Hi"}, *connect(url)])) as site:
        result = await place(caller(), f"http://{site.url}")
    pcm, rate = result.sound.mixdown()
    samples = np.frombuffer(pcm, "<i2")
    assert rate == 16000
    # Between the talk and the open socket there is a pause, which is no frame.
    assert samples.size >= result.sound.frames * 320
    assert not samples[:7900].any()
    assert spectrum_peak(samples[9600:15200], rate) == pytest.approx(440, abs=3)


async def test_addresses_of_the_public_url_are_dialled_at_the_server() -> None:
    async with serving(Site(lambda url: connect("calls.example", "wss"))) as site:
        result = await place(caller(0.3), f"http://{site.url}", public_url="https://calls.example")
    assert result.ok
    # The server is asked by the name that the world knows.
    assert site.hosts == {"calls.example"}
    assert result.sound.of("socket")


async def test_sockets_of_another_host_are_refused() -> None:
    async with serving(Site(lambda url: connect("elsewhere.example"))) as site:
        result = await place(caller(), f"http://{site.url}")
    assert "elsewhere.example is another host" in result.refusals[0]


async def test_a_refused_handshake_is_a_failed_leg_whose_branch_runs() -> None:
    goodbye = [{"action": "talk", "text": "Bye"}]
    site = Site(connect, {"failed": goodbye})
    site.refused = True
    async with serving(site):
        result = await place(caller(), f"http://{site.url}")
    assert result.ok
    assert any("HTTP 403" in note.text for note in result.timeline)
    assert [note.text for note in result.timeline if note.kind == "talk"] == ["Bye"]


async def test_a_wrong_sized_frame_is_a_refusal() -> None:
    site = Site(connect)
    site.bad_frame = True
    async with serving(site):
        result = await place(caller(), f"http://{site.url}")
    assert result.bad == 2
    assert "expected 640 bytes of audio in mid-stream, got 639" in result.refusals[0]


async def test_a_caller_can_be_told_to_hang_up() -> None:
    hang_up = asyncio.Event()

    def watch(seen: object) -> None:
        if isinstance(seen, Note) and "first sound" in seen.text:
            hang_up.set()

    async with serving(Site(connect)) as site:
        result = await place(caller(600), f"http://{site.url}", watch=watch, hang_up=hang_up)
    assert result.ok
    assert [each["disconnected_by"] for each in result.events()[-2:]] == ["user", "platform"]


async def test_frames_leave_on_time() -> None:
    said: list[Said] = []

    def watch(seen: object) -> None:
        if isinstance(seen, Said):
            said.append(seen)

    async with serving(Site(connect)) as site:
        await place(caller(2.0), f"http://{site.url}", watch=watch)
    assert len(said) in (100, 101)


async def test_sockets_may_be_served_by_another_process() -> None:
    async with serving(Site(connect)) as webhooks, serving(Site(connect)) as sockets:
        result = await place(caller(0.3), f"http://{webhooks.url}", sockets=f"http://{sockets.url}")
    assert result.ok
    assert (webhooks.texts, len(sockets.texts), sockets.bodies) == ([], 1, [])


async def test_without_a_server_the_caller_is_told_what_to_do(unused_tcp_port: int) -> None:
    with pytest.raises(
        NoServer, match=f"no server at http://{HOST}:{unused_tcp_port}: start one with make demo or make run"
    ):
        await place(caller(), f"http://{HOST}:{unused_tcp_port}")


async def test_the_result_is_plain_json() -> None:
    async with serving(Site(lambda url: [{"action": "talk", "text": "Hi"}])) as site:
        result = await place(caller(), f"http://{site.url}")
    seen = json.loads(json.dumps(result.as_json()))
    assert set(seen) == {"ok", "reason", "call", "timeline", "heard"}
    assert seen["call"] == {"uuid": result.uuid, "conversation_uuid": result.conversation_uuid, "status": "completed"}
    assert set(seen["timeline"][0]) == {"t", "kind", "leg", "text", "data"}
    assert seen["heard"] == {"seconds": 0.5, "frames": 25, "bad": 0, "lost": 0}


def test_a_voice_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(wav_bytes(TONE.pcm[16000], 16000))
    assert Voice.read(path).pcm[16000] == TONE.pcm[16000]
