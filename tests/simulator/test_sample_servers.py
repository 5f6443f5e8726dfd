"""Knows that `simulate_call` goes through with servers that other people have: one for each shape that is published."""

from __future__ import annotations

import asyncio
import json
import math
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket

from callflows.audio.files import wav_bytes
from tests.simulator import sample_servers as samples
from tests.simulator.sample_servers import Server, connect, without_port
from tests.simulator.test_driver import HOST, serving
from tests.simulator.test_simulate_call import simulate
from tests.simulator.tones import LEVEL, loudness, voice

pytestmark = pytest.mark.process

SAID, PLAYED = 600.0, 1000.0
OURS = ("--answer-url", "/webhooks/answer", "--event-url", "/webhooks/events")


@dataclass(frozen=True)
class Heard:
    """What came of one call: what the command printed, and the sound of the caller's ear."""

    result: dict[str, Any]
    pcm: bytes
    rate: int

    def level(self, hz: float) -> float:
        """Return how loud a tone was in its loudest tenth of a second, in dBFS of its peaks."""
        return max(self._levels(hz, 0.1), default=-math.inf)

    def seconds_of(self, hz: float) -> float:
        """Return for how long a tone was heard."""
        return 0.02 * sum(level > LEVEL - 6 for level in self._levels(hz, 0.02))

    def _levels(self, hz: float, seconds: float) -> list[float]:
        size = 2 * round(seconds * self.rate)
        pieces = [self.pcm[at : at + size] for at in range(0, len(self.pcm) - size + 1, size)]
        return [loudness(piece, self.rate, hz) for piece in pieces]

    def told(self, kind: str) -> list[str]:
        return [entry["text"] for entry in self.result["timeline"] if entry["kind"] == kind]


async def call(folder: Path, server: Server, *options: str, said: float = SAID, seconds: str = "1.5") -> Heard:
    """Call a server with a caller who says a tone; what is refused fails the test."""
    spoken, heard = folder / "said.wav", folder / "heard.wav"
    spoken.write_bytes(wav_bytes(voice(said, 4.0).pcm[16000], 16000))
    words = ("--audio", str(spoken), "--save", str(heard), "--seconds", seconds, "--json", *options)
    process = await simulate(folder, server.url, *words)
    out, err = await process.communicate()
    result = json.loads(out)
    assert (process.returncode, result["ok"], result["reason"]) == (0, True, ""), err.decode()
    if not heard.exists():
        # Nothing was heard at all.
        return Heard(result, b"", 16000)
    with wave.open(str(heard)) as wav:
        return Heard(result, wav.readframes(wav.getnframes()), wav.getframerate())


def greeting(uri: str, **endpoint: Any) -> samples.Document:
    return [{"action": "talk", "text": "One moment."}, connect(uri, **endpoint)]


@pytest.mark.parametrize(("talk", "keys"), [(samples.echo_all, ("--press", "5@0.3")), (samples.echo_as_bytes, ())])
async def test_echo_whose_socket_has_the_host_without_its_port(
    talk: samples.Talk, keys: tuple[str, ...], tmp_path: Path
) -> None:
    def document(host: str) -> samples.Document:
        said, joined = greeting(f"wss://{without_port(host)}/socket")
        return [said, {**joined, "from": "EchoTest"}]

    async with serving(Server(document, {"/socket": talk})) as server:
        heard = await call(tmp_path, server, *OURS, *keys)
    assert heard.level(SAID) > LEVEL - 1.5
    assert server.opened == [("/socket", HOST)]
    assert heard.told("dial") == [f"{HOST} is ws://{server.url} here"]
    assert [path for _, path, _ in server.calls[:1]] == ["/webhooks/answer"]
    assert server.statuses.count("answered") == 2
    assert server.statuses[-1] == "completed"


async def test_echo_that_answers_at_ncco_with_metadata_and_an_events_address_of_its_own(tmp_path: Path) -> None:
    kept: list[str | bytes] = []

    async def talk(peer: samples.Peer) -> None:
        kept.append(await peer.hear())
        await samples.echo_audio(peer)

    def document(host: str) -> samples.Document:
        said, joined = greeting(f"ws://{host}/socket", headers={"whatever": "you want"})
        return [said, {**joined, "eventUrl": [f"http://{host}/event"], "from": "447700900000"}]

    async with serving(Server(document, {"/socket": talk}, ("GET", "/ncco"), "/event")) as server:
        heard = await call(tmp_path, server, "--answer-url", "/ncco")
    assert heard.level(SAID) > LEVEL - 1.5
    assert json.loads(kept[0]) == {
        "event": "websocket:connected",
        "content-type": samples.WIDE,
        "whatever": "you want",
    }
    # The application has no events address: only those of the socket's leg come, to the action's own.
    assert server.statuses == ["started", "ringing", "answered", "completed"]


@pytest.mark.parametrize("rest", [148, 0])
async def test_sound_that_is_sent_at_once_with_a_short_last_message(rest: int, tmp_path: Path) -> None:
    pcm = samples.sound(PLAYED, 1.0, 16000) + samples.sound(PLAYED, 1.0, 16000)[:rest]
    talk = samples.play(pcm)
    async with serving(
        Server(lambda host: greeting(f"wss://{without_port(host)}/socket"), {"/socket": talk})
    ) as server:
        heard = await call(tmp_path, server, *OURS, seconds="2")
    assert heard.seconds_of(PLAYED) == pytest.approx(1.0, abs=0.06)
    assert heard.result["heard"]["bad"] == (rest > 0)
    assert [text for text in heard.told("socket") if "closed by the application" in text] == []


