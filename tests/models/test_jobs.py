"""Knows that background work is done once, tried again, and not lost with its worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from callflows.models import Job
from callflows.models.clock import DbNow
from callflows.models.jobs import ATTEMPTS, KINDS, LEASE_SECONDS, RETRY_SECONDS, SLOW, Hopeless, TryAgain, job
from tests.services import wait_until

pytestmark = pytest.mark.django_db
OURS = ("say", "broken", "hopeless", "busy", "leave", "wait", "download")


@pytest.fixture(autouse=True)
def done() -> Iterator[list[str]]:
    """Register kinds of our own; what they were given stands in the list."""
    found: list[str] = []

    def broken(word: str) -> None:
        found.append(word)
        raise RuntimeError("not today")

    def hopeless(word: str) -> None:
        found.append(word)
        raise Hopeless("the file is gone")

    def busy(word: str) -> None:
        found.append(word)
        raise TryAgain("Vonage is busy")

    def leave(word: str) -> None:
        raise SystemExit(word)

    def download(word: str) -> None:
        found.append(word)

    def told(why: str, word: str) -> None:
        found.append(f"{word}: {why}")

    KINDS.update(say=found.append, broken=broken, busy=busy, leave=leave)
    job(given_up=told)(hopeless)
    job(slow=True)(download)
    yield found
    for name in OURS:
        KINDS.pop(name, None)
        SLOW.discard(name)


def test_job_runs_once(done: list[str]) -> None:
    Job.objects.create(kind="broken", arguments={"word": "later"}, due=timezone.now() + timedelta(hours=1))
    Job.objects.enqueue("keep_recording", line="gone")
    assert Job.objects.run_next("worker")
    assert not Job.objects.run_next("worker")
    assert Job.objects.filter(state="done").count() == 1
    assert done == []


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kind: expected one of .*keep_recording.*, got 'fly'"):
        Job.objects.enqueue("fly")


def test_kind_that_this_version_does_not_know_fails_and_stops_nobody(done: list[str]) -> None:
    Job.objects.create(kind="from_the_future")
    Job.objects.enqueue("download", word="x")
    assert Job.objects.run_next("worker")
    assert Job.objects.run_next("worker")
    assert done == ["x"]
    assert Job.objects.get(kind="from_the_future").error == "KeyError: 'from_the_future'"


def test_job_waits_until_it_is_due(done: list[str]) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        Job.objects.enqueue("download", after=60, word="later")
        assert not Job.objects.run_next("worker")
        clock.shift(61)
        assert Job.objects.run_next("worker")
    assert done == ["later"]


def test_waiting_job_can_be_hastened_but_not_one_in_hand(done: list[str]) -> None:
    for word in ("this", "other"):
        Job.objects.enqueue("download", after=60, word=word)
    assert Job.objects.hasten("download", word="this") == 1
    assert Job.objects.claim("worker")
    assert Job.objects.hasten("download", word="this") == 0
    assert Job.objects.claim("other") is None


def test_job_of_another_machine_is_left_alone() -> None:
    Job.objects.enqueue("keep_recording", host="elsewhere", line="x")
    assert not Job.objects.run_next("worker", "here")
    assert Job.objects.run_next("worker", "elsewhere")


def test_downloads_and_what_a_caller_waits_for_are_taken_apart(done: list[str]) -> None:
    Job.objects.enqueue("download", word="slow")
    Job.objects.enqueue("keep_recording", line="quick")
    assert Job.objects.run_next("quick", slow=False)
    assert not Job.objects.run_next("quick", slow=False)
    assert done == []
    assert Job.objects.run_next("slow", slow=True)
    assert done == ["slow"]


def test_failed_job_is_tried_again_and_rests_in_the_end(done: list[str]) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        Job.objects.enqueue("broken", word="x")
        for pause in RETRY_SECONDS:
            assert Job.objects.run_next("worker")
            assert not Job.objects.run_next("worker")
            clock.shift(pause + 1)
        assert Job.objects.run_next("worker")
        clock.shift(10_000)
        assert not Job.objects.run_next("worker")
    found = Job.objects.get()
    assert (found.state, found.error, len(done)) == ("failed", "RuntimeError: not today", ATTEMPTS)


def test_job_that_cannot_be_mended_rests_at_once_and_tells_why(done: list[str]) -> None:
    Job.objects.enqueue("hopeless", word="x")
    assert Job.objects.run_next("worker")
    assert (Job.objects.get().state, Job.objects.get().error) == ("failed", "the file is gone")
    assert done == ["x", "x: the file is gone"]


def test_expected_failure_is_one_line_in_the_log_and_not_a_traceback(
    done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    Job.objects.enqueue("busy", word="x")
    with caplog.at_level(logging.WARNING):
        assert Job.objects.run_next("worker")
    (record,) = caplog.records
    assert record.getMessage().endswith("busy failed: Vonage is busy")
    assert not record.exc_info
    assert Job.objects.get().state == "waiting"


def test_job_that_wants_to_end_the_process_only_fails() -> None:
    Job.objects.enqueue("leave", word="bye")
    assert Job.objects.run_next("worker")
    assert Job.objects.get().error == "SystemExit: bye"


def test_job_of_a_killed_worker_is_due_again_when_its_lease_ends() -> None:
    Job.objects.enqueue("keep_recording", line="x")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert Job.objects.claim("killed")
        assert Job.objects.claim("other") is None
        clock.shift(LEASE_SECONDS + 1)
        again = Job.objects.claim("other")
    assert again is not None
    assert (again.worker, again.attempts) == ("other", 2)


def test_lease_lasts_as_long_as_the_databases_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    Job.objects.enqueue("keep_recording", line="x")
    assert Job.objects.claim("killed")
    for seconds, free in ((LEASE_SECONDS - 5, False), (LEASE_SECONDS + 1, True)):
        monkeypatch.setattr(DbNow, "ahead", seconds)
        assert bool(Job.objects.claim("other")) is free


def test_job_that_kills_its_workers_is_given_up_and_those_behind_it_run(done: list[str]) -> None:
    Job.objects.enqueue("hopeless", word="poison")
    Job.objects.enqueue("download", word="behind")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert Job.objects.claim("killed 1")
        assert Job.objects.run_next("worker")
        assert done == ["behind"]
        for number in range(2, ATTEMPTS + 1):
            clock.shift(LEASE_SECONDS + 1)
            assert Job.objects.claim(f"killed {number}")
        clock.shift(LEASE_SECONDS + 1)
        assert Job.objects.run_next("worker")
    found = Job.objects.get(kind="hopeless")
    assert (found.state, found.error) == ("failed", "its worker died 6 times")
    assert done == ["behind", "poison: its worker died 6 times"]


def test_worker_that_lost_its_lease_changes_nothing_any_more() -> None:
    Job.objects.enqueue("keep_recording", line="x")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        late = Job.objects.claim("late")
        clock.shift(LEASE_SECONDS + 1)
        other = Job.objects.claim("other")
        assert late
        assert other
        assert not late.renew(LEASE_SECONDS)
        late.fail(RuntimeError("too late"))
        late.done()
        found = Job.objects.get()
        assert (found.state, found.error, found.worker) == ("waiting", "", "other")
        other.done()
    assert Job.objects.get().state == "done"


def test_failed_job_can_be_tried_again(done: list[str]) -> None:
    Job.objects.enqueue("hopeless", word="x")
    Job.objects.run_next("worker")
    found = Job.objects.get()
    assert found.try_again()
    assert not found.try_again()
    assert Job.objects.run_next("worker")
    assert done.count("x") == 2


def test_old_jobs_are_removed_and_waiting_ones_never() -> None:
    now = timezone.now()
    for state, days in (("done", 2), ("done", 4), ("failed", 4), ("failed", 31), ("waiting", 400)):
        Job.objects.create(kind="keep_recording", state=state, due=now - timedelta(days=days))
    assert Job.objects.forget(now) == 2
    assert sorted(Job.objects.values_list("state", flat=True)) == ["done", "failed", "waiting"]


@pytest.mark.django_db(transaction=True)
def test_long_job_keeps_its_lease() -> None:
    """One of three leases' length is not run twice."""
    runs, over = list[str](), threading.Event()

    def wait(word: str) -> None:
        runs.append(word)
        over.wait(30)

    KINDS["wait"] = wait
    begun = Job.objects.enqueue("wait", word="long").due
    lease = 0.6

    def renewed(times: int) -> bool:
        return bool(Job.objects.filter(due__gt=begun + timedelta(seconds=lease * (1 + times / 3))).exists())

    worker = threading.Thread(target=run_one, kwargs={"lease": lease})
    worker.start()
    try:
        wait_until(lambda: renewed(9), "the lease was renewed nine times")
        assert not Job.objects.run_next("other", lease=lease)
    finally:
        over.set()
        worker.join()
    assert runs == ["long"]
    assert Job.objects.get().state == "done"


def run_one(lease: float = LEASE_SECONDS) -> None:
    try:
        Job.objects.run_next("worker", lease=lease)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_many_workers_do_each_job_once(done: list[str]) -> None:
    words = [str(number) for number in range(60)]
    for word in words:
        Job.objects.enqueue("download", word=word)

    def run_all(name: str) -> int:
        try:
            return sum(1 for _ in iter(lambda: Job.objects.run_next(name), False))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(run_all, [f"worker {number}" for number in range(8)]))
    assert sum(counts) == 60
    assert sorted(done, key=int) == words
    assert set(Job.objects.values_list("state", "attempts")) == {("done", 1)}
