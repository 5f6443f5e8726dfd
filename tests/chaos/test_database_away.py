"""Knows that nothing is lost while the database is away, and that callers are answered all the time.

CHAOS_AWAY=20,45,70 chooses for how many seconds, CHAOS_WAYS=stopped,hung,locked how it goes away, and
CHAOS_SEED when callers do what.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from tests.chaos.callers import Asked, Callers
from tests.chaos.postgres import Postgres, own_postgres
from tests.conftest import filled
from tests.services import Deployment, create_database, rows, wait_until

AWAY = [float(each) for each in os.environ.get("CHAOS_AWAY", "4").split(",")]
NAMES = os.environ.get("CHAOS_WAYS", "hung").split(",")
SEED = int(os.environ.get("CHAOS_SEED", "1"))
RATE = 5.0
# So many callers must have met the flow before the database goes, and after its return.
CALLERS = 15
# A caller is answered within so long, whatever hangs, and meets the flow so long after the return; give
# or take what the machine, which others use too, was late for a request that needs no database.
ANSWER_SECONDS = 1.5
RETURN_SECONDS = 1.0


class Way(Protocol):
    """How a database goes away. ``returned`` is when it was seen to be back, on the monotonic clock."""

    deployment: Deployment
    returned: float

    def go(self) -> None: ...

    def come_back(self) -> None: ...

    def marks(self) -> list[str]:
        """Return the marks of all that is in the database."""
        ...


class PostgresGoes:
    """A server of our own that is stopped as by a loss of power, or stands still with its connections open."""

    def __init__(self, deployment: Deployment, postgres: Postgres, hangs: bool) -> None:
        self.deployment, self.postgres = deployment, postgres
        self._go = postgres.hang if hangs else postgres.stop
        self._come_back = postgres.go_on if hangs else postgres.start
        self.returned = 0.0

    def go(self) -> None:
        self._go()

    def come_back(self) -> None:
        self._come_back()
        self.returned = self.postgres.returned

    def marks(self) -> list[str]:
        timeline = "SELECT data -> 'raw' ->> 'mark' FROM callflows_timelineentry"
        stray = "SELECT raw ->> 'mark' FROM callflows_strayevent"
        return [mark for (mark,) in rows(self.deployment, f"{timeline} UNION ALL {stray}") if mark]


class SqliteIsLocked:
    """Another process that writes for ever."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        path = deployment.home / "db.sqlite3"
        self.other = sqlite3.connect(path, isolation_level=None, timeout=20)
        self.returned = 0.0

    def go(self) -> None:
        self.other.execute("BEGIN IMMEDIATE")

    def come_back(self) -> None:
        self.other.execute("ROLLBACK")
        self.returned = time.monotonic()

    def marks(self) -> list[str]:
        timeline = "SELECT json_extract(data, '$.raw.mark') FROM callflows_timelineentry"
        stray = "SELECT json_extract(raw, '$.mark') FROM callflows_strayevent"
        return [mark for (mark,) in rows(self.deployment, f"{timeline} UNION ALL {stray}") if mark]


@contextmanager
def going(name: str, home: Path) -> Iterator[Way]:
    if name == "locked":
        way = SqliteIsLocked(filled(home))
        yield way
        way.other.close()
        way.deployment.close()
        return
    with own_postgres() as postgres:
        # Without Redis: each process is by itself, and calls need no news of others.
        deployment = filled(home, DATABASE_URL=create_database(postgres.url, "callflows_chaos"))
        yield PostgresGoes(deployment, postgres, hangs=name == "hung")
        deployment.close()


@pytest.fixture(params=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    with going(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize("away", AWAY, ids=lambda away: f"{away:g} s")
def test_nothing_is_lost_while_the_database_is_away(way: Way, away: float, capsys: pytest.CaptureFixture[str]) -> None:
    # The one that dies, and the one that stores for it: both servers that we have.
    servers = [way.deployment.serve(), way.deployment.serve("--with", "uvicorn")]
    with Callers([server.port for server in servers], RATE, SEED) as callers:
        wait_until(lambda: right_since(callers.answers, 0) >= CALLERS, "calls are answered")
        begun = time.monotonic()
        way.go()
        time.sleep(away * Random(SEED).uniform(0.4, 0.7))
        # A server that keeps calls for the database dies before that is back.
        callers.ports.remove(servers[0].port)
        servers[0].kill()
        time.sleep(max(0.0, begun + away - time.monotonic()))
        way.come_back()
        wait_until(lambda: right_since(callers.answers, way.returned) >= CALLERS, "calls go on")
    kept = {each.mark for each in callers.asked if each.kept}
    found = Counter[str]()

    def all_there() -> bool:
        found.clear()
        found.update(way.marks())
        return kept <= found.keys()

    try:
        wait_until(all_there, "all is in the database", seconds=60 + 2 * away)
    finally:
        stored = time.monotonic() - way.returned
        with capsys.disabled():
            print(table(way, away, callers, kept, found, stored))
    # A server may keep an answer, and be killed before it is told: asked again, the next one keeps it as well.
    untold = Counter(each.mark for each in callers.answers for reply in each.replies if not reply.status)
    assert not [mark for mark, times in found.items() if times > 1 + untold[mark]]
    assert first_right(callers.answers, way.returned) < RETURN_SECONDS + callers.lateness
    assert slowest(callers.answers) < ANSWER_SECONDS + callers.lateness
    assert not [each for each in callers.answers if each.replies[-1].status != 200]
    uuids = {each.mark.removesuffix("-answer") for each in callers.answers}
    assert uuids == {uuid for (uuid,) in rows(way.deployment, "SELECT uuid FROM callflows_call")}
    # A key that was asked for again, and came, is still held.
    journal = way.deployment.home / "journal"
    wait_until(lambda: not list(journal.iterdir()), "nothing waits any more, and nothing was put aside")


def right_since(answers: list[Asked], since: float) -> int:
    return sum(each.right and each.replies[-1].at > since for each in answers)


def first_right(answers: list[Asked], since: float) -> float:
    """Return the seconds from the database's return to the first caller who met the flow."""
    return min(each.replies[-1].at for each in answers if each.right and each.replies[-1].at > since) - since


def slowest(answers: list[Asked]) -> float:
    return max(reply.took for each in answers for reply in each.replies if reply.status)


def table(
    way: Way,
    away: float,
    callers: Callers,
    kept: set[str],
    found: Counter[str],
    stored: float,
) -> str:
    asked, answers = callers.asked, callers.answers
    keys = [each for each in asked if each.kind == "key"]
    figures = {
        "database": type(way).__name__,
        "seconds away": f"{away:g}",
        "calls": len(answers),
        "safe answers": sum(each.safe for each in answers),
        "slowest answer": f"{slowest(answers):.2f} s",
        "slowest /healthz": f"{callers.lateness:.2f} s",
        "right answer after": f"{first_right(answers, way.returned):.2f} s",
        "all stored after": f"{stored:.0f} s",
        "events": sum(each.kind == "event" for each in asked),
        "keys": f"{len(keys)}, {sum(each.right for each in keys)} answered",
        "fallbacks": sum(each.kind == "fallback" for each in asked),
        "missing": len(kept - found.keys()),
        "twice": sum(times > 1 for times in found.values()),
    }
    return "\n" + "\n".join(f"  {name:20} {value}" for name, value in figures.items())
