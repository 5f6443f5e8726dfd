"""Knows what processes tell each other about live calls: every group name and message shape."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal, TypedDict

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

Command = Literal["hang_up", "play", "stop"]


class LineMessage(TypedDict):
    """A command to the worker that holds a line. ``version`` is the prompt version to play, 0 for none."""

    type: Literal["line.command"]
    command: Command
    version: int
    by: str


def group_of(line: str) -> str:
    """Return the group in which the worker that holds a line listens."""
    return f"line.{line}"


async def command(line: str, name: Command, *, version: int = 0, by: str = "") -> None:
    """Tell the worker that holds ``line``; whether it heard stands on the call's timeline.

    News may be lost: without Redis it reaches this process only.
    """
    message: LineMessage = {"type": "line.command", "command": name, "version": version, "by": by}
    await _layer().group_send(group_of(line), dict(message))


async def commands(line: str) -> AsyncIterator[LineMessage]:
    """Yield the commands for a line as they come. A layer that fails is listened to again, a second later."""
    while True:
        try:
            async for message in _messages(group_of(line)):
                yield message
        except Exception as error:
            log.warning("line %s hears no commands for now: %s", line, error)
            await asyncio.sleep(RETRY_SECONDS)


async def _messages(group: str) -> AsyncIterator[LineMessage]:
    layer = _layer()
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    try:
        while True:
            yield await layer.receive(channel)
    finally:
        # Else the layer would remember a group for every call that there ever was.
        with suppress(Exception):
            await layer.group_discard(group, channel)


def _layer() -> Any:
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("no channel layer is configured: set CHANNEL_LAYERS")
    return layer
