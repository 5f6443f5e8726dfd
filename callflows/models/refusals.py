"""Knows how many webhooks were refused, and why: each may be a dead call that left no other trace."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.db.models.functions import Least
from django.utils import timezone


class RefusalQuerySet(models.QuerySet["Refusal"]):
    def count_up(self, reason: str, sentence: str = "", times: int = 1, at: datetime | None = None) -> None:
        """Count ``times`` more for one reason, the last of them told ``sentence``."""
        at = at or timezone.now()
        if self._more(reason, sentence, times, at):
            return
        try:
            with transaction.atomic():
                self.create(reason=reason, sentence=sentence, times=times, last=at, since=at)
        except IntegrityError:
            # Another worker was first.
            self._more(reason, sentence, times, at)

    def _more(self, reason: str, sentence: str, times: int, at: datetime) -> int:
        since = models.Case(models.When(times=models.F("seen"), then=models.Value(at)), default=models.F("since"))
        return self.filter(reason=reason).update(
            times=models.F("times") + times, sentence=sentence, last=at, since=since
        )

    def unseen(self) -> RefusalQuerySet:
        """The reasons for which webhooks were refused since somebody last looked, the latest first."""
        return self.filter(times__gt=models.F("seen")).order_by("-last")

    def see(self, reason: str, times: int) -> None:
        """Take note that somebody saw the first ``times`` of a reason; those that came since stay unseen."""
        known = models.Value(min(times, models.PositiveBigIntegerField.MAX_BIGINT))
        self.filter(reason=reason, seen__lt=times).update(seen=Least(models.F("times"), known))


class Refusal(models.Model):
    """One reason for which webhooks were refused, and how often."""

    reason = models.CharField(max_length=50, unique=True)
    # What the last one was told.
    sentence = models.TextField(blank=True)
    times = models.PositiveBigIntegerField(default=0)
    last = models.DateTimeField(default=timezone.now)
    # How many of them somebody saw, and when the first after those came.
    seen = models.PositiveBigIntegerField(default=0)
    since = models.DateTimeField(null=True)

    objects = RefusalQuerySet.as_manager()

    class Meta:
        ordering = ("reason",)

    def __str__(self) -> str:
        return f"{self.reason}: {self.times}"

    @property
    def unseen(self) -> int:
        return self.times - self.seen
