"""Knows how to play a prompt to the caller."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from pydantic import Field

from callflows.audio.framer import frames
from callflows.sockets.app import Settings, SocketApp
from callflows.sockets.line import Line


class PlaySettings(Settings):
    """Which sound, and how often."""

    prompt: int | dict[str, Any] = Field(title="Prompt", description="What callers hear.")
    loop: int = Field(1, ge=0, le=1000, title="How often", description="0: until the caller hangs up.")
    then: Literal["end", "stay"] = Field("end", title="Afterwards", description="End the step, or stay on the line.")


async def play(line: Line) -> str:
    """Play the prompt to its end, as heard by the caller, then end as ``finished``."""
    chosen = line.settings["prompt"]
    sound = await line.sound(chosen["version"])
    times = int(line.settings.get("loop", 1))
    rounds = itertools.repeat(sound, times) if times else itertools.repeat(sound)
    line.note("prompt", f"Playing {chosen.get('name') or 'a prompt'}", seconds=chosen.get("seconds"))
    # One sound without a pause between the rounds, and read only as fast as it is played.
    line.play(frame for each in rounds for frame in frames(each, line.fmt))
    heard = await line.mark().heard
    line.note("prompt", "Heard to the end" if heard else "Stopped")
    while not heard:
        # Somebody stopped it; what they play instead is heard out before the step ends.
        heard = await line.mark().heard
    if line.settings.get("then") == "stay":
        async for _ in line.events():
            pass
    return "finished"


APP = SocketApp("play", "Play: callers hear a prompt", play, outcomes=("finished",), settings=PlaySettings)
