"""Knows how a line's recording gets from its open file into the storage, whoever wrote it and however that one died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone

from callflows.audio.timing import Timing, TimingFile, timing_path
from callflows.audio.wavfile import WavFile
from callflows.models import Call, Line, Recording, TimelineEntry
from callflows.models.recordings import open_path
from tests.services import BASE_DIR

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = np.tile(np.array([[100, -200]], "<i2"), (8000, 1)).tobytes()
WRITER = """
import sys, threading
from pathlib import Path
from callflows.audio.timing import Timing, TimingFile, timing_path
from callflows.audio.wavfile import WavFile
path = Path(sys.argv[1])
sound, seconds, timing = WavFile(path, 8000), TimingFile(timing_path(path)), Timing(0.0)
for number in range(150):
    timing.heard(number * 0.02 + (0.2 if number >= 70 else 0))
for second in range(3):
    sound.write(bytes([100, 0, 56, 255]) * 8000)
    seconds.write(timing.seconds(second + 1.0))
print("written", flush=True)
threading.Event().wait()
"""


def make_line(state: str = Line.State.OPEN) -> Line:
    call = Call.objects.create(uuid=f"call {Call.objects.count()}")
    return Line.objects.create(call=call, app="record", step="message", expires=timezone.now(), state=state)


def write(line: Line, seconds: int = 2, gap: float = 0.0) -> Path:
    """Write an open recording with its measures, as a line that has ended leaves it."""
    path, timing = open_path(line.pk), Timing(0.0)
    for number in range(50 * seconds):
        timing.heard(number * 0.02 + (gap if number >= 30 else 0))
    with WavFile(path, 8000) as sound:
        sound.write(SECOND * seconds)
    file = TimingFile(timing_path(path))
    file.write(timing.seconds(seconds + gap, final=True))
    file.close()
    return path


@contextmanager
def writer(line: Line) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that writes a recording until it is killed."""
    command = [sys.executable, "-c", WRITER, str(open_path(line.pk))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=BASE_DIR) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"written\n"
            yield process
        finally:
            process.kill()


def channels(recording: Recording) -> tuple[set[int], set[int]]:
    with recording.file.open("rb") as file, wave.open(file) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
        both = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
    return set(both[:, 0].tolist()), set(both[:, 1].tolist())


def left_open() -> list[str]:
    return sorted(each.name for each in Path(settings.RECORDINGS_OPEN).glob("*"))


@pytest.mark.process
def test_recording_of_a_killed_worker_is_kept_by_another_with_its_measures() -> None:
    line = make_line()
    with writer(line) as process:
        assert Recording.objects.repair() == 0, "it is being written"
        assert left_open() == [f"{line.pk}.jsonl", f"{line.pk}.wav"]
        process.kill()
        process.wait()
        assert Recording.objects.repair() == 1
    recording = Recording.objects.get()
    line.refresh_from_db()
    assert (recording.line, recording.call, recording.seconds) == (line, line.call, 3.0)
    assert channels(recording) == ({100}, {-200})
    assert (line.state, left_open()) == (Line.State.LOST, [])
    entry = TimelineEntry.objects.get(kind="recording")
    assert entry.text == "3.0 s kept; 1 gap in what came"
    assert entry.data["timing"]["longest"] == [{"at": 1.38, "ms": 220.0, "ours": False}]


def test_files_and_folders_are_for_our_own_user_alone() -> None:
    line = make_line()
    path = write(line)
    for folder in (path.parent, path.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    recording = Recording.objects.keep(line.pk)
    assert recording
    kept = Path(recording.file.path)
    assert sorted(each.name for each in kept.parent.iterdir()) == [f"{line.pk}.jsonl", f"{line.pk}.wav"]
    assert {each.stat().st_mode & 0o777 for each in kept.parent.iterdir()} == {0o600}
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_measures_are_kept_beside_the_sound_and_go_with_it() -> None:
    line = make_line()
    write(line, gap=0.5)
    recording = Recording.objects.keep(line.pk)
    assert recording
    kept = Path(settings.MEDIA_ROOT) / recording.timing_name
    assert kept.parent == Path(recording.file.path).parent
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert sum(second["frames"] for second in lines) == 100
    assert [gap for second in lines for gap in second["gaps"]] == [{"at": 0.58, "ms": 520.0, "ours": False}]
    recording.delete()
    assert list(kept.parent.iterdir()) == []


def test_recording_that_came_well_is_told_in_few_words_and_kept_once() -> None:
    line = make_line(Line.State.CLOSED)
    write(line)
    first, again = Recording.objects.keep(line.pk), Recording.objects.keep(line.pk)
    assert first
    assert again is None
    assert Recording.objects.count() == 1
    assert [entry.text for entry in TimelineEntry.objects.all()] == ["2.0 s kept"]
    line.refresh_from_db()
    assert line.state == Line.State.CLOSED


def test_recording_without_measures_is_kept_too() -> None:
    line = make_line()
    timing_path(write(line)).unlink()
    assert Recording.objects.repair() == 1
    assert "timing" not in TimelineEntry.objects.get().data


def test_what_a_worker_left_that_was_killed_while_it_moved_is_replaced() -> None:
    line = make_line()
    write(line)
    kept = Path(settings.MEDIA_ROOT) / "recordings" / "kept"
    kept.mkdir()
    for kind in ("wav", "jsonl"):
        (kept / f"{line.pk}.{kind}").write_text("half")
    recording = Recording.objects.keep(line.pk)
    assert recording
    assert channels(recording) == ({100}, {-200})
    assert sorted(each.name for each in kept.iterdir()) == [f"{line.pk}.jsonl", f"{line.pk}.wav"]


def test_recording_of_nothing_leaves_nothing() -> None:
    line = make_line()
    write(line, seconds=0)
    assert Recording.objects.repair() == 0
    assert (Recording.objects.count(), left_open()) == (0, [])


def test_file_that_cannot_be_mended_stops_no_other_and_stays() -> None:
    folder = Path(settings.RECORDINGS_OPEN)
    lines = sorted((make_line() for _ in range(3)), key=lambda line: line.pk)
    for line in lines:
        write(line)
    open_path(lines[0].pk).write_bytes(b"x" * 100)
    open_path(lines[1].pk).chmod(0)
    (folder / "of no line.wav").write_bytes(b"RIFF")
    assert Recording.objects.repair() == (2 if os.geteuid() == 0 else 1), "root may read all"
    assert open_path(lines[0].pk).read_bytes() == b"x" * 100
    assert (folder / "of no line.wav").exists()


def test_start_of_a_recording_that_was_cut_off_is_swept_and_a_new_one_is_not() -> None:
    folder = Path(settings.RECORDINGS_OPEN)
    write(make_line())
    old, new = folder / "old.part", folder / "new.part"
    for each, age in ((old, timedelta(minutes=5)), (new, timedelta())):
        each.touch()
        # The disk goes by a clock that no test moves.
        os.utime(each, ((timezone.now() - age).timestamp(),) * 2)
    Recording.objects.repair()
    assert left_open() == ["new.part"]
