"""Knows how to take a message: a prompt, a beep, then both channels are recorded until the caller is done."""

from __future__ import annotations

import asyncio

from callflows.audio.format import FRAME_SECONDS
from callflows.audio.pcm import level, samples, to_int16
from callflows.audio.tones import beep
from callflows.sockets.app import Prompt, Settings, SocketApp, load, names, setting
from callflows.sockets.line import Line
from callflows.sockets.recorder import recorded

# Quieter than this (dBFS) counts as silence.
SILENCE_DB = -50.0


class RecordSettings(Settings):
    """What is said first, and when the recording ends."""

    prompt: Prompt | None = setting("Prompt", "What callers hear first.", None)
    beep: bool = setting("Beep", "It tells when to speak.", True)
    max_seconds: int = setting("At most", "", 120, unit="s", ge=1, le=7200)
    end_key: str = setting("Ends at key", "Empty: at none.", "#", pattern=r"^[0-9*#]?$")
    end_silence: int = setting("Ends after silence", "0: never.", 0, unit="s", ge=0, le=60)


async def record(line: Line) -> str:
    """Record until the key, the silence or the limit, or until the caller hangs up."""
    told = RecordSettings.of(line)
    await _introduce(line, told)
    async with recorded(line) as writing:
        ending = asyncio.create_task(_end(line, told))
        try:
            await asyncio.wait({ending, writing}, timeout=told.max_seconds, return_when=asyncio.FIRST_COMPLETED)
            return ending.result() if ending.done() else "limit"
        finally:
            ending.cancel()
            line.on_audio = None


async def _introduce(line: Line, told: RecordSettings) -> None:
    """Play the prompt, the beep once that was heard, and wait for its end: neither shall stand in the recording."""
    if told.prompt is not None:
        (sound,) = await load(line, told.prompt)
        line.play(sound)
        line.note("prompt", f"Playing {names([told.prompt])}")
        await _heard(line)
    if told.beep:
        line.play(to_int16(beep(line.fmt.rate)).tobytes())
        await _heard(line)
    # A key that was pressed during the prompt ends nothing.
    line.forget()


async def _heard(line: Line) -> None:
    """Wait until all was heard, also what an operator plays instead."""
    while not await line.mark().heard:
        pass


async def _end(line: Line, told: RecordSettings) -> str:
    """Return why the recording ended: a key, or silence."""
    silent = asyncio.Event()
    if told.end_silence:
        # In the transport's own turn: no task switch a frame.
        line.on_audio = _Silence(told.end_silence, silent).hear
    both = {asyncio.create_task(_key(line, told.end_key)), asyncio.create_task(silent.wait())}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return "silence" if silent.is_set() else "key"
    finally:
        for each in both:
            each.cancel()


async def _key(line: Line, key: str) -> bool:
    while await line.key() != key:
        pass
    return True


class _Silence:
    """Counts quiet frames in a row, and sets ``over`` after so many seconds of them."""

    def __init__(self, seconds: int, over: asyncio.Event) -> None:
        self._most = round(seconds / FRAME_SECONDS)
        self._quiet = 0
        self._over = over

    def hear(self, pcm: bytes) -> None:
        self._quiet = self._quiet + 1 if level(samples(pcm)) < SILENCE_DB else 0
        if self._quiet >= self._most:
            self._over.set()


APP = SocketApp(
    "record",
    "Record: takes a message",
    record,
    outcomes=("key", "silence", "limit"),
    settings=RecordSettings,
)