@pytest.mark.parametrize(("method", "format", "rate"), [("GET", samples.WIDE, 16000), ("POST", samples.NARROW, 8000)])
async def test_recorder_that_says_nothing(method: str, format: str, rate: int, tmp_path: Path) -> None:
    kept: list[str | bytes] = []

    def document(host: str) -> samples.Document:
        return [connect(f"ws://{host}/socket", format, headers={})]

    talks = {"/socket": samples.record(kept)}
    async with serving(Server(document, talks, (method, "/ncco"), "/event")) as server:
        urls = ("--answer-url", "/ncco", "--answer-method", method, "--event-url", "/event")
        heard = await call(tmp_path, server, *urls, seconds="1")
    frames = [each for each in kept if isinstance(each, bytes)]
    assert {len(each) for each in frames} == {rate // 50 * 2}
    assert len(frames) * 0.02 == pytest.approx(1.0, abs=0.3)
    assert loudness(b"".join(frames), rate, SAID) > LEVEL - 1.5
    assert heard.level(SAID) < LEVEL - 40
    asked = server.calls[0][2]
    assert ("conversation_uuid" in asked) if method == "POST" else ("conversation_uuid=" in asked["query"])


async def test_framework_that_sends_eight_bytes_at_the_opening(tmp_path: Path) -> None:
    def document(host: str) -> samples.Document:
        return [connect(f"ws://{without_port(host)}/socket", headers={"caller": "447700900123"})]

    talks = {"/socket": samples.eight_bytes_then_echo}
    async with serving(Server(document, talks, ("GET", "/ncco"), "/event")) as server:
        heard = await call(tmp_path, server, "--answer-url", "/ncco", "--event-url", "/event")
    assert heard.level(SAID) > LEVEL - 1.5
    assert heard.result["heard"]["bad"] == 1
    assert any("got 8 bytes of audio instead of 640" in text for text in heard.told("socket"))


async def test_relay_to_a_browser_on_another_path(tmp_path: Path) -> None:
    relay = samples.Relay()
    talks = {"/socket": relay.call, "/browser": relay.browser}
    document = [{"action": "talk", "text": "Hello."}]
    async with (
        serving(Server(lambda host: [*document, connect(f"ws://{host}/socket")], talks, ("GET", "/ncco"))) as server,
        listening(f"ws://{server.url}/browser") as frames,
    ):
        await call(tmp_path, server, "--answer-url", "/ncco", "--event-url", "/webhooks/events", seconds="1")
    assert loudness(b"".join(frames), 16000, SAID) > LEVEL - 1.5


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[list[bytes]]:
    """Keep what comes on a socket, as a page in a browser plays it."""
    frames: list[bytes] = []

    async def keep() -> None:
        async for message in socket:
            assert isinstance(message, bytes)
            frames.append(message)

    async with open_socket(url, proxy=None) as socket:
        keeping = asyncio.ensure_future(keep())
        try:
            yield frames
        finally:
            keeping.cancel()


async def test_socket_of_another_server_than_the_one_that_answers(tmp_path: Path) -> None:
    async with serving(Server(lambda host: [], {"/": samples.echo_audio})) as phone:
        name = f"localhost:{phone.url.partition(':')[2]}"
        async with serving(Server(lambda host: [connect(f"ws://{name}/")])) as web:
            heard = await call(tmp_path, web, *OURS)
    assert heard.level(SAID) > LEVEL - 1.5
    assert (phone.opened, web.opened, phone.calls) == ([("/", name)], [], [])
    assert heard.told("dial") == [f"{name} is another server than the one called"]


async def test_transcriber_without_any_events_address(tmp_path: Path) -> None:
    """None is set, so that none is asked; and none is refused."""
    kept: list[str | bytes] = []

    def document(host: str) -> samples.Document:
        headers = {"language": "en-GB", "callerID": "447700900123"}
        return greeting(f"wss://{without_port(host)}/socket", format=samples.NARROW, headers=headers)

    async with serving(Server(document, {"/socket": samples.record(kept)})) as server:
        heard = await call(tmp_path, server, "--answer-url", "/webhooks/answer", seconds="1")
    assert [path for _, path, _ in server.calls] == ["/webhooks/answer"]
    assert heard.result["call"]["status"] == "completed"
    assert heard.told("event") == []
    assert json.loads(kept[0])["language"] == "en-GB"
    assert loudness(b"".join(each for each in kept if isinstance(each, bytes)), 8000, SAID) > LEVEL - 1.5


@pytest.mark.parametrize(
    "reply",
    [
        ("text/plain; charset=utf-8", b"OK"),
        ("application/json", b'{"status":"ok"}'),
        ("text/html; charset=utf-8", b"<html><body>Thank you</body></html>"),
        ("application/json", b"null"),
    ],
)
async def test_reply_to_an_event_that_is_no_document(reply: tuple[str, bytes], tmp_path: Path) -> None:
    """The socket's server hangs up: the action after it runs, whatever its event was answered with."""

    def document(host: str) -> samples.Document:
        options = {"eventType": "synchronous", "eventUrl": [f"http://{host}/event"]}
        return [connect(f"ws://{host}/socket", options=options), {"action": "talk", "text": "Goodbye."}]

    talks = {"/socket": samples.hang_up_after(20)}
    async with serving(Server(document, talks, ("GET", "/ncco"), "/event", reply)) as server:
        heard = await call(tmp_path, server, "--answer-url", "/ncco", "--event-url", "/event", seconds="30")
    assert "disconnected" in server.statuses
    assert heard.told("talk") == ["Goodbye."]
    assert server.calls[-1][2]["disconnected_by"] == "platform"
