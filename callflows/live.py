"""Knows what processes tell each other about live calls: every group name and message shape."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from channels.layers import get_channel_layer

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


def _layer() -> Any:
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("no channel layer is configured: set CHANNEL_LAYERS")
    return layer
