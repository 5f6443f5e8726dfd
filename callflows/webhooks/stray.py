"""Knows how what no timeline can show is kept, once: an event without leg and conversation, say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from callflows.models import StrayEvent
from callflows.payloads.body import digest
from callflows.payloads.events import CallEvent
from callflows.webhooks.reading import Received
from callflows.webhooks.turn import Turn, attempt


@dataclass
class Stray:
    """One such event being kept. No reply of ours could change a call."""

    received: Received
    event: CallEvent
    at: datetime = field(default_factory=timezone.now)

    def __call__(self, turn: Turn) -> str:
        return attempt(self.store)

    def store(self) -> str:
        with transaction.atomic():
            self.received.admit()
            keep_stray(self.event.name, self.event.raw, digest(self.event.raw), self.at)
        return ""


def keep_stray(name: str, raw: Mapping[str, Any], key: str, at: datetime) -> None:
    """Keep what belongs to no call, or cannot be stored with it."""
    StrayEvent.objects.get_or_create(key=key, defaults={"name": name, "raw": dict(raw), "at": at})
