"""Knows the tokens of signed webhooks that came already: one that comes again must bring the same body."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from callflows.models.clock import db_now
from callflows.models.prepared import insert_unless_there

# A token is good from 30 s before to 5 minutes after its time of issue: later it is refused for its age.
KEPT_SECONDS = 600


class SeenTokenQuerySet(models.QuerySet["SeenToken"]):
    def admit(self, jti: str, body: str) -> bool:
        """Remember a token and return True; when it came before, return whether its body is the same.

        In the transaction of the work: a token whose work is rolled back has not been seen. One query for a new token.
        """
        return (
            insert_unless_there(SeenToken(jti=jti, body=body, at=db_now())) or self.filter(jti=jti, body=body).exists()
        )

    def forget(self, now: datetime) -> int:
        """Remove the tokens that are too old to come again; return how many."""
        return self.filter(at__lt=now - timedelta(seconds=KEPT_SECONDS)).delete()[0]


class SeenToken(models.Model):
    """A signed webhook's ``jti``, with the SHA-256 of the body that it came with."""

    jti = models.CharField(max_length=255, primary_key=True)
    body = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = SeenTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.jti
