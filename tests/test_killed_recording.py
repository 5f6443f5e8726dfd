"""Knows that a recording outlives its worker: killed in the middle of a call, and kept by another process."""

from __future__ import annotations

import asyncio
import json
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np

from callflows.audio.format import Format
from tests.services import Deployment, rows, wait_until
from tests.test_a_call import VOICE, call, command, commanded, recorded

FRAME = 320


def levels(path: Path) -> tuple[int, int]:
    """Return the highest sample of each channel."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).astype(np.int32)
    highest = np.abs(both).max(axis=0)
    return int(highest[0]), int(highest[1])


def others(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0].tobytes()


async def test_worker_that_is_killed_while_it_records_leaves_both_channels_to_another(on_postgres: Deployment) -> None:
    first, second = on_postgres.serve(), on_postgres.serve()
    folder = on_postgres.home / "media" / "recordings"
    calling = asyncio.create_task(call(first, 4, seconds=30.0, at=second.url))
    await asyncio.to_thread(wait_until, lambda: recorded(folder / "open") > 1.0, "a second is recorded")
    await asyncio.to_thread(command, on_postgres, "play")
    await asyncio.to_thread(wait_until, lambda: commanded(on_postgres, "play"), "a prompt plays to the caller")
    before = recorded(folder / "open")
    await asyncio.to_thread(wait_until, lambda: recorded(folder / "open") > before + 2.0, "both are recorded")
    # The other server runs, and its files are not touched while they are written.
    on_postgres.work()
    assert not rows(on_postgres, "SELECT 1 FROM callflows_recording")
    second.kill()
    seconds = recorded(folder / "open")
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling
    on_postgres.work()
    await asyncio.to_thread(
        wait_until, lambda: bool(rows(on_postgres, "SELECT 1 FROM callflows_recording")), "the recording is kept"
    )
    ((file, kept),) = rows(on_postgres, "SELECT file, seconds FROM callflows_recording")
    sound = on_postgres.home / "media" / file
    assert kept >= seconds > 3.0
    assert min(levels(sound)) > 1000, "both are heard"
    said = b"".join(VOICE.frames(Format(16000)))
    heard = others(sound)
    middle = len(heard) // FRAME // 2 * FRAME
    assert heard[middle : middle + 20 * FRAME] in said
    measures = [json.loads(line) for line in sound.with_suffix(".jsonl").read_text().splitlines()]
    assert sum(second["frames"] for second in measures) > 50 * (seconds - 2)
    assert all(second["lag"] is not None for second in measures), "our own loop was watched"
    assert list((folder / "open").iterdir()) == []
    ((data,),) = rows(
        on_postgres, "SELECT data FROM callflows_timelineentry WHERE kind = 'recording' AND text LIKE '%kept%'"
    )
    assert data["timing"]["frames"] == sum(second["frames"] for second in measures)
