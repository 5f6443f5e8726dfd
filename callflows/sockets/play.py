"""Knows how to play prompts to the caller."""

from __future__ import annotations

import asyncio
import itertools
from typing import Literal

from callflows.audio.framer import frames
from callflows.sockets.app import HUNG_UP, NamedPrompt, Prompt, Settings, SocketApp, load, names, setting
from callflows.sockets.line import Line

_AFTERWARDS = {"next": "go on (branch finished)", "hang-up": "hang up", "stay": "stay on the line"}


class PlaySettings(Settings):
    """Which sounds, how often, and what then."""

    prompt: Prompt = setting("Prompt", "What callers hear.")
    more_prompts: list[Prompt] = setting("More prompts", "After it, in turn.", [])
    loop: int = setting("How often", "All of them in turn; 0: until the caller hangs up.", 1, ge=0, le=1000)
    then: Literal["next", "hang-up", "stay"] = setting(
        "Afterwards", "When all was heard. Without a branch, going on is hanging up.", "next", called=_AFTERWARDS
    )


async def play(line: Line) -> str:
    """Play the prompts to their end, as heard by the caller, then do what was chosen."""
    told = PlaySettings.of(line)
    chosen = [told.prompt, *told.more_prompts]
    sounds = await load(line, *chosen)
    rounds = itertools.repeat(sounds, told.loop) if told.loop else itertools.repeat(sounds)
    seconds = sum(each.seconds for each in chosen if isinstance(each, NamedPrompt))
    line.note("prompt", f"Playing {names(chosen)}", seconds=seconds)
    # One sound without a pause between the rounds, and read only as fast as it is played.
    line.play(frame for each in rounds for sound in each for frame in frames(sound, line.fmt))
    heard = await line.mark().heard
    line.note("prompt", "Heard to the end" if heard else "Stopped")
    while not heard:
        # Somebody stopped it; what they play instead is heard out before the step ends.
        heard = await line.mark().heard
    if told.then == "stay":
        await asyncio.Event().wait()
    return HUNG_UP if told.then == "hang-up" else "finished"


APP = SocketApp("play", "Play: callers hear a prompt", play, outcomes=("finished",), settings=PlaySettings)
