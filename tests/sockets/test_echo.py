"""Callers hear themselves, frame for frame."""

from __future__ import annotations

import asyncio

from callflows.sockets.echo import echo
from tests.sockets.far import Far, in_virtual_time, numbered


@in_virtual_time
async def test_every_frame_comes_back_in_order_and_nothing_else() -> None:
    far = Far(voice=numbered(500))
    app = asyncio.create_task(echo(far.line))
    await far.run(9)
    assert far.heard == numbered(len(far.heard))
    assert len(far.heard) >= 445
    assert all(isinstance(message, bytes) for message in far.sent)
    assert not app.done()
    await far.hang_up(app)


@in_virtual_time
async def test_frames_that_come_all_at_once_come_back_whole() -> None:
    far = Far(voice=numbered(200))
    app = asyncio.create_task(echo(far.line))
    await asyncio.sleep(3)
    await far.run(6)
    assert far.heard[:200] == numbered(200)
    assert far.deepest <= 51
    await far.hang_up(app)


@in_virtual_time
async def test_frame_of_a_wrong_size_comes_back_as_silence() -> None:
    far = Far()
    app = asyncio.create_task(echo(far.line))
    await asyncio.sleep(0)
    far.line.silent()
    assert far.line.due() == [bytes(320)]
    await far.hang_up(app)
