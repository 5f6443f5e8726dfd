"""Knows that background work is done once, tried again, and not lost with its worker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from callflows.models import Job
from callflows.models.jobs import KINDS, LEASE_SECONDS, RETRY_SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def done() -> Iterator[list[str]]:
    """Register kinds of our own; what they were given stands in the list."""
    found: list[str] = []

    def broken(word: str) -> None:
        found.append(word)
        raise RuntimeError("not today")

    KINDS.update(say=found.append, broken=broken)
    yield found
    del KINDS["say"], KINDS["broken"]


def test_job_runs_once(done: list[str]) -> None:
    Job.objects.create(kind="broken", arguments={"word": "later"}, due=timezone.now() + timedelta(hours=1))
    Job.objects.enqueue("keep_recording", line="gone")
    assert Job.objects.run_next("worker")
    assert not Job.objects.run_next("worker")
    assert Job.objects.filter(state="done").count() == 1
    assert done == []


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind: expected one of keep_recording, say, broken, got 'fly'"):
        Job.objects.enqueue("fly")


def test_job_of_another_machine_is_left_alone() -> None:
    Job.objects.enqueue("keep_recording", host="elsewhere", line="x")
    assert not Job.objects.run_next("worker", "here")
    assert Job.objects.run_next("worker", "elsewhere")


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
    job = Job.objects.get()
    assert (job.state, job.error, len(done)) == ("failed", "RuntimeError: not today", 6)


def test_job_of_a_killed_worker_is_due_again_when_its_lease_ends() -> None:
    Job.objects.enqueue("keep_recording", line="x")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert Job.objects.claim("killed")
        assert Job.objects.claim("other") is None
        clock.shift(LEASE_SECONDS + 1)
        again = Job.objects.claim("other")
    assert again is not None
    assert (again.worker, again.attempts) == ("other", 2)
