"""Knows the actions that speak, wait or tell: talk, stream, wait, notify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callflows.audio.format import AudioError
from callflows.simulator import events
from callflows.simulator.delivery import Document
from callflows.simulator.effects import Fetched
from callflows.simulator.mixing import Clip
from callflows.simulator.options import flag, number
from callflows.simulator.scripts import Wait
from callflows.simulator.sound import refuse_other_streams, speaking_seconds

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Action = Mapping[str, Any]

_WAIT_SECONDS = 10.0


async def talk(call: Call, action: Action) -> None:
    """Speak a text: without a voice, silence of its speaking time."""
    text = str(action["text"])
    call.note("talk", text)
    await _sound(call, action, Clip.silence(speaking_seconds(text)), "talk")


async def stream(call: Call, action: Action) -> None:
    """Play a sound file; one that cannot be fetched or read is skipped."""
    url = action["streamUrl"][0]
    call.note("stream", url)
    clip = await fetch_clip(call, url, "stream")
    if clip is not None:
        await _sound(call, action, clip, "stream")


async def fetch_clip(call: Call, url: str, what: str, narrow: bool = False) -> Clip | None:
    """Fetch a sound file; one that cannot be fetched or read is a refusal.

    ``narrow``: take only what the stream of the REST API takes, a WAV of 16 bits and one channel at 8 or 16 kHz, or MP3
    (contract 11.4).
    """
    result = await call.courier.get(url)
    if not isinstance(result, Fetched) or result.status != 200:
        why = f"HTTP {result.status}" if isinstance(result, Fetched) else result.text
        call.refuse(f"{what}: cannot fetch {url}: {why}")
        return None
    try:
        if narrow:
            refuse_other_streams(result.body)
        return Clip.read(result.body)
    except AudioError as error:
        call.refuse(f"{what}: {url}: {error}")
        return None


async def _sound(call: Call, action: Action, clip: Clip, source: str) -> None:
    # bargeIn stays in force until an input, even if a following talk says false.
    call.barge = call.barge or flag(action.get("bargeIn"))
    await call.play(clip, source, loop=int(number(action.get("loop"), 1)), level=number(action.get("level"), 0.0))


async def wait(call: Call, action: Action) -> None:
    """Do nothing for a while; times outside the range are brought inside."""
    least, most = call.knobs.wait_range
    await Wait(call.now + min(most, max(least, number(action.get("timeout"), _WAIT_SECONDS))))


async def notify(call: Call, action: Action) -> Document | None:
    """Tell the application where the document is, and ask it how to go on."""
    body = events.notify(action["payload"], call.leg, call.clock)
    return await call.consult(body, call.leg, action)
