"""Knows background work: jobs in one table, leased to workers, so that a killed worker loses none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, overload

from django.db import Error, connections, models
from django.utils import timezone

from callflows.models.clock import DbNow, db_now

log = logging.getLogger(__name__)

# A killed worker's job is taken over after so long; a living one renews its lease three times in it.
LEASE_SECONDS = 30.0
# Nothing that we do takes so long: a job that hangs is left to another worker in the end.
MOST_SECONDS = 3600
# Seconds until the next attempt, by how many failed; after the last one the job rests as failed.
RETRY_SECONDS = (2, 10, 60, 300, 1800)
ATTEMPTS = len(RETRY_SECONDS) + 1
# Vonage keeps recordings for 30 days: trying again is in vain afterwards.
KEPT_DAYS = {"done": 3, "failed": 30}
# Rows removed at a time: SQLite has one writer, and callers wait for it.
REMOVED_AT_ONCE = 1000

Work = Callable[..., object]
KINDS: dict[str, Work] = {}
# Kinds that wait for others' servers for minutes: they run beside those that a caller waits for.
SLOW: set[str] = set()
# What is told, and to whom, when a job of a kind rests as failed.
_GIVEN_UP: dict[str, Work] = {}


class TryAgain(Exception):
    """A job could not be done now: a sentence for operators. It is tried again, with growing pauses."""


class Hopeless(Exception):
    """A job cannot be done, however often it is tried: a sentence for operators. It rests as failed at once."""


@overload
def job(work: Work, /) -> Work: ...
@overload
def job(*, slow: bool = False, given_up: Work | None = None) -> Callable[[Work], Work]: ...
def job(
    work: Work | None = None, /, *, slow: bool = False, given_up: Work | None = None
) -> Work | Callable[[Work], Work]:
    """Register a function as a kind of job, under its own name; it must be safe to run twice.

    ``slow`` is for downloads and the like. ``given_up`` is called with the sentence that says why, and the job's
    arguments, when it rests as failed.
    """

    def register(work: Work) -> Work:
        name = work.__name__
        KINDS[name] = work
        if slow:
            SLOW.add(name)
        if given_up:
            _GIVEN_UP[name] = given_up
        return work

    return register(work) if work else register


class JobQuerySet(models.QuerySet["Job"]):
    def enqueue(self, kind: str, host: str = "", after: float = 0.0, **arguments: Any) -> Job:
        """Add a job, to be run at once or ``after`` so many seconds.

        With ``host`` only workers on that machine take it, because it needs a file there.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        added = self.create(kind=kind, host=host, due=db_now(after), arguments=arguments)
        # Read from the database, if anybody asks: its clock said when that is.
        del added.due
        return added

    def hasten(self, kind: str, **arguments: Any) -> int:
        """Make the waiting jobs of a kind, with these of their arguments, due now; return how many.

        One that a worker has in hand is left alone: its due time is its lease.
        """
        these = {f"arguments__{name}": value for name, value in arguments.items()}
        waiting = self.filter(kind=kind, state=Job.State.WAITING, worker="", **these)
        return waiting.update(due=db_now())

    def run_next(self, worker: str, host: str = "", *, slow: bool | None = None, lease: float = LEASE_SECONDS) -> bool:
        """Run one job that is due; False when there was none. Its failure is kept on it, and it is tried again.

        ``slow``: whether only the slow kinds are taken, or only the others; None: all.
        """
        found = self.claim(worker, host, slow=slow, lease=lease)
        if found is None:
            return False
        found.run(lease)
        return True

    def claim(
        self, worker: str, host: str = "", *, slow: bool | None = None, lease: float = LEASE_SECONDS
    ) -> Job | None:
        """Lease the next due job. A conditional update decides between workers: SQLite has no ``skip locked``.

        What is due, and for how long it is leased, the database's clock says: workers' own differ.
        """
        due = self.filter(state=Job.State.WAITING, due__lte=db_now(), host__in=("", host))
        if slow is not None:
            due = due.filter(kind__in=SLOW) if slow else due.exclude(kind__in=SLOW)
        leased = {"due": db_now(lease), "worker": worker[:100], "attempts": models.F("attempts") + 1}
        # Again as long as others were quicker with all that was found.
        while candidates := list(due.order_by("due", "pk")[:20]):
            for candidate in candidates:
                if due.filter(pk=candidate.pk).update(**leased):
                    candidate.refresh_from_db()
                    return candidate
        return None

    def forget(self, now: datetime) -> int:
        """Remove jobs that were done, or failed, long ago, some at a time; return how many."""
        ended = models.Q()
        for state, days in KEPT_DAYS.items():
            ended |= models.Q(state=state, due__lt=now - timedelta(days=days))
        return self.filter(pk__in=list(self.filter(ended).values_list("pk", flat=True)[:REMOVED_AT_ONCE])).delete()[0]


