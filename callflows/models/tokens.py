"""Knows the tokens of signed webhooks that came already: one that comes again must bring the same body."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class SeenToken(models.Model):
    """A signed webhook's ``jti``, with the SHA-256 of the body that it came with."""

    jti = models.CharField(max_length=255, primary_key=True)
    body = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.jti
