"""Knows how fast we may ask Vonage, over all our workers together."""

from __future__ import annotations

from django.db import models

from callflows.models.clock import db_now

# Nobody waits longer than a few seconds: a place further away was taken before the clock was set back.
NONSENSE_SECONDS = 60.0


class PaceQuerySet(models.QuerySet["Pace"]):
    def reserve(self, name: str, interval: float, most: float) -> float | None:
        """Take the next free place, ``interval`` seconds after the one before; return the seconds until it comes.

        None, and nothing is taken, when that is more than ``most``. A conditional update decides between workers, on
        every database, and holds no lock while anybody waits. Read by the database's clock: machines' own differ.
        """
        while True:
            row = self.filter(name=name).values_list("free_at", db_now()).first()
            if row is None:
                self.bulk_create([Pace(name=name)], ignore_conflicts=True)
                continue
            free_at, now = float(row[0]), float(row[1].timestamp())
            wait = max(0.0, free_at - now) if free_at - now < NONSENSE_SECONDS else 0.0
            if wait > most:
                return None
            if self.filter(name=name, free_at=free_at).update(free_at=now + wait + interval):
                return wait


class Pace(models.Model):
    """One limit of Vonage's, such as 3 calls a second of an application: when the next may leave, in Unix time."""

    name = models.CharField(max_length=200, primary_key=True)
    free_at = models.FloatField(default=0)

    objects = PaceQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
