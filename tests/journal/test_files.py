"""Knows that files outlive their process, that a living process's file is left alone, and that there is a bound."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from callflows.journal.files import SEGMENT_BYTES, Journal, JournalFull, Segment
from callflows.journal.record import Record
from tests.dates import EXAMPLE

NAMES = (f"{number:08d}" for number in count())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journals(folder: Path) -> Iterator[list[Journal]]:
    """Processes as they are to files: each has its own journal in the same folder."""
    made = [Journal(folder, 10 * SEGMENT_BYTES) for _ in range(3)]
    yield made
    for each in made:
        each.close()


def write(journal: Journal, *ids: int, text: str = "") -> None:
    for each in ids:
        journal.append(Record(str(each), "event", EXAMPLE, {"text": text}), next(NAMES))


def ids(segments: list[Segment]) -> list[int]:
    return [int(record.id) for segment in segments for record in segment.waiting]


def test_own_records_come_in_their_order(journals: list[Journal]) -> None:
    write(journals[0], 1, 2)
    assert ids(journals[0].waiting()) == [1, 2]
    write(journals[0], 3)
    assert ids(journals[0].waiting()) == [1, 2, 3]


def test_dead_process_leaves_its_records_and_a_living_one_keeps_them(
    journals: list[Journal],
) -> None:
    first, second, third = journals
    write(first, 1, 2)
    write(second, 3)
    assert ids(third.waiting()) == []
    first.close()
    assert ids(third.waiting()) == [1, 2]
    assert ids(second.waiting()) == [3]


def test_of_many_who_find_a_dead_process_one_stores(folder: Path) -> None:
    dead = Journal(folder, SEGMENT_BYTES)
    write(dead, 1)
    dead.close()
    heirs = [Journal(folder, SEGMENT_BYTES) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda heir: ids(heir.waiting()), heirs))
    assert sorted(found) == [[]] * 7 + [[1]]
    for heir in heirs:
        heir.close()


def test_what_is_stored_is_gone_also_for_others(journals: list[Journal], folder: Path) -> None:
    first, second, _ = journals
    write(first, 1)
    (segment,) = first.waiting()
    first.done(segment)
    assert first.empty
    assert not list(folder.iterdir())
    assert second.waiting() == []


def test_nobody_else_may_read_it(journals: list[Journal], folder: Path) -> None:
    write(journals[0], 1)
    journals[0].refuse(b"nobody can store this")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


def test_there_is_a_bound_for_all_and_what_is_stored_makes_room(folder: Path) -> None:
    other, mine = Journal(folder, 3000), Journal(folder, 3000)
    write(other, 1, text="x" * 1000)
    write(mine, 2, text="x" * 1000)
    with pytest.raises(JournalFull, match="JOURNAL_MB"):
        write(mine, 3, text="x" * 1000)
    mine.done(mine.waiting()[0])
    write(mine, 4, text="x" * 1000)
    assert ids(mine.waiting()) == [4]
    other.close()
    mine.close()


def test_long_journal_leaves_in_pieces(journals: list[Journal]) -> None:
    write(journals[0], *range(30), text="x" * 100_000)
    segments = journals[0].waiting()
    assert len(segments) == 3
    assert all(segment.size < SEGMENT_BYTES + 101_000 for segment in segments)
    assert ids(segments) == list(range(30))


def test_disk_that_takes_half_a_line_does_not_spoil_the_next(
    journals: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journals[0], 1)
    whole = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, line: whole(descriptor, line[: len(line) // 2]))
        with pytest.raises(JournalFull, match="only a part"):
            write(journals[0], 2)
    write(journals[0], 3)
    assert ids(journals[0].waiting()) == [1, 3]


def test_only_what_was_written_since_is_brought_to_the_disk(
    journals: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Any] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_mode))
    write(journals[0], 1)
    journals[0].sync()
    journals[0].sync()
    # The file, and the folder in which it got its name.
    assert [stat.S_ISDIR(mode) for mode in synced] == [False, True]
    write(journals[0], 1)
    journals[0].sync()
    assert len(synced) == 3
    write(journals[0], 2)
    # One that is stored before it was brought to the disk need not be any more.
    journals[0].done(journals[0].waiting()[0])
    journals[0].sync()
    assert len(synced) == 3