class Job(models.Model):
    """One piece of work. A lease is a due time in the future: when its worker dies, the job is due again by itself.

    ``worker`` has it in hand, or gave it up; empty while it waits. When it is done or failed, ``due`` says since when.
    """

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
        # Workers look here many times a second; finished jobs, far more than waiting ones, are not in their way.
        indexes = (models.Index(fields=("due",), condition=models.Q(state="waiting"), name="job_waiting"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    def run(self, lease: float = LEASE_SECONDS) -> None:
        """Do the work, which was claimed, and write down how it ended. No error of the work's comes out of here."""
        try:
            if self.attempts > ATTEMPTS:
                raise Hopeless(f"its worker died {ATTEMPTS} times")
            with self._renewed(lease):
                KINDS[self.kind](**self.arguments)
        except (Exception, SystemExit) as error:
            told = isinstance(error, TryAgain | Hopeless)
            log.warning("job %s %s failed: %s", self.pk, self.kind, error, exc_info=None if told else error)
            self.fail(error)
        else:
            self.done()

    def done(self) -> None:
        self._settle(state=self.State.DONE, error="", due=db_now())

    def fail(self, error: BaseException) -> None:
        """Keep the error and try again later, five times with growing pauses."""
        told = isinstance(error, TryAgain | Hopeless)
        text = (str(error) if told else f"{type(error).__name__}: {error}").replace("\0", "")
        if self.attempts < ATTEMPTS and not isinstance(error, Hopeless):
            pause = RETRY_SECONDS[max(self.attempts, 1) - 1]
            self._settle(error=text, due=db_now(pause), worker="")
        elif self._settle(state=self.State.FAILED, error=text, due=db_now()):
            self._give_up(text)

    def try_again(self) -> bool:
        """Let a failed job run again, as if it were new; False when it did not rest."""
        failed = Job.objects.filter(pk=self.pk, state=self.State.FAILED)
        return bool(failed.update(state=self.State.WAITING, due=db_now(), attempts=0, worker=""))

    def renew(self, lease: float) -> bool:
        """Keep the job for another lease; False when it was lost to another worker."""
        return self._settle(due=db_now(lease))

    def _settle(self, due: DbNow, **fields: Any) -> bool:
        """Write down how this attempt stands, unless another worker has the job by now: attempts tell one from all."""
        mine = Job.objects.filter(pk=self.pk, state=self.State.WAITING, worker=self.worker, attempts=self.attempts)
        if not mine.update(due=due, **fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    def _give_up(self, text: str) -> None:
        try:
            if tell := _GIVEN_UP.get(self.kind):
                tell(text, **self.arguments)
        except Exception:
            log.exception("that job %s %s failed could not be told", self.pk, self.kind)

    @contextmanager
    def _renewed(self, lease: float) -> Iterator[None]:
        """Renew the lease, from a thread of its own, as long as the work goes on."""
        ended = Event()
        thread = Thread(target=self._renew, args=(lease, ended), name=f"lease of {self}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _renew(self, lease: float, ended: Event) -> None:
        try:
            for _ in range(int(MOST_SECONDS / lease * 3)):
                if ended.wait(lease / 3) or not self._renewed_once(lease):
                    return
        finally:
            connections.close_all()

    def _renewed_once(self, lease: float) -> bool:
        """Whether the job is still ours, as far as one can know: a database that is away is asked again."""
        try:
            return self.renew(lease)
        except Error as error:
            log.warning("the lease of job %s could not be renewed: %s", self, error)
            return True
