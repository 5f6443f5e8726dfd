"""Knows how many webhooks were refused, and why: each may be a dead call that left no other trace."""

from __future__ import annotations

import logging

from django.db import DatabaseError, models
from django.utils import timezone

log = logging.getLogger(__name__)


class RefusalQuerySet(models.QuerySet["Refusal"]):
    def count_up(self, reason: str) -> None:
        """Count one more; a database that cannot is no reason to answer otherwise."""
        try:
            refusal, _ = self.get_or_create(reason=reason)
            self.filter(pk=refusal.pk).update(times=models.F("times") + 1, last=timezone.now())
        except DatabaseError:
            log.exception("could not count a refusal (%s)", reason)


class Refusal(models.Model):
    """One reason for which webhooks were refused, and how often."""

    reason = models.CharField(max_length=50, unique=True)
    # What the last one was told.
    sentence = models.TextField(blank=True)
    times = models.PositiveBigIntegerField(default=0)
    last = models.DateTimeField(default=timezone.now)

    objects = RefusalQuerySet.as_manager()

    class Meta:
        ordering = ("reason",)

    def __str__(self) -> str:
        return f"{self.reason}: {self.times}"
