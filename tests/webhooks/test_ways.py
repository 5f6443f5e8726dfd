"""Knows that two servers that hear of the same calls at once, anyhow, tell the same of them as if all came in order."""

from __future__ import annotations

import difflib
import http.client
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.calls.test_joining import furthest, in_order, may_be_lost
from tests.calls.world import NOW, NUMBER, Told, Way, World, way_of
from tests.lasting import lasting
from tests.services import Deployment, Process

pytestmark = pytest.mark.process

# Each way is a number; `make soak` takes other ones, from its seed on.
WAYS = lasting(6, 200)
FIRST = lasting(0, int(os.environ.get("SEED") or 0))
IDS = ("uuid", "call_uuid", "conversation_uuid", "conversation_uuid_from", "conversation_uuid_to")
# At each of the two servers.
SENDERS = 4
# The demo's menu, whose answer names an address at which events can come, gets the number of our worlds.
MENU = "UPDATE callflows_phonenumber SET digits = %s WHERE digits = '447700900003'"


@dataclass
class Delivery:
    """The events of a world on their way to the servers, with ids that no other delivery has, as if it were now."""

    name: str
    world: World
    servers: list[Process]
    shift: timedelta
    addresses: dict[int, Future[str]] = field(default_factory=lambda: defaultdict(Future))
    replies: dict[str, set[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(set))

    def at_once(self, told: Iterable[Told | int]) -> Delivery:
        """Send all as fast as it goes, every other one to the other server."""
        with ThreadPoolExecutor(SENDERS * len(self.servers)) as senders:
            list(senders.map(self.send, told, cycle(self.servers)))
        return self

    def one_by_one(self, told: Iterable[Told | int]) -> Delivery:
        for each, server in zip(told, cycle(self.servers), strict=False):
            self.send(each, server)
        return self

    def send(self, each: Told | int, server: Process) -> None:
        if isinstance(each, int):
            self.addresses[each].set_result(self.ask(each, server))
            return
        # The answer was sent before it, perhaps in another thread just now.
        path = self.addresses[each.caller].result(20) if each.named else "/webhooks/events"
        self.replies[each.key].add(post(server, path, self.raw(each)))

    def ask(self, caller: int, server: Process) -> str:
        """Tell of a caller by the answer webhook; return the path of the address that its menu names."""
        ids = {"uuid": f"{self.name}{self.world.uuid(caller)}", "conversation_uuid": f"{self.name}CON-{caller}"}
        _, body = post(server, "/webhooks/answer", {"from": self.world.number(caller), "to": NUMBER, **ids})
        actions = json.loads(body)
        assert [each["action"] for each in actions] == ["talk", "input", "talk"], actions
        return str(actions[1]["eventUrl"][0]).removeprefix(server.url)

    def raw(self, told: Told) -> dict[str, Any]:
        raw = {name: f"{self.name}{value}" if name in IDS else value for name, value in told.raw.items()}
        return moved(raw, self.shift)

    def twice_answered(self) -> list[str]:
        """Return the events that were answered in two ways, or with an error."""
        return [
            f"{key} was answered {replies}"
            for key, replies in self.replies.items()
            if len(replies) > 1 or not {status for status, _ in replies} <= {200, 204}
        ]


def moved(raw: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """Return an event as it would be told at another time."""
    if "timestamp" not in raw:
        return raw
    at = datetime.fromisoformat(raw["timestamp"]) + by
    return {**raw, "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def post(server: Process, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """Post until it is taken, as Vonage does."""
    for _ in range(5):
        if (reply := post_once(server, path, body))[0] != 503:
            break
    return reply


def post_once(server: Process, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


@dataclass
class Seen:
    """What the database tells, past Django, of one call; in lines that people can compare."""

    status: str
    facts: list[str]
    timeline: list[str]


class Reader:
    """Reads the calls of one delivery back, in the names and times of its world."""

    def __init__(self, postgres: psycopg.Connection[dict[str, Any]], delivery: Delivery) -> None:
        self.postgres = postgres
        self.name, self.shift = delivery.name, delivery.shift

    def calls(self) -> dict[str, Seen]:
        found = self.rows("SELECT * FROM callflows_call WHERE uuid LIKE %s ORDER BY uuid", f"{self.name}%")
        return {self.plain(call["uuid"]): self.call(call) for call in found}

    def call(self, call: dict[str, Any]) -> Seen:
        legs = self.rows("SELECT * FROM callflows_leg WHERE call_id = %s ORDER BY uuid", call["id"])
        return Seen(
            call["status"],
            [
                self.facts(call),
                *(f"  {leg['kind']} {self.facts(leg)} in {self.rooms(leg)}" for leg in legs),
                *self.fetched(call["id"]),
            ],
            self.timeline(call["id"], {leg["id"]: leg["uuid"] for leg in legs}),
        )

    def facts(self, row: dict[str, Any]) -> str:
        words = [row[name] or "-" for name in ("uuid", "caller", "called", "direction", "status", "outcome")]
        times = [f"{name} {self.time(row[name])}" for name in ("started", "answered", "ended")]
        return self.plain(", ".join([*words, *times]))

    def fetched(self, call: int) -> list[str]:
        """Return the files that are to be fetched for a call: one that is, twice, is found the second time."""
        query = "SELECT * FROM callflows_job WHERE kind LIKE 'fetch_%%' AND (arguments ->> 'call')::int = %s"
        return sorted({f"  {each['kind']} {each['arguments']['uuid']}" for each in self.rows(query, call)})

    def rooms(self, leg: dict[str, Any]) -> str:
        stays = self.rows("SELECT * FROM callflows_roomstay WHERE leg_id = %s", leg["id"])
        known = sorted({each["room"] for each in stays})
        return self.plain(f"{leg['room']}, before {', '.join(known) or 'nowhere'}")

    def timeline(self, call: int, legs: dict[int, str]) -> list[str]:
        """Return the entries of events; ours, of branches and answers, are made when they are made."""
        query = "SELECT * FROM callflows_timelineentry WHERE call_id = %s AND kind IN ('event', 'problem')"
        found = [each for each in self.rows(query, call) if not each["key"].startswith("ours-")]
        return sorted(self.plain(self.entry(each, legs)) for each in found)

    def entry(self, row: dict[str, Any], legs: dict[int, str]) -> str:
        leg = legs.get(row["leg_id"], "another call's leg") if row["leg_id"] else "no leg"
        return f"  {self.time(row['at'])} {row['text']} ({leg}) {shown(moved(row['data']['raw'], -self.shift))}"

    def time(self, at: datetime | None) -> str:
        """Return a time of the world; what stands in for one, by our own clock, is after all of its times."""
        if at is None:
            return "never"
        at = at.astimezone(UTC) - self.shift
        return "now" if at > NOW - timedelta(seconds=1) else f"{at:%H:%M:%S.%f}"

    def plain(self, text: str) -> str:
        return text.replace(self.name, "")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return self.postgres.execute(query.encode(), values).fetchall()


def without(timeline: list[str], lost: Iterable[str]) -> list[str]:
    """Return the entries of a timeline but one for each event that was lost, where there is one."""
    left = list(timeline)
    for raw in lost:
        if (found := next((entry for entry in left if entry.endswith(raw)), None)) is not None:
            left.remove(found)
    return left


def shown(raw: dict[str, Any]) -> str:
    return json.dumps(raw, sort_keys=True)


@dataclass
class Trial:
    """One world, told four times: in order and anyhow, and both again with some of its events lost."""

    number: int
    way: Way
    servers: list[Process]
    shift: timedelta

    @property
    def lost(self) -> set[str]:
        world, chance = self.way[0], Random(self.number)
        return {told.key for told in world.told if may_be_lost(world, told) and chance.random() < 0.4}

    def left(self, told: Iterable[Told | int]) -> list[Told | int]:
        lost = self.lost
        return [each for each in told if isinstance(each, int) or each.key not in lost]

    def delivery(self, name: str) -> Delivery:
        return Delivery(f"way{self.number}-{name}-", self.way[0], self.servers, self.shift)

    def in_order(self) -> list[Delivery]:
        world = self.way[0]
        return [
            self.delivery("whole-in-order").one_by_one(in_order(world, world.told)),
            self.delivery("left-in-order").one_by_one(self.left(in_order(world, world.told))),
        ]

    def anyhow(self) -> list[Delivery]:
        _, way = self.way
        return [
            self.delivery("whole-anyhow").at_once(way),
            self.delivery("left-anyhow").at_once(self.left(way)),
        ]

    def problems(self, postgres: psycopg.Connection[dict[str, Any]]) -> Iterable[str]:
        names = ("whole-in-order", "whole-anyhow", "left-in-order", "left-anyhow")
        whole, whole_anyhow, left, left_anyhow = (Reader(postgres, self.delivery(name)).calls() for name in names)
        yield from self.difference("all in order", whole, "all at once", whole_anyhow)
        yield from self.difference("the rest in order", left, "the rest at once", left_anyhow)
        world = self.way[0]
        # By key: the same may be told at two addresses, and be lost at one of them.
        lost = {told.key: shown(told.raw) for told in world.told if told.key in self.lost}.values()
        for uuid, call in left_anyhow.items():
            if uuid not in whole:
                # The differences above tell of it.
                continue
            kept = without(whole[uuid].timeline, lost)
            yield from self.lines(f"{uuid}: all in order but the lost", kept, "the rest at once", call.timeline)
            told = [each.raw for each in world.told if each.key not in self.lost and each.raw.get("uuid") == uuid]
            if call.status != furthest(told):
                yield f"way {self.number}: {uuid} is {call.status}, the furthest status told is {furthest(told)}"

    def difference(self, name: str, expected: dict[str, Seen], other: str, found: dict[str, Seen]) -> Iterable[str]:
        return self.lines(name, list(told(expected)), other, list(told(found)))

    def lines(self, name: str, expected: list[str], other: str, found: list[str]) -> Iterable[str]:
        lines = list(difflib.unified_diff(expected, found, name, other, n=2, lineterm=""))
        return [f"way {self.number}:\n" + "\n".join(lines)] if lines else []


def told(calls: dict[str, Seen]) -> Iterable[str]:
    for call in calls.values():
        yield from (*call.facts, *call.timeline)


@pytest.mark.soak
def test_events_at_two_servers_at_once_make_the_same_calls_as_in_order(on_postgres: Deployment) -> None:
    # Joining is tested here, and not how long it takes on a machine that others use.
    servers = [on_postgres.serve(ANSWER_SECONDS="5") for _ in range(2)]
    shift = timedelta(seconds=round((datetime.now(UTC) - NOW).total_seconds()))
    trials = [Trial(number, way_of(Random(number)), servers, shift) for number in range(FIRST, FIRST + WAYS)]
    url = on_postgres.environment["DATABASE_URL"]
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as postgres:
        postgres.execute(MENU, [NUMBER])
        with ThreadPoolExecutor(4) as threads:
            done = [each for found in threads.map(Trial.in_order, trials) for each in found]
        done += [each for trial in trials for each in trial.anyhow()]
        problems = [problem for trial in trials for problem in trial.problems(postgres)]
        problems += [f"{each.name}: {problem}" for each in done for problem in each.twice_answered()]
        strangers = postgres.execute("SELECT uuid FROM callflows_call WHERE uuid NOT LIKE 'way%'").fetchall()
    assert not strangers
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)
