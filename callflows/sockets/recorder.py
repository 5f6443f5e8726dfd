"""Knows how a line's recording gets to the disk while it lasts: in pieces, and off the event loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from callflows.audio.recording import TwoTracks
from callflows.audio.timing import Timing, TimingFile, timing_path
from callflows.audio.wavfile import WavFile
from callflows.sockets.line import Line

T = TypeVar("T")

# Written every half second: a killed worker loses no more than that.
WRITE_SECONDS = 0.5
# A disk that takes nothing for so long ends the recording: what waits for it is memory, 1 MB by then.
DISK_SECONDS = 10.0
# Threads of their own: a disk that hangs holds up nothing else.
_DISK = ThreadPoolExecutor(4, "recording")


@asynccontextmanager
async def recorded(line: Line) -> AsyncIterator[asyncio.Task[None]]:
    """Record both parties while the block lasts, into the line's own file.

    Yields what writes: it ends early only when it cannot write, and the block's end raises why. Raises LookupError for
    a line without a place for recordings.
    """
    if line.recording is None:
        raise LookupError("this line has no place for recordings")
    timing = Timing(line.clock(), line.lag)
    line.tracks = tracks = TwoTracks(line.fmt, WRITE_SECONDS, timing.heard)
    line.note("recording", "Begins")
    stop = asyncio.Event()
    writing = asyncio.create_task(_write(line, line.recording, tracks, timing, stop))
    try:
        yield writing
    finally:
        line.tracks = None
        stop.set()
        # Shielded: a caller who hangs up cancels the app, and the end of the recording must still be written.
        await asyncio.shield(writing)


async def _write(line: Line, path: Path, tracks: TwoTracks, timing: Timing, stop: asyncio.Event) -> None:
    """Write what is settled every half second, and the rest at the end; one write at a time."""
    files = await _on_disk(lambda: Files(path, line.fmt.rate), lambda late: late.close())
    # Each call at a time of its own: 100 that began together would all be written in one turn of the loop, 20 ms.
    pause = WRITE_SECONDS * random.random()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()
        pause = WRITE_SECONDS
        now, final = line.clock(), stop.is_set()
        ready = partial(files.write, tracks.blocks(now, final), timing, now, final)
        await _on_disk(ready, lambda _: files.close())
        if final:
            return


async def _on_disk(work: Callable[[], T], give_up: Callable[[T], object]) -> T:
    """Run ``work`` in a thread. Raises TimeoutError when the disk hangs; if it goes on later, calls ``give_up``."""
    running = asyncio.get_running_loop().run_in_executor(_DISK, work)
    try:
        async with asyncio.timeout(DISK_SECONDS):
            return await asyncio.shield(running)
    except TimeoutError:
        running.add_done_callback(lambda done: None if done.cancelled() or done.exception() else give_up(done.result()))
        raise TimeoutError(f"the disk took no recording for {DISK_SECONDS:g} s") from None


class Files:
    """The sound and its measures, side by side. Blocks."""

    def __init__(self, path: Path, rate: int) -> None:
        self._sound = WavFile(path, rate)
        try:
            self._timing = TimingFile(timing_path(path))
        except BaseException:
            self._sound.close()
            raise

    def write(self, blocks: list[bytes], timing: Timing, now: float, final: bool) -> None:
        """Append what is ready; ``final``: and close. Closes, too, when it cannot be written."""
        try:
            for block in blocks:
                self._sound.write(block)
            self._timing.write(timing.seconds(now, final))
        except BaseException:
            with suppress(OSError):
                self.close()
            raise
        if final:
            self.close()

    def close(self) -> None:
        # The sound last: its lock keeps both from being moved away.
        with suppress(OSError):
            self._timing.close()
        self._sound.close()
