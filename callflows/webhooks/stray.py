"""Knows what becomes of a signed event that names no leg and no conversation: it is kept, once, by itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from callflows.models import StrayEvent
from callflows.payloads.body import digest
from callflows.payloads.events import CallEvent
from callflows.webhooks.reading import Received
from callflows.webhooks.turn import Turn, patiently


@dataclass
class Stray:
    """One such event being kept. No reply of ours could change a call."""

    received: Received
    event: CallEvent

    def __call__(self, turn: Turn) -> str:
        return patiently(self._in_transaction) or ""

    def _in_transaction(self) -> str:
        with transaction.atomic():
            self.received.admit()
            raw = dict(self.event.raw)
            StrayEvent.objects.get_or_create(key=digest(raw), defaults={"name": self.event.name[:50], "raw": raw})
        return ""
