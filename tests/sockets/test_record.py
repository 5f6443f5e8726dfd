"""The caller is recorded after the beep, both channels, until a key, silence, the limit or the end of the call."""

from __future__ import annotations

import asyncio
import json
import threading
import tracemalloc
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from callflows.audio.timing import TimingFile, summarize, timing_path
from callflows.audio.wavfile import WavFile, is_locked
from callflows.sockets import recorder
from callflows.sockets.record import APP, RecordSettings, record
from callflows.sockets.registry import outcomes
from tests.services import wait_until
from tests.sockets.far import FMT, TURN, Far, in_virtual_time, now, numbered, texts

LOUD = (8000).to_bytes(2, "little") * FMT.frame_samples


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "open" / "it.wav"


async def sound(version: int) -> memoryview:
    return memoryview(b"".join(numbered(100)))


def far_at(path: Path | None, voice: Iterable[bytes] = (), **settings: Any) -> Far:
    return Far(voice=voice, recording=path, sound=sound, settings=settings)


def exists(path: Path) -> bool:
    return path.exists()


def fill(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"kept")


def is_as_filled(path: Path) -> bool:
    return path.read_bytes() == b"kept"


def channels(path: Path) -> tuple[list[int], list[int]]:
    """Return the first sample of each frame: of the others, and of us."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, FMT.rate)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    frames = both[:: FMT.frame_samples]
    return frames[:, 0].tolist(), frames[:, 1].tolist()


@in_virtual_time
async def test_recording_begins_when_prompt_and_beep_were_heard(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), prompt={"version": 1, "name": "the greeting"})
    app = asyncio.create_task(record(far.line))
    await far.run(2)
    assert not exists(path)
    assert texts(far.line) == ["Playing the greeting"]
    await far.run(1)
    far.press("#")
    await far.until(app, 1)
    assert app.result() == "key"
    assert far.heard[:100] == numbered(100)
    assert "Begins" in texts(far.line)
    others, us = channels(path)
    # 2 s of prompt and the beep are not in it; the caller's frames follow each other.
    assert others[0] > 100
    assert others == list(range(others[0], others[0] + len(others)))
    assert set(us) == {0}


@in_virtual_time
async def test_both_channels_are_written(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(5)
    far.line.play(b"".join(numbered(50, start=7000)))
    await far.run(5)
    far.press("#")
    await far.until(app, 1)
    others, us = channels(path)
    assert len(others) == pytest.approx(500, abs=2)
    assert others == list(range(others[0], others[0] + len(others)))
    start = us.index(7000)
    assert us[start : start + 50] == list(range(7000, 7050))
    assert start == pytest.approx(250, abs=3)
    assert not any(us[:start] + us[start + 50 :])


@in_virtual_time
async def test_recording_is_on_disk_while_it_lasts(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(10)
    assert is_locked(path)
    # Written each half second, and what may still change waits for as long.
    assert len(channels(path)[0]) >= 440
    await far.hang_up(app)


@in_virtual_time
async def test_caller_who_hangs_up_leaves_a_whole_recording(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(10.17)
    await far.hang_up(app)
    assert not is_locked(path)
    assert len(channels(path)[0]) == pytest.approx(508, abs=2)
    assert far.line.tracks is None


@in_virtual_time
async def test_recording_ends_at_its_limit(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), beep=False, max_seconds=5)
    app = asyncio.create_task(record(far.line))
    await far.until(app, 10)
    assert app.result() == "limit"
    assert len(channels(path)[0]) == pytest.approx(250, abs=3)
    assert not is_locked(path)


@in_virtual_time
async def test_recording_ends_after_silence_that_follows_speech(path: Path) -> None:
    def voice() -> Iterator[bytes]:
        yield from [LOUD] * 100
        yield from [FMT.silence] * 90
        yield from [LOUD] * 10

    far = far_at(path, voice=voice(), beep=False, end_silence=2)
    app = asyncio.create_task(record(far.line))
    await far.until(app, 10)
    assert app.result() == "silence"
    assert now() == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(("end_key", "pressed"), [("#", "5"), ("", "#"), ("*", "#")])
@in_virtual_time
async def test_other_keys_do_not_end_it(path: Path, end_key: str, pressed: str) -> None:
    far = far_at(path, beep=False, end_key=end_key)
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    far.press(pressed)
    await far.run(1)
    assert not app.done()
    await far.hang_up(app)


@in_virtual_time
async def test_caller_who_hangs_up_before_the_beep_leaves_no_recording(path: Path) -> None:
    far = far_at(path, prompt={"version": 1})
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    await far.hang_up(app)
    await far.run(1)
    assert not exists(path)


@in_virtual_time
async def test_line_without_a_place_for_recordings_says_so() -> None:
    far = far_at(None, beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    with pytest.raises(LookupError, match="this line has no place for recordings"):
        await app


@in_virtual_time
async def test_recording_never_overwrites_another(path: Path) -> None:
    fill(path)
    far = far_at(path, beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    with pytest.raises(FileExistsError):
        await app
    assert is_as_filled(path)


@pytest.mark.parametrize(
    "settings", [{"max_seconds": 0}, {"max_seconds": 7201}, {"end_key": "12"}, {"end_key": "A"}, {"end_silence": 61}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecordSettings.model_validate(settings)


@in_virtual_time
async def test_beep_comes_once_the_prompt_was_played(path: Path) -> None:
    far = far_at(path, prompt={"version": 1})
    app = asyncio.create_task(record(far.line))
    while sum(isinstance(each, bytes) for each in far.sent) <= 100:
        await far.run(TURN)
    # A second of sound may wait at Vonage: the beep leaves when none does any more.
    assert far.heard[:100] == numbered(100)
    await far.run(1)
    assert "Begins" in texts(far.line)
    await far.hang_up(app)


@in_virtual_time
async def test_prompt_that_an_operator_replaces_is_followed_by_the_beep_all_the_same(path: Path) -> None:
    far = far_at(path, prompt={"version": 1})
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    far.line.clear()
    far.line.play(b"".join(numbered(50, start=5000)))
    await far.run(0.9)
    assert "Begins" not in texts(far.line)
    await far.run(1.5)
    assert far.heard.count(numbered(1, start=5049)[0]) == 1
    assert len([frame for frame in far.heard if frame not in set(numbered(100)) | set(numbered(50, start=5000))]) > 5
    assert "Begins" in texts(far.line)
    await far.hang_up(app)


@in_virtual_time
async def test_key_pressed_during_the_prompt_ends_nothing(path: Path) -> None:
    far = far_at(path, prompt={"version": 1})
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    far.press("#")
    await far.run(4)
    assert not app.done()
    far.press("#")
    await far.until(app, 1)
    assert app.result() == "key"


@in_virtual_time
async def test_settings_that_do_not_fit_are_told_before_anything_is_said(path: Path) -> None:
    far = far_at(path, prompt=7)
    app = asyncio.create_task(record(far.line))
    await far.run(1)
    with pytest.raises(ValueError, match="prompt 7 has no version"):
        await app
    far = far_at(path, end_key="##", beep=False)
    with pytest.raises(ValueError, match="its settings do not fit: end_key"):
        await record(far.line)
    assert not exists(path)


def test_each_end_is_offered_as_a_branch() -> None:
    assert APP.outcomes == ("key", "silence", "limit")
    assert set(APP.outcomes) <= set(outcomes()["record"])


@in_virtual_time
async def test_how_the_frames_came_is_written_beside_the_sound(path: Path) -> None:
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(3)
    assert len(lines_of(path)) == 2, "each second that is over"
    # Our own end stands still for half a second: what comes then comes at once.
    await asyncio.sleep(0.5)
    await far.run(2)
    far.press("#")
    await far.until(app, 1)
    assert {each.stat().st_mode & 0o777 for each in folder_of(path)} == {0o600}
    found = summarize(timing_path(path))
    assert (found.gaps, found.ours, found.bursts, found.lag) == (1, 0, 1, None)
    assert found.frames == pytest.approx(275, abs=2)
    assert found.longest[0]["ms"] == pytest.approx(510, abs=15)
    assert found.burst >= 25


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in timing_path(path).read_text().splitlines()]


def folder_of(path: Path) -> list[Path]:
    return list(path.parent.iterdir())


@in_virtual_time
async def test_recording_takes_no_memory_however_long_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[int]()
    monkeypatch.setattr(WavFile, "write", lambda self, block: written.append(len(block)))
    far = Far(recording=path, settings={"beep": False, "max_seconds": 7200})
    app = asyncio.create_task(record(far.line))
    await far.run(30)
    tracemalloc.start()
    await far.run(5)
    before, _ = tracemalloc.get_traced_memory()
    await far.run(15)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 15 s of two channels are 480,000 bytes.
    assert after - before < 100_000
    assert sum(written) == pytest.approx(50 * 32000, rel=0.02)
    await far.hang_up(app)


@pytest.mark.parametrize("broken", [WavFile, TimingFile])
@in_virtual_time
async def test_disk_that_is_full_ends_the_app_with_its_error_and_keeps_what_there_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, broken: type
) -> None:
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    await far.run(3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, "write", full)
    await far.run(1)
    with pytest.raises(OSError, match="No space left"):
        await app
    assert far.line.tracks is None
    assert not is_locked(path)
    assert len(channels(path)[0]) >= 100


async def test_disk_that_hangs_ends_the_recording_instead_of_filling_the_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(recorder, "DISK_SECONDS", 0.2)
    monkeypatch.setattr(WavFile, "write", lambda self, block: hangs.wait(30) if block else None)
    far = far_at(path, voice=numbered(3000), beep=False)
    app = asyncio.create_task(record(far.line))
    async with asyncio.timeout(60):
        while not app.done():
            await far.run(0.1)
    with pytest.raises(TimeoutError, match=r"the disk took no recording for 0\.2 s"):
        await app
    assert is_locked(path)
    hangs.set()
    await asyncio.to_thread(wait_until, lambda: not is_locked(path), "the file is closed")
