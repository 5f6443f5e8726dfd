"""Knows what the audio socket must do, message by message, against a socket in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.utils import timezone

from callflows import consumers, draining, live, load
from callflows.audio.format import Format
from callflows.models import AudioPrompt, Call, Line, Recording, TimelineEntry
from callflows.sockets import registry
from callflows.sockets.app import SocketApp
from callflows.sockets.line import Line as OpenLine
from callflows.wire.connection import CLEAR
from project.asgi import application
from tests.consumers.vonage import Vonage
from tests.make import ECHO, ask, make_flow, make_number, make_prompt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_server")]

FMT = Format(16000)
HELLO = {"event": "websocket:connected", "content-type": FMT.content_type, "caller": "447700900123"}
Frames = list[bytes]


def frame(value: int) -> bytes:
    return value.to_bytes(2, "little") * FMT.frame_samples


def path_of(client: Client, *steps: Any, **fields: Any) -> str:
    """Publish a flow, call it, and return the path of the socket that its NCCO names."""
    make_number(make_flow(*(steps or (ECHO,)), **fields))
    return str(urlsplit(ask(client)[-1]["endpoint"][0]["uri"]).path)


@pytest.fixture
def echo(client: Client) -> str:
    return path_of(client)


@asynccontextmanager
async def socket(path: str, hello: dict[str, Any] | None = HELLO) -> AsyncIterator[Vonage]:
    """Open a socket as Vonage does; close it at the end if it is open still."""
    communicator = Vonage(path)
    connected, code = await communicator.connect(timeout=5)
    assert connected, code
    if hello is not None:
        await communicator.send_json_to(hello)
    yield communicator
    await communicator.disconnect(timeout=5)


async def refused(path: str) -> bool:
    communicator = WebsocketCommunicator(application, path)
    connected, _ = await communicator.connect(timeout=5)
    await communicator.disconnect()
    return not connected


async def until(is_so: Callable[[], Any]) -> Any:
    """Wait until a question to the database is answered with yes; return the answer."""
    for _ in range(250):
        if found := await sync_to_async(is_so)():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("waited 5 s in vain")


async def noted(text: str) -> Any:
    return await until(TimelineEntry.objects.filter(text__contains=text).first)


async def figures() -> dict[str, int]:
    line = await until(Line.objects.filter(state=Line.State.CLOSED).first)
    found: dict[str, int] = line.figures
    return found


async def test_echo_sends_every_frame_back(echo: str) -> None:
    async with socket(echo) as vonage:
        for value in range(100):
            await vonage.send_to(bytes_data=frame(value))
            assert await vonage.receive_from(5) == frame(value)
    assert (await figures())["frames_out"] == 100


async def test_oldest_first_message_is_understood(echo: str) -> None:
    async with socket(echo, {"content-type": "audio/l16;rate=8000"}) as vonage:
        await vonage.send_to(bytes_data=bytes(320))
        assert await vonage.receive_from(5) == bytes(320)


async def test_headers_digits_and_unknown_events_stand_on_the_timeline(echo: str) -> None:
    async with socket(echo) as vonage:
        await vonage.send_json_to({"event": "websocket:dtmf", "digit": "5", "duration": 260})
        await vonage.send_json_to({"event": "websocket:something-new", "value": 1})
    assert (await noted("Open, 16 kHz")).data["headers"] == {"caller": "447700900123"}
    assert (await noted("Key 5")).kind == "digit"
    assert (await noted("Unknown message websocket:something-new")).data["message"]["value"] == 1


@pytest.mark.parametrize("size", [320, 639, 641, 1280])
async def test_frame_of_wrong_size_becomes_silence_and_a_count(echo: str, size: int) -> None:
    async with socket(echo) as vonage:
        await vonage.send_to(bytes_data=bytes([1]) * size)
        assert await vonage.receive_from(5) == FMT.silence
        await vonage.send_to(bytes_data=frame(7))
        assert await vonage.receive_from(5) == frame(7)
    assert (await figures())["bad"] == 1


async def test_empty_frame_becomes_silence_and_a_count(echo: str) -> None:
    async with socket(echo) as vonage:
        # The communicator itself refuses to send no bytes.
        await vonage.send_input({"type": "websocket.receive", "bytes": b""})
        assert await vonage.receive_from(5) == FMT.silence
    assert (await figures())["bad"] == 1


async def test_rubbish_is_counted_and_the_call_goes_on(echo: str) -> None:
    async with socket(echo) as vonage:
        for text in ("rubbish", "[]", '{"event":', "null"):
            await vonage.send_to(text_data=text)
        await vonage.send_to(bytes_data=frame(1))
        assert await vonage.receive_from(5) == frame(1)
    assert (await figures())["bad"] == 4


async def test_audio_before_the_first_message_is_dropped_and_counted(echo: str) -> None:
    async with socket(echo, hello=None) as vonage:
        for _ in range(3):
            await vonage.send_to(bytes_data=frame(9))
        await vonage.send_json_to(HELLO)
        await vonage.send_to(bytes_data=frame(1))
        assert await vonage.receive_from(5) == frame(1)
    assert (await figures())["bad"] == 3


async def test_socket_that_says_nothing_is_closed(echo: str) -> None:
    with patch.object(consumers, "FIRST_MESSAGE_SECONDS", 0.05):
        async with socket(echo, hello=None) as vonage:
            assert (await vonage.receive_output(5))["type"] == "websocket.close"
    assert (await sync_to_async(Line.objects.get)()).state == Line.State.EXPECTED


# Who is let in


async def test_path_without_token_is_refused(echo: str) -> None:
    assert await refused("/socket/" + echo.split("/")[2])
    assert await refused("/elsewhere")


async def test_forged_token_is_refused(echo: str) -> None:
    assert await refused(echo[:-3] + "xxx")


async def test_expired_token_is_refused(echo: str) -> None:
    await sync_to_async(Line.objects.update)(expires=timezone.now() - timedelta(seconds=1))
    assert await refused(echo)


async def test_token_under_the_path_of_another_line_is_refused(client: Client, echo: str) -> None:
    other = await sync_to_async(ask)(client, uuid="e" * 32)
    line, token = urlsplit(other[0]["endpoint"][0]["uri"]).path.split("/")[2], echo.split("/")[3]
    assert await refused(f"/socket/{line}/{token}")


async def test_token_opens_one_socket_only(echo: str) -> None:
    async with socket(echo) as vonage:
        await vonage.send_to(bytes_data=frame(1))
        await vonage.receive_from(5)
        assert await refused(echo)
    assert await refused(echo)


async def test_of_two_sockets_at_once_the_second_to_speak_is_closed(echo: str) -> None:
    async with socket(echo, hello=None) as first, socket(echo, hello=None) as second:
        await first.send_json_to(HELLO)
        await first.send_to(bytes_data=frame(1))
        assert await first.receive_from(5) == frame(1)
        await second.send_json_to(HELLO)
        assert await second.receive_output(5) == {"type": "websocket.close", "code": consumers.TWICE}


async def test_worker_that_is_full_refuses_the_next_call(echo: str, settings: Any) -> None:
    settings.MAX_LINES = 0
    assert await refused(echo)


# Apps and how they end


async def play_out(vonage: WebsocketCommunicator) -> Frames:
    """Be Vonage: take frames and answer marks, until the socket is closed."""
    heard: Frames = []
    while (message := await vonage.receive_output(10))["type"] == "websocket.send":
        if message.get("bytes") is not None:
            heard.append(message["bytes"])
        elif (said := json.loads(message["text"]))["action"] == "notify":
            await vonage.send_json_to({"event": "websocket:notify", "payload": said["payload"]})
    assert message["code"] == 1000
    return heard


async def test_play_ends_as_finished_when_the_last_frame_was_heard(client: Client) -> None:
    prompt = await sync_to_async(make_prompt)(0.5)
    steps = (("sound", "connect", {"app": "play", "settings": {"prompt": prompt.pk}}),)
    path = await sync_to_async(path_of)(client, *steps)
    async with socket(path) as vonage:
        heard = await play_out(vonage)
    assert len(heard) == 25
    assert {len(each) for each in heard} == {640}
    assert (await sync_to_async(Line.objects.get)()).outcome == "finished"


async def test_error_of_an_app_is_an_outcome(echo: str, client: Client) -> None:
    async def broken(line: OpenLine) -> str:
        raise RuntimeError("no bot today")

    app = SocketApp("echo", "Broken", broken, outcomes=())
    with patch.dict(registry.APPS, echo=app):
        async with socket(echo) as vonage:
            assert (await vonage.receive_output(5))["type"] == "websocket.close"
    assert (await sync_to_async(Line.objects.get)()).outcome == "error"
    await noted("The app failed: no bot today")


async def test_error_in_the_path_of_a_frame_is_an_outcome_too(echo: str) -> None:
    async def broken(line: OpenLine) -> str:
        line.on_audio = lambda pcm: 1 // 0
        await asyncio.Event().wait()
        return "never"

    app = SocketApp("echo", "Broken", broken, outcomes=())
    with patch.dict(registry.APPS, echo=app):
        async with socket(echo) as vonage:
            await vonage.send_to(bytes_data=frame(1))
            assert (await vonage.receive_output(5))["type"] == "websocket.close"
    await noted("The app failed: integer division or modulo by zero")
    assert (await sync_to_async(Line.objects.get)()).outcome == "error"


async def test_recording_is_kept_with_its_call(client: Client) -> None:
    path = await sync_to_async(path_of)(client, ("message", "connect", {"app": "record", "settings": {"beep": False}}))
    async with socket(path) as vonage:
        await noted("Begins")
        for value in range(50):
            await vonage.send_to(bytes_data=frame(value))
        await vonage.send_json_to({"event": "websocket:dtmf", "digit": "#", "duration": 100})
        assert (await vonage.receive_output(5))["code"] == 1000
    kept = await until(lambda: Recording.objects.keep(Line.objects.get().pk))
    assert kept.call == await sync_to_async(Call.objects.get)()
    assert kept.seconds == pytest.approx(1.0, abs=0.1)
    # Its file is whole a moment before its line is closed.
    assert await until(Line.objects.filter(outcome="key").first)


# Commands from elsewhere


async def test_commands_play_stop_and_hang_up(echo: str) -> None:
    prompt: AudioPrompt = await sync_to_async(make_prompt)(60.0)
    version = await sync_to_async(lambda: prompt.newest.pk if prompt.newest else 0)()
    async with socket(echo) as vonage:
        await noted("Open")
        line = (await sync_to_async(Line.objects.get)()).pk
        await live.command(line, "play", version=version, by="operator")
        sound = [message for _ in range(51) if (message := await vonage.receive_output(5)).get("bytes")]
        assert {len(message["bytes"]) for message in sound} == {640}
        assert len(sound) == 50
        await live.command(line, "stop")
        while (await vonage.receive_output(5)).get("text") != CLEAR:
            pass
        await live.command(line, "play", version=999_999)
        await noted("The command failed: PromptVersion matching query does not exist")
        await live.command(line, "hang_up", by="operator")
        assert (await vonage.receive_output(5))["code"] == 1000
    assert (await sync_to_async(Line.objects.get)()).outcome == "hung-up"
    await noted("Hang up by operator")
    await noted("Play a prompt by operator")


async def test_broken_channel_layer_leaves_the_audio_alone(echo: str) -> None:
    class Broken:
        async def new_channel(self) -> str:
            raise ConnectionError("no Redis")

    with patch.object(live, "get_channel_layer", Broken):
        async with socket(echo) as vonage:
            for value in range(20):
                await vonage.send_to(bytes_data=frame(value))
                assert await vonage.receive_from(5) == frame(value)


# The end of the process


async def test_drain_closes_and_records_open_sockets_and_refuses_new_ones(client: Client, echo: str) -> None:
    second = urlsplit((await sync_to_async(ask)(client, uuid="f" * 32))[0]["endpoint"][0]["uri"]).path
    with patch.object(load.Draining, "now", False):
        async with socket(echo) as vonage:
            await noted("Open")
            ending = asyncio.create_task(draining.drain(5))
            assert await vonage.receive_output(5) == {"type": "websocket.close", "code": consumers.GOING_AWAY}
            assert await refused(second)
        await ending
    assert (await sync_to_async(Line.objects.get)(used__isnull=False)).outcome == "drained"
