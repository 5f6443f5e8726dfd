"""Knows that whatever stands in a field of a webhook, both databases take it: nothing that was answered is lost."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from tests.services import Deployment, Process, rows, wait_until

# What a field may bring besides what it should: each is another way of not fitting a column.
VALUES: dict[str, Any] = {
    "eleven": "elevenchars",
    "long": "x" * 300,
    "very long": "long " * 10_000,
    "emoji": "\N{TELEPHONE RECEIVER}" * 300,
    "nothing": None,
    "number": -1.5e300,
    "big": 2**70,
    "huge": 10**4000,
    "list": ["a", {"b": None}],
    "object": {"text": "x" * 300, "digits": "1" * 300, "results": [{"text": "y" * 300}]},
    "too deep": json.loads("[" * 200 + "]" * 200),
    "NUL": "a\0b",
    "half a letter": "a\ud800b",
    "time": "0001-01-01T00:00:00Z",
}
# No text that can be kept: refused before anything is done.
REFUSED = {"too deep", "NUL", "half a letter"}
IDS = ("uuid", "call_uuid", "conversation_uuid", "conversation_uuid_from", "conversation_uuid_to")
EVENT = (
    *("type", "to", "from", "from_user", "direction", "status", "sub_state", "detail", "sip_code"),
    *(
        "disconnected_by",
        "timestamp",
        "start_time",
        "end_time",
        "duration",
        "rate",
        "price",
        "network",
    ),
    *(
        "headers",
        "custom_data",
        "dtmf",
        "speech",
        "payload",
        "reason",
        "recording_url",
        "recording_uuid",
    ),
    *("size", "transcription_url", "original_request", "region_url"),
)
ANSWER = (
    "to",
    "from",
    "from_user",
    "region_url",
    "endpoint_type",
    "custom_data",
    "SipHeader_X-A",
    "reason",
)
MARKS = {
    "sqlite": "SELECT json_extract(data, '$.raw.mark') FROM callflows_timelineentry"
    " UNION ALL SELECT json_extract(raw, '$.mark') FROM callflows_strayevent",
    "postgres": "SELECT data -> 'raw' ->> 'mark' FROM callflows_timelineentry"
    " UNION ALL SELECT raw ->> 'mark' FROM callflows_strayevent",
}
# An event of each kind, since what is looked at differs.
KINDS: tuple[dict[str, Any], ...] = (
    {"status": "ringing"},
    {"dtmf": {"digits": "1"}, "speech": {"results": []}},
    {"recording_url": "https://api.nexmo.com/v1/files/a", "recording_uuid": "a"},
)


def webhooks() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return what is wrong, where it is sent, and what; each about a leg of its own."""
    number = 0
    for path, fields in (
        ("answer", ANSWER),
        ("fallback", (*ANSWER, "original_request")),
        ("events", EVENT),
    ):
        for field in (*IDS, *fields):
            for what, value in VALUES.items():
                number += 1
                ids = {
                    "uuid": f"leg-{number}",
                    "conversation_uuid": f"CON-{number}",
                    "to": "447700900003",
                }
                kind = KINDS[number % len(KINDS)] if path == "events" else {}
                yield what, path, {**ids, **kind, field: value, "mark": f"{path} {field} {what}"}


class Sender:
    """Posts to a server, each thread on a connection of its own that stays open."""

    def __init__(self, server: Process) -> None:
        self.port, self.own = server.port, threading.local()
        self.connections: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self.connections:
            connection.close()

    def __call__(self, webhook: tuple[str, str, dict[str, Any]]) -> int:
        _, path, body = webhook
        if not hasattr(self.own, "connection"):
            self.own.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            self.connections.append(self.own.connection)
        headers = {"Content-Type": "application/json"}
        self.own.connection.request("POST", f"/webhooks/{path}", json.dumps(body), headers)
        with closing(self.own.connection.getresponse()) as response:
            response.read()
            return int(response.status)


@pytest.mark.process
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_no_field_is_lost(request: pytest.FixtureRequest, database: str) -> None:
    deployment: Deployment = request.getfixturevalue(f"on_{database}")
    sent = list(webhooks())
    # Whether it is stored is tested here, and not how long that takes on a machine that others use.
    server = deployment.serve(ANSWER_SECONDS="5")
    with Sender(server) as send, ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(send, sent))
    told = {(what, path, body["mark"]): status for (what, path, body), status in zip(sent, statuses, strict=True)}
    assert not {mark: status for (_, _, mark), status in told.items() if status not in (200, 204, 400)}
    assert not {mark for (what, _, mark), status in told.items() if what in REFUSED and status != 400}
    kept = {mark for (_, _, mark), status in told.items() if status != 400}
    assert len(kept) > 600
    found: list[str] = []

    def all_there() -> bool:
        found[:] = [mark for (mark,) in rows(deployment, MARKS[database])]
        return kept <= set(found)

    wait_until(all_there, "everything that was answered is in the database", server)
    assert not list((deployment.home / "journal").glob("refused"))
    assert "Traceback" not in server.said()


def test_direction_that_is_too_long_is_cut_and_the_whole_of_it_kept(
    on_postgres: Deployment,
) -> None:
    event = {"uuid": "cut", "status": "ringing", "direction": "elevenchars"}
    with Sender(on_postgres.serve()) as send:
        assert send(("eleven", "events", event)) == 204
    leg = "SELECT direction FROM callflows_leg WHERE uuid = 'cut'"
    assert rows(on_postgres, leg) == [("elevenchar",)]
    raw = "SELECT data -> 'raw' ->> 'direction' FROM callflows_timelineentry"
    assert rows(on_postgres, raw) == [("elevenchars",)]
