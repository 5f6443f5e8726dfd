"""What waits for a socket's application, and how it is woken."""

from __future__ import annotations

import asyncio

import pytest

from callflows.serving import Message
from callflows.serving.inbox import Inbox


def new_inbox(most: int = 4) -> tuple[Inbox, list[bool]]:
    paces: list[bool] = []
    return Inbox(asyncio.get_running_loop(), paces.append, most), paces


async def collect(inbox: Inbox, into: list[object]) -> None:
    while (message := await inbox.receive())["type"] != "end":
        into.append(message["type"])


def message(kind: object) -> Message:
    return {"type": kind}


async def test_delivered_messages_are_taken_before_delivery_returns() -> None:
    inbox, _ = new_inbox()
    found: list[object] = []
    task = asyncio.create_task(collect(inbox, found))
    await asyncio.sleep(0)
    # From a callback of the loop, as a server reads: no task runs then.
    done = asyncio.get_running_loop().create_future()

    def arrive() -> None:
        for each in range(3):
            inbox.deliver(message(each))
            assert found[-1] == each
        done.set_result(None)

    asyncio.get_running_loop().call_soon(arrive)
    await done
    inbox.put_nowait(message("end"))
    await task
    assert found == [0, 1, 2]


async def test_messages_keep_their_order_whichever_way_they_come() -> None:
    inbox, _ = new_inbox()
    found: list[object] = []
    task = asyncio.create_task(collect(inbox, found))
    await asyncio.sleep(0)
    inbox.put_nowait(message(0))
    loop = asyncio.get_running_loop()
    loop.call_soon(inbox.deliver, message(1))
    loop.call_soon(inbox.put_nowait, message(2))
    loop.call_soon(inbox.deliver, message("end"))
    await task
    assert found == [0, 1, 2]


async def test_the_application_may_put_into_its_own_inbox() -> None:
    inbox, _ = new_inbox()
    inbox.put_nowait(message("own"))
    assert (await inbox.receive())["type"] == "own"


async def test_a_wait_ends_when_its_time_is_over_and_loses_nothing() -> None:
    inbox, _ = new_inbox()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await inbox.receive()
    inbox.put_nowait(message(1))
    assert (await inbox.receive())["type"] == 1


async def test_a_message_that_comes_with_the_cancelling_is_kept() -> None:
    inbox, _ = new_inbox()
    task = asyncio.create_task(inbox.receive())
    await asyncio.sleep(0)
    task.cancel()
    asyncio.get_running_loop().call_soon(inbox.deliver, message(1))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await inbox.receive())["type"] == 1


async def test_a_task_is_cancelled_before_and_while_it_waits() -> None:
    for turns in (0, 1, 3):
        inbox, _ = new_inbox()
        task = asyncio.create_task(inbox.receive())
        for _ in range(turns):
            await asyncio.sleep(0)
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_reading_pauses_above_the_most_and_goes_on_at_half_of_it() -> None:
    inbox, paces = new_inbox(most=4)
    for each in range(6):
        inbox.put_nowait(message(each))
        assert paces == ([True] if each >= 4 else [])
    for each in range(6):
        assert (await inbox.receive())["type"] == each
        assert paces == ([True, False] if each >= 3 else [True])
