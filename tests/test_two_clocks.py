"""Two machines whose clocks are 40 s apart, at one PostgreSQL: leases and rates go by its clock."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.audio.test_kinds import make
from tests.file_server import FileServer, Sent, file_server
from tests.services import Deployment, Process, rows, wait_until
from tests.test_worker import PATH, QUICK, prepare, shell

# How far ahead of the database's clock theirs are. Vonage refuses tokens of a clock that is fast.
RIGHT, SLOW = 0, -40
LEFT = "SELECT EXTRACT(EPOCH FROM due - clock_timestamp()) FROM callflows_job"
STATE = "SELECT state, attempts FROM callflows_job"
FAIL = 'from callflows.models import Job; Job.objects.create(kind="unknown")'
PLACES = """
import sys, time
from django.db import transaction
from callflows.models import Pace
from callflows.models.clock import read_db_now
with transaction.atomic():
    first = read_db_now()
    time.sleep(0.01)
    assert read_db_now() > first, "the clock stands still in a transaction"
print("ready, it is", time.time(), flush=True)
sys.stdin.readline()
for _ in range({count}):
    wait = Pace.objects.reserve("app:calls", {interval}, 100.0)
    print("place", time.monotonic() + wait, flush=True)
"""
EXPECT = """
from callflows.models import Call, CallFlow, Line
from callflows.ncco.flow import Place
flow = CallFlow.objects.exclude(live=None).get(name="Echo")
version = flow.live.as_core()
(step,) = [each for each in version.flow.steps if each.options.get("app")]
line = Line.objects.expect(Call.objects.create(uuid="call"), Place(version, step), 0)
print("path", line.path)
"""
EXPIRE = """
from datetime import timedelta
from django.db.models import F
from callflows.models import Line
Line.objects.update(expires=F("expires") - timedelta(seconds=61))
"""
ADMIT = """
from callflows.models import Line, SocketRefused
_, _, line, token = {path!r}.split("/")
try:
    Line.objects.admit(line, token)
    print("let in")
except SocketRefused as refused:
    print(refused)
"""


@pytest.fixture
def host() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return make(tmp_path / "sound", "mp3", 3.0).read_bytes()


def under(deployment: Deployment, seconds: float, *arguments: str) -> Process:
    """Start a command on a machine whose clock is so far ahead."""
    command = ["-m", "tests.ahead", str(seconds), *arguments]
    return deployment.start(command, {}, stdin=subprocess.PIPE)


def working(deployment: Deployment, seconds: float, lease: float) -> Process:
    worker = under(deployment, seconds, "work", "--lease", str(lease))
    worker.wait_until_it_says("working")
    return worker


def ran(deployment: Deployment, seconds: float, code: str) -> str:
    """Run code on a machine whose clock is so far ahead; return what it printed."""
    process = under(deployment, seconds, "shell", "--verbosity", "0", "-c", code)
    assert process.popen.wait(60) == 0, process.said()
    return process.said().strip()


def test_running_job_is_never_taken_twice_and_free_ones_are_taken_by_both(
    on_postgres: Deployment, host: FileServer, sound: bytes
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    # As many as both have threads for downloads: each machine has two of them in hand.
    prepare(on_postgres, host, count=4)
    arguments = ("work", "--lease", "1")
    workers = [under(on_postgres, seconds, *arguments) for seconds in (RIGHT, SLOW)]
    wait_until(lambda: len(host.asked) == 4, "both machines download")
    taken = rows(on_postgres, "SELECT worker FROM callflows_job")
    for worker in workers:
        assert sum(f":{worker.popen.pid}:" in name for (name,) in taken) == 2
    leases = set[Any]()

    def renewed() -> bool:
        leases.update(rows(on_postgres, "SELECT id, due FROM callflows_job"))
        return len(leases) > 4 * 9

    wait_until(renewed, "each lease is renewed nine times, three times as long as it lasts")
    over.set()
    wait_until(lambda: rows(on_postgres, STATE) == [("done", 1)] * 4, "all are done, each once")
    assert len(host.asked) == 4


@pytest.mark.parametrize(("killed", "other"), [(RIGHT, SLOW), (SLOW, RIGHT)])
def test_job_of_a_killed_machine_is_taken_when_its_lease_ends_on_the_databases_clock(
    on_postgres: Deployment, host: FileServer, sound: bytes, killed: float, other: float
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    prepare(on_postgres, host)
    first = working(on_postgres, killed, lease=4)
    wait_until(lambda: host.asked == [PATH], "the first machine downloads")
    first.kill()
    host.files[PATH] = Sent(sound)
    ((left,),) = rows(on_postgres, LEFT)
    assert 0 < left <= 4
    working(on_postgres, other, lease=4)
    # 4 s of lease and 0.4 s until it is looked for; by the slow machine's clock 40 s more.
    wait_until(lambda: rows(on_postgres, STATE) == [("done", 2)], "the other one is done", None, 20)
    over.set()


def test_job_is_due_at_once_and_again_after_its_pause_whoever_added_it(
    on_postgres: Deployment,
) -> None:
    working(on_postgres, SLOW, lease=30)
    ran(on_postgres, RIGHT, QUICK)
    wait_until(lambda: rows(on_postgres, STATE) == [("done", 1)], "the job is done", None, 20)
    shell(on_postgres, FAIL)
    tried = "SELECT attempts FROM callflows_job WHERE kind = 'unknown'"
    wait_until(lambda: rows(on_postgres, tried) >= [(2,)], "it is tried again after 2 s", None, 20)


def test_two_machines_together_keep_a_rate(on_postgres: Deployment) -> None:
    interval, count = 0.2, 15
    code = PLACES.format(interval=interval, count=count)
    command = ("shell", "--verbosity", "0", "-c", code)
    both = [under(on_postgres, seconds, *command) for seconds in (RIGHT, SLOW)]
    for each in both:
        each.wait_until_it_says("ready")
    for each in both:
        assert each.popen.stdin
        each.popen.stdin.write(b"\n")
        each.popen.stdin.flush()
    for each in both:
        assert each.popen.wait(30) == 0, each.said()
    places = [sorted(map(float, re.findall(r"place (\S+)", each.said()))) for each in both]
    clocks = [float(re.findall(r"it is (\S+)", each.said())[0]) for each in both]
    together = sorted(places[0] + places[1])
    # The monotonic clock is the same for all processes; what lies between two readings blurs it.
    assert together[-1] - together[0] == pytest.approx(interval * (2 * count - 1), abs=1.0)
    apart = [later - sooner for sooner, later in pairwise(together)]
    assert sum(each > interval / 2 for each in apart) >= 2 * count - 3
    assert abs(clocks[0] - clocks[1]) > 30
    assert max(each[0] for each in places) < min(each[-1] for each in places), "both at once"


def test_token_expires_by_the_databases_clock(on_postgres: Deployment) -> None:
    path = re.search(r"path (\S+)", ran(on_postgres, -90, EXPECT))
    assert path
    code = ADMIT.format(path=path[1])
    assert ran(on_postgres, 0, code) == "let in"
    shell(on_postgres, EXPIRE)
    for each in (0, -90):
        assert "the token expired" in ran(on_postgres, each, code)
