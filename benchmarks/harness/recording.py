"""Knows what recording costs by itself, in microseconds of CPU a frame: `python -m benchmarks.harness.recording`.

In isolation: no socket, no event loop, one call. ``turn`` is on the event loop at each frame, ``piece`` on it each half
second, ``disk`` in a thread each half second; all are spread over the incoming frames. ``echo`` is what an echo's line
costs without a recording, to compare.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND, Format
from callflows.audio.lag import Lag
from callflows.audio.live_resample import LiveResampler
from callflows.audio.recording import TwoTracks
from callflows.audio.timing import Timing
from callflows.sockets.line import Line
from callflows.sockets.recorder import WRITE_SECONDS, Files
from callflows.wire.events import Audio

P = ParamSpec("P")

SECONDS = 120
ROUNDS = 5
PIECE = round(WRITE_SECONDS * FRAMES_PER_SECOND)


def main() -> None:
    """Print a table and the same as JSON."""
    figures = {rate: measure(rate) for rate in (8000, 16000, 24000)}
    print(f"{'us a frame':12}" + "".join(f"{name:>10}" for name in figures[8000]))
    for rate, costs in figures.items():
        print(f"{rate // 1000:>3} kHz     " + "".join(f"{cost:10.2f}" for cost in costs.values()))
    ways = {
        f"{one} to {other}": resampling(one, other) for one, other in ((8000, 16000), (24000, 16000), (16000, 24000))
    }
    print("resampling  " + ", ".join(f"{way}: {cost:.1f}" for way, cost in ways.items()))
    print(json.dumps({"recording": figures, "resampling": ways}))


def measure(rate: int) -> dict[str, float]:
    """Return the costs of recording with both sides speaking, the least of several rounds."""
    rounds = [_round(rate) for _ in range(ROUNDS)]
    return {name: min(each[name] for each in rounds) for name in rounds[0]}


def resampling(rate: int, to_rate: int) -> float:
    """Return what a frame costs that is resampled live."""
    resampler, frame = LiveResampler(rate, to_rate), Format(rate).silence
    return _cost(lambda: [resampler.push(frame) for _ in range(2000)]) / 2000


def _round(rate: int) -> dict[str, float]:
    fmt, loop = Format(rate), Lag(0.0)
    frames = SECONDS * FRAMES_PER_SECOND
    timing = Timing(0.0, loop)
    tracks, pcm = TwoTracks(fmt, WRITE_SECONDS, timing.heard), b"\1\2" * fmt.frame_samples
    costs = dict.fromkeys(("turn", "piece", "disk"), 0.0)
    with tempfile.TemporaryDirectory(prefix="callflows-bench-") as folder:
        files = Files(Path(folder) / "call.wav", rate)
        for first in range(0, frames, PIECE):
            costs["turn"] += _cost(_speak, tracks, pcm, first)
            now = (first + PIECE) * FRAME_SECONDS
            blocks: list[bytes] = []
            costs["piece"] += _cost(_take, tracks, blocks, now)
            costs["disk"] += _cost(files.write, blocks, timing, now, False)
        files.close()
    costs = {name: cost / frames for name, cost in costs.items()}
    return {**costs, "all": sum(costs.values()), "echo": _echo(fmt, pcm)}


def _speak(tracks: TwoTracks, pcm: bytes, first: int) -> None:
    for number in range(first, first + PIECE):
        now = number * FRAME_SECONDS
        tracks.heard(pcm, now)
        tracks.played(pcm, 50.0, now)


def _take(tracks: TwoTracks, blocks: list[bytes], now: float) -> None:
    blocks.extend(tracks.blocks(now))


def _echo(fmt: Format, pcm: bytes) -> float:
    async def run() -> float:
        now = 0.0
        line = Line(fmt, clock=lambda: now)
        line.on_audio = line.play

        def speak() -> None:
            nonlocal now
            for _ in range(2000):
                now += FRAME_SECONDS
                line.hear(Audio(pcm))
                line.due()

        return _cost(speak) / 2000

    return asyncio.run(run())


def _cost(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return the microseconds of CPU that ``work`` takes in this thread."""
    begun = time.thread_time()
    work(*args, **kwargs)
    return (time.thread_time() - begun) * 1e6


if __name__ == "__main__":
    main()
