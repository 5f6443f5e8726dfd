"""Knows background work: jobs in one table, leased to workers, so that a killed worker loses none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

log = logging.getLogger(__name__)

LEASE_SECONDS = 60
# Seconds until the next attempt, by how many failed; after the last one the job rests as failed.
RETRY_SECONDS = (2, 10, 60, 300, 1800)

Work = Callable[..., object]
KINDS: dict[str, Work] = {}


def job(work: Work) -> Work:
    """Register a function as a kind of job, under its own name; it must be safe to run twice."""
    KINDS[work.__name__] = work
    return work


class JobQuerySet(models.QuerySet["Job"]):
    def enqueue(self, kind: str, host: str = "", **arguments: Any) -> Job:
        """Add a job; with ``host`` only workers on that machine take it, because it needs a file there."""
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        return self.create(kind=kind, host=host, arguments=arguments)

    def run_next(self, worker: str, host: str = "") -> bool:
        """Run one job that is due; False when there was none. Its failure is kept on it, and it is tried again."""
        found = self.claim(worker, host)
        if found is None:
            return False
        try:
            KINDS[found.kind](**found.arguments)
        except Exception as error:
            log.exception("job %s %s failed", found.pk, found.kind)
            found.fail(error)
        else:
            found.done()
        return True

    def claim(self, worker: str, host: str = "") -> Job | None:
        """Lease the next due job. A conditional update decides between workers: SQLite has no ``skip locked``."""
        now = timezone.now()
        due = self.filter(state=Job.State.WAITING, due__lte=now, host__in=("", host))
        for candidate in due.order_by("due", "pk")[:20]:
            lease = now + timedelta(seconds=LEASE_SECONDS)
            taken = due.filter(pk=candidate.pk).update(
                due=lease, worker=worker[:100], attempts=models.F("attempts") + 1
            )
            if taken:
                candidate.refresh_from_db()
                return candidate
        return None


class Job(models.Model):
    """One piece of work. A lease is a due time in the future: when its worker dies, the job is due again by itself."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    kind = models.CharField(max_length=50)
    arguments = models.JSONField(default=dict, blank=True)
    host = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    due = models.DateTimeField(default=timezone.now, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)
    made = models.DateTimeField(auto_now_add=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    def done(self) -> None:
        self.state = self.State.DONE
        self.error = ""
        self.save(update_fields=["state", "error"])

    def fail(self, error: Exception) -> None:
        """Keep the error and try again later, five times with growing pauses."""
        self.error = f"{type(error).__name__}: {error}"
        if self.attempts > len(RETRY_SECONDS):
            self.state = self.State.FAILED
        else:
            self.due = timezone.now() + timedelta(seconds=RETRY_SECONDS[self.attempts - 1])
        self.save(update_fields=["state", "error", "due"])
