"""Knows what operators may have an open line do, and that the timeline says who had it done."""

from __future__ import annotations

from collections.abc import Callable

from callflows.live import LineMessage
from callflows.sockets.line import Line


async def obey(line: Line, message: LineMessage, hang_up: Callable[[], object]) -> None:
    """Carry out a command; ``hang_up`` ends the app. Raises what comes of a prompt that cannot be played."""
    by = f" by {message['by']}" if message["by"] else ""
    match message["command"]:
        case "hang_up":
            line.note("command", f"Hang up{by}", "hang_up")
            hang_up()
        case "stop":
            line.note("command", f"Stop{by}", "stop")
            line.clear()
        case "play":
            line.note("command", f"Play a prompt{by}", "play", version=message["version"])
            sound = await line.sound(message["version"])
            line.clear()
            line.play(sound)
