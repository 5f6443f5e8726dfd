"""Knows how to record the caller: a prompt, a beep, then both channels into one WAV while it lasts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from pydantic import Field

from callflows.audio.pcm import level, samples, to_int16
from callflows.audio.recording import TwoTracks
from callflows.audio.tones import beep
from callflows.audio.wavfile import WavFile
from callflows.sockets.app import Settings, SocketApp
from callflows.sockets.line import Line
from callflows.wire.events import Audio, Digit

# Written every half second: a killed worker loses no more than that.
WRITE_SECONDS = 0.5
# Quieter than this (dBFS) counts as silence.
SILENCE_DB = -50.0


class RecordSettings(Settings):
    """What is said first, and when the recording ends."""

    prompt: int | dict[str, Any] | None = Field(None, title="Prompt", description="What callers hear first.")
    beep: bool = Field(True, title="Beep", description="A beep tells when to speak.")
    max_seconds: int = Field(120, ge=1, le=7200, title="At most", description="Seconds.")
    end_key: str = Field("#", pattern=r"^[0-9*#]?$", title="Ends at key", description="Empty: at none.")
    end_silence: int = Field(0, ge=0, le=60, title="Ends after silence", description="Seconds; 0: never.")


async def record(line: Line) -> str:
    """Record until the key, the silence or the limit, or until the caller hangs up."""
    await _introduce(line)
    path = line.recording
    if path is None:
        raise LookupError("this line has no place for recordings")
    line.tracks = TwoTracks(line.fmt, WRITE_SECONDS)
    line.note("recording", "Begins")
    file = await asyncio.to_thread(WavFile, path, line.fmt.rate)
    stop = asyncio.Event()
    writing = asyncio.create_task(_write(line.tracks, file, stop))
    ending = asyncio.create_task(_end(line))
    limit = float(line.settings.get("max_seconds", 120))
    try:
        await asyncio.wait({ending, writing}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            writing.result()  # raises what kept it from writing, such as a full disk
        return ending.result() if ending.done() else "limit"
    finally:
        ending.cancel()
        line.tracks = None
        stop.set()
        # Shielded: the caller hanging up cancels this task, and the end of the recording must still be written.
        await asyncio.shield(writing)


async def _introduce(line: Line) -> None:
    """Play prompt and beep, and wait until they were heard: neither shall stand in the recording."""
    if chosen := line.settings.get("prompt"):
        line.play(await line.sound(chosen["version"]))
    if line.settings.get("beep", True):
        line.play(to_int16(beep(line.fmt.rate)).astype("<i2").tobytes())
    await line.mark().heard
    # A key that was pressed during the prompt ends nothing.
    line.forget()


async def _write(tracks: TwoTracks, file: WavFile, stop: asyncio.Event) -> None:
    """Write what is settled every half second, and the rest at the end; one write at a time."""
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WRITE_SECONDS)
        await asyncio.to_thread(_append, file, tracks.blocks(loop.time(), final=stop.is_set()))
    await asyncio.to_thread(file.close)


def _append(file: WavFile, blocks: list[bytes]) -> None:
    for block in blocks:
        file.write(block)


async def _end(line: Line) -> str:
    """Return why the recording ended: a key, or silence."""
    key = line.settings.get("end_key", "#")
    most = float(line.settings.get("end_silence", 0))
    quiet = 0
    async for event in line.events():
        if isinstance(event, Digit) and event.digit == key:
            return "key"
        if isinstance(event, Audio) and most:
            quiet = quiet + 1 if level(samples(event.pcm)) < SILENCE_DB else 0
            if quiet * 0.02 >= most:
                return "silence"
    return "key"


APP = SocketApp(
    "record",
    "Record: callers leave a message",
    record,
    outcomes=("key", "silence", "limit"),
    settings=RecordSettings,
)
