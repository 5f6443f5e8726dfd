"""A worker that has enough to do refuses the next call, says so, and the flow's branch for it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, patch
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from pytest_django import Settings

from callflows import consumers, load
from callflows.admission import admit
from callflows.audio.lag import Lag
from callflows.models import Line, TimelineEntry
from tests.consumers.test_audio import frame, refused, socket
from tests.make import ECHO, ask, event_url, make_flow, make_number, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connect(client: Client) -> dict[str, Any]:
    """A call whose document connects to an echo; its branch for a socket that failed says sorry."""
    flow = make_flow(ECHO, talk("sorry", "All lines are busy."), branches=(("echo", "failed", "sorry"),))
    make_number(flow)
    action: dict[str, Any] = ask(client)[-1]
    return action


@pytest.fixture
def lag() -> Iterator[Lag]:
    """What the worker believes of its loop, fed by hand."""
    fed = Lag(0.0)
    with patch.object(load.WATCH, "start", lambda: None), patch.object(load.WATCH, "lag", fed):
        yield fed


def path_of(connect: dict[str, Any]) -> str:
    return urlsplit(str(connect["endpoint"][0]["uri"])).path


def feed(lag: Lag, start: float, seconds: float, late: float) -> float:
    """Let the loop be late at each of its moments."""
    now = start
    while now < start + seconds:
        now = lag.beat(now) + late
    return now


@sync_to_async
def problems() -> list[str]:
    return list(TimelineEntry.objects.filter(kind="problem").values_list("text", flat=True))


async def test_overloaded_worker_refuses_and_takes_calls_again_when_it_is_well(
    connect: dict[str, Any], lag: Lag
) -> None:
    now = feed(lag, 0.0, 6, late=0.034)
    assert await refused(path_of(connect))
    assert await problems() == [
        "A socket was refused: this worker is overloaded: for 5 s its event loop was late by more than 20 ms "
        "(MAX_LAG), now by 34 ms"
    ]
    # Its token is not used up, so another worker could take it; and here it is well again.
    feed(lag, now, 6, late=0.001)
    async with socket(path_of(connect)) as vonage:
        await vonage.send_to(bytes_data=frame(1))
        assert await vonage.receive_from(5) == frame(1)


async def test_full_worker_says_so_on_the_timeline_and_the_branch_for_it_answers(
    connect: dict[str, Any], settings: Settings, client: Client
) -> None:
    settings.MAX_LINES = 0
    assert await refused(path_of(connect))
    assert await problems() == [
        "A socket was refused: this worker holds 0 calls, the most it may (MAX_LINES)",
    ]
    # What Vonage makes of a handshake that is not answered with 101.
    told = await sync_to_async(tell)(
        client, event_url(connect), status="failed", uuid="leg-of-the-socket", to=connect["endpoint"][0]["uri"]
    )
    assert [each["text"] for each in told.json()] == ["All lines are busy."]
    assert (await Line.objects.aget()).state == Line.State.EXPECTED


async def test_calls_that_are_open_go_on_while_new_ones_are_refused(
    connect: dict[str, Any], lag: Lag, client: Client
) -> None:
    other = (await sync_to_async(ask)(client, uuid="e" * 32))[-1]
    async with socket(path_of(connect)) as vonage:
        await vonage.send_to(bytes_data=frame(1))
        assert await vonage.receive_from(5) == frame(1)
        feed(lag, 0.0, 6, late=0.1)
        assert await refused(path_of(other))
        await vonage.send_to(bytes_data=frame(2))
        assert await vonage.receive_from(5) == frame(2)


async def test_stranger_makes_no_entry_on_a_timeline(connect: dict[str, Any], settings: Settings) -> None:
    settings.MAX_LINES = 0
    assert await refused(path_of(connect)[:-3] + "xxx")
    assert await problems() == []


async def test_stranger_costs_the_database_nothing(connect: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = AsyncMock()
    monkeypatch.setattr(consumers.THREADS, "run", asked)
    for path in (path_of(connect)[:-3] + "xxx", "/socket/nobody/abc", "/socket/x/" + path_of(connect).split("/")[3]):
        assert await refused(path)
    assert not asked.called


async def test_only_sockets_that_were_let_in_count_as_calls(connect: dict[str, Any], settings: Settings) -> None:
    settings.MAX_LINES = 1
    admitting, free = asyncio.Event(), asyncio.Event()
    really = consumers.THREADS.run

    async def slow(*work: Any, **named: Any) -> Any:
        if work[0] is admit and not admitting.is_set():
            admitting.set()
            await free.wait()
        return await really(*work, **named)

    with patch.object(consumers.THREADS, "run", slow):
        waiting = asyncio.create_task(refused(path_of(connect)))
        await admitting.wait()
        # One asks to be let in, and none is.
        async with socket(path_of(connect)) as vonage:
            await vonage.send_to(bytes_data=frame(1))
            assert await vonage.receive_from(5) == frame(1)
            free.set()
            assert await waiting


async def test_watch_sees_what_keeps_the_loop() -> None:
    watch = load.Watch()
    watch.start()
    # A fifth of the windows, so that it takes no 5 s.
    watch.lag._size = 20

    async def until_it_is(overloaded: bool, busy: float) -> None:
        async with asyncio.timeout(60):
            while watch.lag.overloaded != overloaded:
                until = time.monotonic() + busy
                while time.monotonic() < until:
                    pass
                await asyncio.sleep(0.01)

    await until_it_is(overloaded=True, busy=0.05)
    # A second socket does not make it forget.
    watch.start()
    assert watch.lag.overloaded
    await until_it_is(overloaded=False, busy=0)
