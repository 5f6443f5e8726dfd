"""Knows when the database counts as away, who is told, and what the look at it sees."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.db import connection
from django.db.utils import ConnectionHandler

from callflows import probe
from callflows.watch import Watch
from tests.services import Deployment, free_port


class Database:
    """One that is there or not, as a test says."""

    def __init__(self) -> None:
        self.reason, self.now, self.looks = "", 0.0, 0

    def look(self, seconds: float) -> str:
        self.looks += 1
        self.now += seconds
        return self.reason

    def clock(self) -> float:
        return self.now


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def watch(database: Database) -> Watch:
    return Watch(database.look, database.clock)


def test_database_that_cannot_be_reached_is_away_until_it_can(database: Database, watch: Watch) -> None:
    returned: list[str] = []
    watch.on_return.append(lambda: returned.append("back"))
    assert watch.look()
    database.reason = "refused\nIs it running?"
    assert not watch.look()
    assert (watch.away, watch.reason, returned) == (True, "refused", [])
    database.reason = ""
    assert watch.look()
    assert (watch.away, returned) == (False, ["back"])
    assert watch.look()
    assert returned == ["back"]


def test_database_that_works_for_others_meanwhile_is_not_away(database: Database, watch: Watch) -> None:
    def slow(seconds: float) -> str:
        watch.worked()
        return database.look(seconds)

    database.reason, watch.probe = "no answer within 1 s", slow
    assert watch.look()
    assert not watch.away


async def test_who_waits_is_told_when_it_goes_and_when_it_returns(database: Database, watch: Watch) -> None:
    change = watch.change()
    database.reason = "refused"
    await asyncio.to_thread(watch.look)
    await asyncio.wait_for(change, 5)
    assert not await watch.back_within(0)
    waiting = asyncio.create_task(watch.back_within(60))
    await asyncio.sleep(0)
    database.reason = ""
    await asyncio.to_thread(watch.look)
    assert await asyncio.wait_for(waiting, 5)


async def test_who_does_not_wait_any_more_is_forgotten(watch: Watch) -> None:
    watch.change().cancel()
    await asyncio.sleep(0)
    assert not watch._waiters


def test_suspicion_is_looked_into_until_it_is_back(database: Database, watch: Watch) -> None:
    from tests.services import wait_until

    database.reason = "refused"
    watch.suspect()
    wait_until(lambda: watch.away, "it is away")
    database.reason = ""
    wait_until(lambda: not watch.away, "it is back")


# What the look sees


@pytest.mark.django_db(transaction=True)
def test_locked_sqlite_is_away() -> None:
    assert probe.why_away(1) == ""
    path = Path(connection.settings_dict["NAME"])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert probe.why_away(1) == "database is locked"
        other.execute("ROLLBACK")
    assert probe.why_away(1) == ""


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that has the look go to another database."""

    def choose(url: str) -> None:
        configured: Any = dj_database_url.parse(url)
        # Its own wrapper, which never opens a connection of Django's.
        wrappers = ConnectionHandler({"default": configured})
        monkeypatch.setattr(probe, "connections", wrappers)

    return choose


def test_postgres_is_there_unless_a_table_is_locked(on_postgres: Deployment, at: Any) -> None:
    url = on_postgres.environment["DATABASE_URL"]
    at(url)
    assert probe.why_away(5) == ""
    with psycopg.connect(url) as postgres:
        postgres.execute("LOCK TABLE callflows_call IN ACCESS EXCLUSIVE MODE")
        assert "lock timeout" in probe.why_away(5)
    assert probe.why_away(5) == ""


def test_server_that_takes_connections_and_says_nothing_is_away(at: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        at(f"postgres://user@127.0.0.1:{deaf.getsockname()[1]}/any?sslmode=disable")
        assert probe.why_away(0.2) == "no answer within 0.2 s"


def test_port_without_a_server_is_away(at: Any) -> None:
    at(f"postgres://user@127.0.0.1:{free_port()}/any")
    assert "refused" in probe.why_away(5)
