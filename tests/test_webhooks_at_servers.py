"""Knows that webhooks at real servers are answered once and in time, whoever else is writing."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.services import Deployment, rows, wait_until
from tests.test_a_call import socket_of


def test_eight_writers_at_once_on_sqlite_lose_nothing(on_sqlite: Deployment) -> None:
    servers = [on_sqlite.serve(), on_sqlite.serve()]

    def post(place: int) -> int:
        event = {"uuid": f"leg{place % 20}", "status": "ringing", "place": place}
        url = f"{servers[place % 2].url}/webhooks/events"
        request = urllib.request.Request(url, json.dumps(event).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.status)

    with ThreadPoolExecutor(8) as writers:
        assert set(writers.map(post, range(200))) == {204}
    assert rows(on_sqlite, "SELECT count(*) FROM callflows_timelineentry") == [(200,)]
    assert rows(on_sqlite, "SELECT count(*) FROM callflows_call") == [(20,)]


def test_postgres_that_hangs_still_gets_callers_an_answer(on_postgres: Deployment) -> None:
    server = on_postgres.serve()
    socket_of(server)
    with psycopg.connect(on_postgres.environment["DATABASE_URL"]) as postgres:
        postgres.execute("LOCK TABLE callflows_phonenumber IN ACCESS EXCLUSIVE MODE")
        with urllib.request.urlopen(f"{server.url}/webhooks/answer?to=447700900001&from=1&uuid=hung") as response:
            (talk,) = json.loads(response.read())
    assert talk["text"].startswith("Sorry, this line is not available")
    # It came while the table was locked, so nothing waited for that; how long the deadline was stands in the reason.
    reason = "SELECT 1 FROM callflows_timelineentry WHERE text LIKE '%the database took longer than 1.2 s%'"
    wait_until(lambda: bool(rows(on_postgres, reason)), "the reason is written down")


def test_same_webhook_at_two_workers_at_once_happens_once(on_postgres: Deployment) -> None:
    servers = [on_postgres.serve(), on_postgres.serve()]

    def ask(place: int) -> bytes:
        """Each question is asked four times at once, twice at each server."""
        call = place // 4
        query = f"to=447700900003&from=1&uuid=leg{call}&conversation_uuid=CON-{call}"
        with urllib.request.urlopen(f"{servers[place % 2].url}/webhooks/answer?{query}", timeout=20) as response:
            return bytes(response.read())

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(ask, range(40)))
        urls = [json.loads(answer)[1]["eventUrl"][0].partition("/webhooks")[2] for answer in answers]
        keys = list(
            callers.map(press, [f"{servers[n % 2].url}/webhooks{url}" for n, url in enumerate(urls)], range(40))
        )
    for first in range(0, 40, 4):
        assert len(set(answers[first : first + 4])) == 1
        assert len(set(keys[first : first + 4])) == 1
    assert json.loads(keys[0])[0]["text"] == "Please wait while we connect you to the echo server."
    counts = "SELECT (SELECT count(*) FROM callflows_{0}), (SELECT count(*) FROM callflows_{1})"
    assert rows(on_postgres, counts.format("call", "line")) == [(10, 10)]
    assert rows(on_postgres, "SELECT count(*) FROM callflows_timelineentry") == [(30,)]


def press(url: str, place: int) -> bytes:
    """Tell that the caller of this menu pressed 1; return the reply."""
    event = {"conversation_uuid": f"CON-{place // 4}", "uuid": "", "dtmf": {"digits": "1", "timed_out": False}}
    request = urllib.request.Request(url, json.dumps(event).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return bytes(response.read())
