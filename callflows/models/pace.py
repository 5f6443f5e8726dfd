"""Knows how fast we may ask Vonage, over all our workers together."""

from __future__ import annotations

from django.db import models


class Pace(models.Model):
    """One limit of Vonage's, such as 3 calls a second of an account: when the next request may leave, in Unix time."""

    name = models.CharField(max_length=200, primary_key=True)
    free_at = models.FloatField(default=0)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
