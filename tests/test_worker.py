"""`manage.py work`: killed, stopped and kept busy, it loses no job and does none twice at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audio.test_kinds import make
from tests.file_server import FileServer, Sent, file_server
from tests.rest_server import APPLICATION, Reply, payload, pem, rest_server
from tests.services import Deployment, Process, rows, wait_until

pytestmark = pytest.mark.process

PATH = "/v1/files/bbbbbbbb-1111"
ENQUEUE = """
from callflows.models import Application, Call, Job
application = Application.objects.first()
Application.objects.update(private_key_variable="TEST_KEY", api_host={host!r})
call = Call.objects.create(uuid="call", application=application, status="completed")
for number in range({count}):
    Job.objects.enqueue("fetch_recording", call=call.pk, uuid=f"r{{number}}", url={url!r}, source="vonage")
"""
OPEN = """
from callflows.models import Application, Call
application = Application.objects.first()
Application.objects.update(application_id={application!r}, private_key_variable="TEST_KEY", api_host={host!r})
for number in range(20):
    call = Call.objects.create(uuid=f"leg-{{number}}", application=application, status="answered")
    call.legs.create(uuid=f"leg-{{number}}", status="answered")
"""
QUICK = 'from callflows.models import Job; Job.objects.enqueue("keep_recording", line="none")'


@pytest.fixture
def host() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return make(tmp_path / "sound", "mp3", 3.0).read_bytes()


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    found: Deployment = request.getfixturevalue(f"on_{request.param}")
    return found


def shell(deployment: Deployment, code: str) -> None:
    done = deployment.manage("shell", "--verbosity", "0", "-c", code)
    assert done.returncode == 0, done.stderr


def prepare(deployment: Deployment, host: FileServer, count: int = 1) -> None:
    """Let ``count`` recordings wait to be fetched from ``host``."""
    deployment.environment |= {"TRUSTED_ORIGINS": host.url, "TEST_KEY": pem()}
    shell(deployment, ENQUEUE.format(host=host.url, url=f"{host.url}{PATH}", count=count))


def start(deployment: Deployment, *arguments: str) -> Process:
    worker = deployment.start(["work", *arguments], {})
    worker.wait_until_it_says("working")
    return worker


def kept(deployment: Deployment) -> list[Path]:
    return [each for each in (deployment.home / "media" / "recordings").rglob("*") if each.is_file()]


def test_job_of_a_worker_that_is_killed_is_finished_by_another(
    deployment: Deployment, host: FileServer, sound: bytes
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    prepare(deployment, host)
    first = start(deployment, "--lease", "1")
    wait_until(lambda: host.asked == [PATH], "the first worker downloads")
    wait_until(lambda: bool(kept(deployment)), "half of the file is there")
    first.kill()
    assert rows(deployment, "SELECT state, attempts FROM callflows_job") == [("waiting", 1)]
    host.files[PATH] = Sent(sound)
    start(deployment, "--lease", "1")
    wait_until(lambda: rows(deployment, "SELECT state, attempts FROM callflows_job") == [("done", 2)], "it is done")
    over.set()
    ((name,),) = rows(deployment, "SELECT file FROM callflows_recording")
    # What the first one left half made is gone; only the whole file is there.
    assert kept(deployment) == [deployment.home / "media" / name]
    assert kept(deployment)[0].read_bytes() == sound
    assert rows(deployment, "SELECT count(*) FROM callflows_timelineentry WHERE kind = 'recording'") == [(1,)]


def test_several_workers_do_each_job_once(deployment: Deployment, host: FileServer, sound: bytes) -> None:
    host.files[PATH] = Sent(sound)
    prepare(deployment, host, count=15)
    for _ in range(3):
        start(deployment)
    done = "SELECT state, attempts, count(*) FROM callflows_job GROUP BY state, attempts"
    wait_until(lambda: rows(deployment, done) == [("done", 1, 15)], "all are done, each by one worker")
    assert len(host.asked) == 15
    assert rows(deployment, "SELECT count(*) FROM callflows_recording WHERE file <> ''") == [(15,)]
    assert len(kept(deployment)) == 15


def test_workers_that_start_ask_after_each_open_call_once(deployment: Deployment) -> None:
    with rest_server() as api:
        api.answer = lambda asked: Reply(200, payload("get_call_200_completed"))
        deployment.environment |= {"TRUSTED_ORIGINS": api.url, "TEST_KEY": pem()}
        shell(deployment, OPEN.format(application=APPLICATION, host=api.url))
        for _ in range(2):
            start(deployment)
        ended = "SELECT count(*) FROM callflows_call WHERE status = 'completed'"
        wait_until(lambda: rows(deployment, ended) == [(20,)], "all calls are ended")
        assert sorted(each.path for each in api.asked) == sorted(f"/v1/calls/leg-{number}" for number in range(20))
        assert not api.refused
    assert rows(deployment, "SELECT DISTINCT text FROM callflows_timelineentry") == [("Vonage says: completed, 0:38",)]
    assert rows(deployment, "SELECT DISTINCT status FROM callflows_leg") == [("completed",)]


def test_long_job_is_not_taken_over_while_its_worker_lives(
    on_sqlite: Deployment, host: FileServer, sound: bytes
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    prepare(on_sqlite, host)
    for _ in range(2):
        start(on_sqlite, "--lease", "0.6")
    wait_until(lambda: host.asked == [PATH], "one of the workers downloads")

    leases = set[Any]()

    def renewed() -> bool:
        leases.update(rows(on_sqlite, "SELECT due FROM callflows_job"))
        return len(leases) > 9

    wait_until(renewed, "the lease is renewed nine times, which is three times as long as it lasts")
    over.set()
    wait_until(lambda: rows(on_sqlite, "SELECT state, attempts FROM callflows_job") == [("done", 1)], "it is done")
    assert host.asked == [PATH]


def test_quick_job_begins_at_once_though_all_downloads_hang(
    on_sqlite: Deployment, host: FileServer, sound: bytes
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    prepare(on_sqlite, host, count=5)
    start(on_sqlite)
    wait_until(lambda: len(host.asked) == 2, "as many downloads as there are threads for them")
    shell(on_sqlite, QUICK)
    # The downloads hang until it is done, and none of the two threads for them is free.
    done = "SELECT 1 FROM callflows_job WHERE state = 'done'"
    wait_until(lambda: bool(rows(on_sqlite, done)), "the quick job is done")
    assert len(host.asked) == 2
    over.set()
    everything = "SELECT count(*) FROM callflows_job WHERE state = 'done'"
    wait_until(lambda: rows(on_sqlite, everything) == [(6,)], "the downloads are done as well")


def test_worker_that_is_told_to_stop_ends_in_the_middle_of_a_download(
    on_sqlite: Deployment, host: FileServer, sound: bytes
) -> None:
    over = threading.Event()
    host.files[PATH] = Sent(sound, pause=over)
    prepare(on_sqlite, host)
    worker = start(on_sqlite)
    wait_until(lambda: host.asked == [PATH], "it downloads")
    assert worker.seconds_to_stop() < 3
    over.set()
    assert rows(on_sqlite, "SELECT state FROM callflows_job") == [("waiting",)]


def test_idle_worker_ends_at_once(on_sqlite: Deployment) -> None:
    worker = start(on_sqlite)
    assert worker.seconds_to_stop() < 2
    assert "Traceback" not in worker.said()
