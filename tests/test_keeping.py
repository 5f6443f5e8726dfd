"""Knows that what is kept is stored once, in order, as soon as the database takes it, and brought to the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from callflows import keeping
from callflows.journal.files import Journal
from callflows.journal.record import Record
from callflows.keeping import STORES, Keeper, NotNow
from callflows.watch import Watch
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Store:
    """A database that takes records, or not."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refuses: set[str] = set()
        self.away = False

    def __call__(self, record: Record) -> None:
        if self.away:
            raise NotNow("it is away")
        if record.payload["text"] in self.refuses:
            raise ValueError("it cannot be")
        self.taken.append(record.payload["text"])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setitem(STORES, "test", made)
    return made


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """One that says that the database is away, whatever this process's own sees meanwhile."""
    made = Watch(lambda seconds: "")
    made.away = True
    monkeypatch.setattr(keeping, "WATCH", made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def keeper(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """One without threads of its own: what they do is called here."""
    monkeypatch.setattr(Keeper, "start", lambda self: None)
    made = Keeper(Journal(folder, 1024 * 1024))
    yield made
    made.journal.close()


def keep(keeper: Keeper, *texts: str, hold: float = 0.0, ago: float = 0.0) -> None:
    for text in texts:
        keeper.keep("test", {"text": text}, timezone.now() - timedelta(seconds=ago), hold)


def test_records_are_stored_once_and_in_their_order(keeper: Keeper, store: Store, folder: Path) -> None:
    keep(keeper, "a", "b", "c")
    keeper.store_waiting()
    keeper.store_waiting()
    assert store.taken == ["a", "b", "c"]
    assert not list(folder.iterdir())


def test_database_that_goes_again_is_waited_for_and_nothing_overtakes(keeper: Keeper, store: Store) -> None:
    keep(keeper, "a")
    store.away = True
    assert keeper.store_waiting() == keeping.AGAIN_SECONDS
    keep(keeper, "b")
    assert store.taken == []
    store.away = False
    keeper.store_waiting()
    assert store.taken == ["a", "b"]


def test_record_that_nobody_can_store_is_put_aside_and_stops_no_other(
    keeper: Keeper, store: Store, folder: Path
) -> None:
    store.refuses = {"b"}
    keep(keeper, "a", "b", "c")
    keeper.keep("of a later version", {})
    keep(keeper, "d")
    keeper.store_waiting()
    assert store.taken == ["a", "c", "d"]
    refused = [Record.of(line) for line in (folder / "refused").read_bytes().splitlines()]
    assert [each.kind for each in refused] == ["test", "of a later version"]
    keeper.store_waiting()
    assert len((folder / "refused").read_bytes().splitlines()) == 2


def test_held_record_waits_and_the_others_do_not(keeper: Keeper, store: Store) -> None:
    keep(keeper, "held", hold=15)
    keep(keeper, "a")
    assert 4 < keeper.store_waiting() <= 5
    assert store.taken == ["a"]
    # It came long ago.
    keep(keeper, "held before", hold=15, ago=16)
    keeper.store_waiting()
    assert store.taken == ["a", "held before"]


def test_callers_go_first_but_not_for_ever(keeper: Keeper, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        # One caller is answered, the other one never is.
        keeper.callers = min(keeper.callers, len(waits) < 10)

    keep(keeper, "a")
    keeper.callers = 2
    monkeypatch.setattr("callflows.keeping.time.sleep", sleep)
    keeper.store_waiting()
    assert len(waits) >= 10
    keeper.callers = 1
    monkeypatch.setattr(keeping, "WAY_SECONDS", 0.0)
    keep(keeper, "b")
    keeper.store_waiting()
    assert store.taken == ["a", "b"]


def test_dead_process_is_stored_by_another_from_where_it_was(keeper: Keeper, store: Store, folder: Path) -> None:
    dead = Keeper(Journal(folder, 1024 * 1024))
    keep(dead, "a", "b")
    dead.journal.close()
    keep(keeper, "c")
    keeper.store_waiting()
    assert store.taken == ["a", "b", "c"]


def test_half_written_line_of_a_killed_process_is_no_obstacle(keeper: Keeper, store: Store, folder: Path) -> None:
    dead = Keeper(Journal(folder, 1024 * 1024))
    keep(dead, "a")
    dead.journal.close()
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes() + file.read_bytes()[:20])
    keeper.store_waiting()
    assert store.taken == ["a"]
    assert not list(folder.iterdir())


def test_started_keeper_stores_by_itself_when_the_database_is_back(
    folder: Path, store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than this test may take: it must be told.
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 600.0)
    keeper = Keeper(Journal(folder, 1024 * 1024))
    keep(keeper, "a")
    assert store.taken == []
    watch.away = False
    for each in watch.on_return:
        each()
    wait_until(lambda: store.taken == ["a"], "it is stored")
    # At once, when it was not away at all.
    keep(keeper, "b")
    wait_until(lambda: store.taken == ["a", "b"], "it is stored")
    keeper.end()


def test_what_is_kept_is_brought_to_the_disk_by_itself(
    folder: Path, store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    keeper = Keeper(Journal(folder, 1024 * 1024))
    keep(keeper, "a")
    wait_until(lambda: len(synced) == 2, "it is on the disk")
    keeper.end()
    assert keeping.SYNC_SECONDS < 0.1
