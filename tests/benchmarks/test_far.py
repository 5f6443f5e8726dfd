from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.harness.client import FORMAT
from benchmarks.harness.ears import LEAD, REFUSAL_FRAMES, Listener, Player, Presser
from benchmarks.harness.far import Far, Lateness, Manner
from callflows.wire.connection import CLEAR

QUESTION = (8000).to_bytes(2, "little") * FORMAT.frame_samples
REFUSAL = (-8000).to_bytes(2, "little", signed=True) * FORMAT.frame_samples

AnyFar = TypeVar("AnyFar", bound=Far)
Answer = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def called(kind: type[AnyFar], answer: Answer, manner: Manner | None = None) -> AsyncIterator[AnyFar]:
    """One call to a server that does with its socket what ``answer`` says, and keeps it open."""

    async def keep(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await answer(socket)
            # Read on: a socket that nobody reads does not see its end.
            async for _ in socket:
                pass

    async with serve(keep, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        lateness = Lateness(measured_from=0.0)
        _, call = await asyncio.get_running_loop().create_connection(
            lambda: kind(f"127.0.0.1:{port}", "/", manner or Manner(), lateness), "127.0.0.1", port
        )
        await call.ready
        try:
            yield call
        finally:
            call.transport.close()
            await call.closed


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  (what is waited for sets no event)
            await asyncio.sleep(0.005)


async def test_player_counts_each_frame_above_the_lead() -> None:
    async def answer(socket: ServerConnection) -> None:
        for _ in range(LEAD + 10):
            await socket.send(QUESTION)

    async with called(Player, answer, Manner(ppm=200)) as call:
        await until(lambda: call.frames == LEAD + 10)
        # It plays the first one only when it holds three, and one may be over by now.
        assert 9 <= call.above <= 10
        assert LEAD + 9 <= call.deepest <= LEAD + 10


async def test_player_counts_once_that_the_sound_breaks_off() -> None:
    more = asyncio.Event()

    async def answer(socket: ServerConnection) -> None:
        await socket.send(QUESTION)
        await more.wait()
        await socket.send(QUESTION)

    async with called(Player, answer) as call:
        assert call.underruns == 0
        await until(lambda: call.underruns == 1)
        more.set()
        await until(lambda: call.frames == 2)
        assert (call.underruns, call.above) == (1, 0)


async def test_far_end_that_does_not_read_finds_everything_afterwards() -> None:
    sent: list[float] = []

    async def answer(socket: ServerConnection) -> None:
        # It does not read by now, but it speaks.
        for _ in range(5):
            await socket.recv()
        for _ in range(5):
            await socket.send(QUESTION)
        sent.append(time.monotonic())

    async with called(Player, answer, Manner(stall=1.0, phase=0.0)) as call:
        await until(lambda: call.frames == 5)
        assert sent[0] < call.connected_at + 1 <= time.monotonic()
        # They had waited because of us, and say nothing of the server.
        assert not call.offsets


async def test_player_stops_reading_only_before_or_behind_its_first_second() -> None:
    more = asyncio.Event()

    async def answer(socket: ServerConnection) -> None:
        await socket.send(QUESTION)
        await more.wait()
        for _ in range(LEAD):
            await socket.send(QUESTION)

    async with called(Player, answer, Manner(stall=0.2, phase=0.05)) as call:
        await until(lambda: call.frames == 1)
        # Four times as long as the phase: it reads on.
        await asyncio.sleep(0.2)
        assert call.transport.is_reading()
        more.set()
        await until(lambda: not call.transport.is_reading())
        assert call.frames >= LEAD


async def test_far_end_speaks_fifty_frames_a_second_after_the_first_message() -> None:
    heard: list[str | bytes] = []

    async def answer(socket: ServerConnection) -> None:
        async for message in socket:
            heard.append(message)

    async with called(Listener, answer):
        await until(lambda: len(heard) > 10)
    first, *frames = heard
    assert isinstance(first, str)
    assert json.loads(first)["event"] == "websocket:connected"
    assert set(frames) == {FORMAT.silence}


async def test_listener_takes_silence_for_no_sound() -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(FORMAT.silence)
        await socket.send(QUESTION)

    async with called(Listener, answer) as call:
        assert 0 < await call.sound < 5
        assert call.frames == 2


def interrupted(after: list[bytes]) -> Answer:
    """Answer a key with `clear`, and then with so many frames."""

    async def answer(socket: ServerConnection) -> None:
        for _ in range(20):
            await socket.send(QUESTION)
        async for message in socket:
            if isinstance(message, str) and "dtmf" in message:
                break
        await socket.send(CLEAR)
        for frame in after:
            await socket.send(frame)

    return answer


async def test_presser_finds_nothing_old_when_the_new_sound_follows_at_once() -> None:
    frames = [REFUSAL] * REFUSAL_FRAMES + [QUESTION] * 5
    async with called(Presser, interrupted(frames), Manner(round_trip=0.02)) as call:
        await until(lambda: call.platform.held > 10)
        call.press()
        await until(lambda: call.frames == 20 + len(frames))
        await until(lambda: len(call.last_old) == 1)
        assert (len(call.clears), call.old, call.old_heard, call.idle) == (1, 0, 0, 0)
        # The round trip is put into the way back.
        # But for the rounding of large numbers.
        assert call.last_old[0] >= call.clears[0] + 0.02 - 1e-6


async def test_presser_counts_what_is_old_after_clear_on_the_wire_and_on_the_ear() -> None:
    async with called(Presser, interrupted([QUESTION, QUESTION, REFUSAL])) as call:
        await until(lambda: call.platform.held > 10)
        call.press()
        await until(lambda: call.old_heard == 2)
        assert call.old == 2
        assert call.last_old[0] > call.clears[0] + 0.04
