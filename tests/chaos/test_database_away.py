"""Knows that no call and no event is lost while PostgreSQL is away, and that callers are answered all the time.

CHAOS_AWAY=20,45,70 chooses how many seconds it is away, CHAOS_SEED when callers do what.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.chaos.callers import Asked, Callers
from tests.chaos.postgres import Postgres, own_postgres
from tests.conftest import filled
from tests.services import Deployment, create_database, rows, wait_until

AWAY = [float(each) for each in os.environ.get("CHAOS_AWAY", "6").split(",")]
SEED = int(os.environ.get("CHAOS_SEED", "1"))
RATE = 5.0
# How long before and after the time away calls come as well.
AROUND = 3.0
# A caller is answered within so long, whatever hangs; the machine that tests may be busy with
# others.
ANSWER_SECONDS = 1.5
RETURN_SECONDS = 1.0
MARKS = """
    SELECT data -> 'raw' ->> 'mark' FROM callflows_timelineentry WHERE data -> 'raw' ->> 'mark' IS NOT NULL
    UNION ALL SELECT raw ->> 'mark' FROM callflows_strayevent
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with own_postgres() as server:
        yield server


@pytest.fixture
def deployment(postgres: Postgres, tmp_path: Path) -> Iterator[Deployment]:
    url = create_database(postgres.url, "callflows_chaos")
    # Without Redis: each process is by itself, and calls need no news of others.
    made = filled(tmp_path, DATABASE_URL=url)
    made.environment["DATABASE_URL"] = url
    yield made
    made.close()
    shutil.rmtree(tmp_path / "journal", ignore_errors=True)


Break = tuple[Callable[[Postgres], None], Callable[[Postgres], None]]
WAYS: dict[str, Break] = {
    "stopped": (Postgres.stop, Postgres.start),
    "hung": (Postgres.hang, Postgres.go_on),
}


@pytest.mark.parametrize("away", AWAY, ids=lambda away: f"{away:g} s")
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_while_postgres_is_away(
    deployment: Deployment,
    postgres: Postgres,
    way: str,
    away: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    go_away, come_back = WAYS[way]
    servers = [deployment.serve(), deployment.serve()]
    with Callers([server.port for server in servers], RATE, SEED) as callers:
        wait_until(
            lambda: sum(each.right for each in callers.answers) >= AROUND * RATE,
            "calls are answered",
        )
        begun = time.monotonic()
        go_away(postgres)
        time.sleep(away * Random(SEED).uniform(0.4, 0.7))
        # The database is away, and one that keeps calls for it dies.
        callers.ports.remove(servers[0].port)
        servers[0].kill()
        time.sleep(max(0.0, begun + away - time.monotonic()))
        come_back(postgres)
        returned = postgres.returned
        wait_until(
            lambda: right_since(callers.answers, returned) >= AROUND * RATE,
            "calls are answered again",
        )
    kept = {each.mark for each in callers.asked if each.kept}
    found = Counter[str]()

    def all_there() -> bool:
        found.clear()
        found.update(mark for (mark,) in rows(deployment, MARKS))
        return kept <= found.keys()

    try:
        wait_until(all_there, "all that was kept is in the database", servers[1], 60 + 2 * away)
    finally:
        with capsys.disabled():
            print(table(way, away, callers.asked, returned, kept - found.keys(), found))
    assert not [mark for mark, times in found.items() if times > 1]
    assert first_right(callers.answers, returned) < RETURN_SECONDS
    assert slowest(callers.answers) < ANSWER_SECONDS
    assert not [each for each in callers.answers if each.replies[-1].status != 200]
    uuids = {each.mark.removesuffix("-answer") for each in callers.answers}
    assert uuids == {uuid for (uuid,) in rows(deployment, "SELECT uuid FROM callflows_call")}
    assert not list((deployment.home / "journal").glob("refused"))


def right_since(answers: list[Asked], since: float) -> int:
    return sum(each.right and each.replies[-1].at > since for each in answers)


def first_right(answers: list[Asked], since: float) -> float:
    """Return the seconds from the database's return to the first caller who met the flow."""
    return min(each.replies[-1].at for each in answers if each.right and each.replies[-1].at > since) - since


def slowest(answers: list[Asked]) -> float:
    return max(reply.took for each in answers for reply in each.replies if reply.status)


def table(
    way: str,
    away: float,
    asked: list[Asked],
    returned: float,
    missing: set[str],
    found: Counter[str],
) -> str:
    answers = [each for each in asked if each.kind == "answer"]
    figures = {
        "database": way,
        "seconds away": f"{away:g}",
        "calls": len(answers),
        "safe answers": sum(each.safe for each in answers),
        "slowest answer": f"{slowest(answers):.2f} s",
        "right answer after": f"{first_right(answers, returned):.2f} s",
        "events": sum(each.kind == "event" for each in asked),
        "keys": sum(each.kind == "key" for each in asked),
        "keys answered": sum(each.kind == "key" and each.right for each in asked),
        "fallbacks": sum(each.kind == "fallback" for each in asked),
        "missing": len(missing),
        "twice": sum(times > 1 for times in found.values()),
    }
    return "\n" + "\n".join(f"  {name:20} {value}" for name, value in figures.items())
