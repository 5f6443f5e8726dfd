"""What an operator reads on the timeline of what came in that was none of Vonage's, or not as it should be."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from websockets.frames import Opcode

from callflows import consumers, open_socket
from callflows.models import TimelineEntry
from callflows.peer import Peer
from callflows.sockets import registry
from callflows.sockets.app import SocketApp
from callflows.sockets.line import Line as OpenLine
from callflows.wire.connection import CLEAR
from tests.consumers import vonage as short
from tests.consumers.test_audio import HELLO, figures, frame, noted, path_of, socket
from tests.serving.messages import client as client_frame

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_server")]


@pytest.fixture
def echo(client: Client) -> str:
    return path_of(client)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("form", ["new", "old"])
async def test_each_rate_and_form_is_echoed_in_its_own_frames(echo: str, rate: int, form: str) -> None:
    hello = {"content-type": f"audio/l16;rate={rate}"} | ({"event": "websocket:connected"} if form == "new" else {})
    async with socket(echo, hello) as vonage:
        sound = b"\1\2" * (rate // 50)
        await vonage.send_to(bytes_data=sound)
        assert await vonage.receive_from(5) == sound
    await noted(f"Open, {rate // 1000} kHz")


@pytest.mark.parametrize(
    "message",
    [
        {"event": "websocket:dtmf", "digit": "7", "duration": 260},
        {"digit": "7", "duration": 260},
        {"event": "websocket:dtmf", "dtmf": {"digit": "7", "duration": 260}},
    ],
    ids=["event", "oldest", "nested"],
)
async def test_key_of_each_shape_stands_on_the_timeline(echo: str, message: dict[str, Any]) -> None:
    async with socket(echo) as vonage:
        await vonage.send_json_to(message)
        assert (await noted("Key 7")).data == {"duration": 260}


async def test_audio_before_the_first_message_is_told(echo: str) -> None:
    async with socket(echo, hello=None) as vonage:
        for _ in range(3):
            await vonage.send_to(bytes_data=frame(9))
        await vonage.send_json_to(HELLO)
    entry = await noted("3 messages were none of Vonage's")
    assert entry.data["reason"] == "audio before the first message"


async def test_text_that_is_no_json_is_told_with_an_example(echo: str) -> None:
    async with socket(echo) as vonage:
        await vonage.send_to(text_data="hello?")
    entry = await noted("1 messages were none of Vonage's")
    assert entry.data["reason"] == "expected JSON, got 'hello?'"


async def test_socket_that_never_says_what_it_is_is_told(echo: str) -> None:
    with patch.object(consumers, "FIRST_MESSAGE_SECONDS", 0.2):
        async with socket(echo, {"event": "websocket:connected", "content-type": "audio/l16;rate=44100"}) as vonage:
            assert (await vonage.receive_output(5))["code"] == consumers.NOT_SPOKEN
    await noted("No first message within 0.2 s: rate: expected 8000, 16000 or 24000 samples per second, got 44100")


async def test_socket_that_closes_before_its_first_message_is_told(echo: str) -> None:
    async with socket(echo, hello=None):
        pass
    assert (await noted("Closed before the first message: nothing came")).kind == "socket"


async def test_second_socket_with_the_same_address_is_told(echo: str) -> None:
    async with socket(echo, hello=None) as first, socket(echo, hello=None) as second:
        await first.send_json_to(HELLO)
        await first.send_to(bytes_data=frame(1))
        await first.receive_from(5)
        await second.send_json_to(HELLO)
        assert (await second.receive_output(5))["code"] == consumers.TWICE
    await noted("A second socket came with the same address, and was closed")


@pytest.mark.parametrize(("code", "text"), [(1000, "Closed by Vonage"), (1006, "The connection broke")])
async def test_abrupt_loss_is_told_from_a_close(echo: str, code: int, text: str) -> None:
    async with socket(echo) as vonage:
        await noted("Open")
        await vonage.send_input({"type": "websocket.disconnect", "code": code})
        assert (await noted(text)).data == {"code": code}
    assert (await figures())["close_code"] == code


async def test_frames_that_vonage_did_not_read_are_told_and_so_is_the_end_of_it(
    echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short, "SHORT", True)
    async with socket(echo) as vonage:
        await noted("Open")
        assert vonage.way
        # As the server counts them.
        vonage.way.dropped = 412
        await noted("Vonage did not read fast enough: 412 frames were dropped")
        vonage.way.ended = "it did not read for 10 s"
        await vonage.send_input({"type": "websocket.disconnect", "code": 1006})
        await noted("The connection was ended: it did not read for 10 s")
        assert (await figures())["dropped_out"] == 412


async def test_line_without_any_sign_of_its_peer_ends_though_the_server_says_nothing(
    echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short, "SHORT", True)
    monkeypatch.setattr(open_socket, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(open_socket, "CLOSE_SECONDS", 0.1)
    async with socket(echo) as vonage:
        for value in range(20):
            await vonage.send_to(bytes_data=frame(value))
            assert await vonage.receive_from(5) == frame(value)
            await asyncio.sleep(0.02)
        assert (await vonage.receive_output(5))["type"] == "websocket.close"
        await noted("Neither a frame nor a pong came for 0 s")
        assert (await figures())["frames_in"] == 20
        assert not consumers.OPEN


async def test_pong_alone_keeps_a_line_open(echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short, "SHORT", True)
    monkeypatch.setattr(open_socket, "SILENT_SECONDS", 0.3)
    async with socket(echo) as vonage:
        assert vonage.way
        for _ in range(20):
            # Its library would take it; that something came is known all the same.
            assert vonage.way.received(client_frame(Opcode.PONG, b"?"))
            await asyncio.sleep(0.04)
        await vonage.send_to(bytes_data=frame(1))
        assert await vonage.receive_from(5) == frame(1)


async def test_app_that_is_too_slow_loses_frames_and_nothing_else(echo: str, settings: Any) -> None:
    settings.INBOX_SECONDS = 0.2
    kept = asyncio.Event()

    async def slow(line: OpenLine) -> str:
        async for _ in line.events():
            await kept.wait()
        return "never"

    with patch.dict(registry.APPS, echo=SocketApp("echo", "Slow", slow, outcomes=())):
        async with socket(echo) as vonage:
            for value in range(100):
                await vonage.send_to(bytes_data=frame(value))
            await noted("The app was too slow: ")
    assert (await figures())["dropped_in"] in (89, 90)


async def test_flood_of_messages_lets_another_call_through(echo: str, client: Client) -> None:
    async with socket(echo) as flood:
        for _ in range(20_000):
            await flood.send_input({"type": "websocket.receive", "text": '{"event":"new"}'})
        # The loop's own time: what others take of the machine is not its.
        worst, last = 0.0, time.thread_time()
        async with asyncio.timeout(60):
            while not await TimelineEntry.objects.filter(text__startswith="Too much to note").aexists():
                for _ in range(50):
                    await asyncio.sleep(0)
                    now = time.thread_time()
                    worst, last = max(worst, now - last), now
        # All of them at once are over a second's work here.
        assert worst < 0.3
    assert (await figures())["unnoted"] > 10_000
    assert await TimelineEntry.objects.acount() < 150


async def test_interruption_drops_what_a_server_that_waits_has_not_sent(echo: str) -> None:
    """The server takes a frame only now and then: what the app gave up meanwhile does not follow."""
    sent, waiting, go_on = list[Any](), asyncio.Event(), asyncio.Event()

    async def app(line: OpenLine) -> str:
        line.play(frame(1) * 40)
        await waiting.wait()
        line.clear()
        go_on.set()
        await asyncio.Event().wait()
        return "never"

    send = Peer.send

    async def slowly(self: Peer, outgoing: bytes | str) -> None:
        sent.append(outgoing)
        if len(sent) == 5:
            waiting.set()
            await go_on.wait()
        await send(self, outgoing)

    with (
        patch.dict(registry.APPS, echo=SocketApp("echo", "Interrupts itself", app, outcomes=())),
        patch.object(Peer, "send", slowly),
    ):
        async with socket(echo) as vonage:
            while CLEAR not in sent:
                await vonage.send_to(bytes_data=frame(9))
                await asyncio.sleep(0.01)
    assert [type(each) for each in sent] == [bytes, str, bytes, bytes, bytes, str]
