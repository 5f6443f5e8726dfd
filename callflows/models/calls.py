"""Knows calls: their legs, the rooms these are in, and the timeline of what happened."""

from __future__ import annotations

import secrets
import zoneinfo
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from callflows.calls import progress
from callflows.calls.rooms import Rooms, Stay, current
from callflows.models.cut import CutField
from callflows.models.flows import CallFlow, FlowVersion
from callflows.models.numbers import Application, Entrance, PhoneNumber
from callflows.ncco import flow as core
from callflows.payloads.answer import values as brought_values
from callflows.payloads.events import CallEvent

# The outcome of a call that got the safe NCCO, whatever happens to it later; Vonage has no word for it.
NOT_SERVED = "not served"

# Vonage ends a call after two hours unless told otherwise; its last event may take a while.
LIMIT_SECONDS = 7200
GRACE_SECONDS = 600


class Progress(models.Model):
    """How far a call or a leg is, and how it ended: a status that only moves forward, and an outcome."""

    class Status(models.TextChoices):
        NEW = "", "new"
        STARTED = "started", "started"
        RINGING = "ringing", "ringing"
        ANSWERED = "answered", "live"
        COMPLETED = "completed", "completed"

    status = models.CharField(max_length=10, choices=Status, blank=True)
    outcome = CutField(max_length=20, blank=True)
    started = models.DateTimeField(null=True)
    answered = models.DateTimeField(null=True)
    ended = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def advance(self, event: CallEvent) -> None:
        """Take over what ``event`` tells. The order in which events come makes no difference."""
        progress.advance(self, event, timezone.now())

    @property
    def live(self) -> bool:
        return self.status != self.Status.COMPLETED

    @property
    def seconds(self) -> float | None:
        """How long it was open, from its answer; None when it was not, or is still."""
        return (self.ended - self.answered).total_seconds() if self.ended and self.answered else None


class CallQuerySet(models.QuerySet["Call"]):
    def give_up(self, now: datetime) -> int:
        """End calls that can only have ended, as ``unknown``: Vonage's time limit passed, and no event told us how.

        Returns how many.
        """
        latest = now - timedelta(seconds=LIMIT_SECONDS + GRACE_SECONDS)
        forgotten = self.exclude(status=Progress.Status.COMPLETED).filter(created__lt=latest)
        return forgotten.update(status=Progress.Status.COMPLETED, outcome="unknown", ended=now)


class Call(Progress):
    """One caller's, or one dialled party's, journey; known by the uuid of its first leg, an opaque text."""

    uuid = models.CharField(max_length=255, db_index=True, blank=True)
    application = models.ForeignKey(Application, on_delete=models.SET_NULL, null=True, related_name="calls")
    number = models.ForeignKey(PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="calls")
    flow = models.ForeignKey(CallFlow, on_delete=models.SET_NULL, null=True, related_name="calls")
    # A call keeps its names when number and flow are deleted.
    number_text = CutField(max_length=100, blank=True)
    flow_name = CutField(max_length=100, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    caller = models.TextField(blank=True)
    called = models.TextField(blank=True)
    direction = CutField(max_length=10, blank=True)
    # Who had a call out placed: a user's name, or what placed it by itself.
    placed_by = CutField(max_length=150, blank=True)
    created = models.DateTimeField(default=timezone.now, db_index=True)
    # The REST host that holds the call: its region's, or the one at which we created it. Used only when it is trusted.
    region_url = models.TextField(blank=True)
    # What came with the caller: SIP headers and custom data, as the answer request names them.
    brought = models.JSONField(default=dict, blank=True)
    # What the caller answered so far: step -> digits, or words.
    answers = models.JSONField(default=dict, blank=True)
    # When we last heard of it; without news for long, Vonage is asked.
    news = models.DateTimeField(default=timezone.now, db_index=True)
    # When Vonage was last asked, whatever it said: two workers never ask at the same time.
    asked = models.DateTimeField(null=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ("-created", "-id")
        permissions = (
            ("place_call", "Can place calls, which cost money"),
            ("control_call", "Can control live calls"),
        )

    def __str__(self) -> str:
        ours = self.number_text
        if self.direction == "outbound":
            return f"{ours or self.caller} to {self.called}"
        return f"{self.caller or 'unknown caller'} to {ours or self.called}"

    @staticmethod
    def facts(entrance: Entrance | None, digits: str) -> dict[str, Any]:
        """Return what a call keeps of the number, or of the application, that was dialled."""
        return {
            "number_id": entrance.number if entrance else None,
            "application_id": entrance.application if entrance else None,
            "flow_id": entrance.flow if entrance else None,
            "number_text": digits,
            "flow_name": (entrance.flow_name if entrance else "") or "",
            "time_zone": entrance.time_zone if entrance else "UTC",
        }

    @property
    def room_name(self) -> str:
        """The name of the room in which whoever joins this call meets its caller."""
        return f"callflows-{self.pk}"

    @property
    def first_leg(self) -> Leg | None:
        """The leg of who called, or was called: the one that the call is known by."""
        named = self.legs.filter(uuid=self.uuid).first() if self.uuid else None
        return named or self.legs.order_by("pk").first()

    def note(self, kind: str, text: str, **fields: Any) -> TimelineEntry:
        """Add one of our own entries to the timeline: never merged with another."""
        return self.timeline.create(kind=kind, text=text, key=TimelineEntry.new_key(), **fields)

    def version_of(self, flow_id: int) -> core.Version | None:
        """Return what this call is served of a flow: the newest version published when the call began, or before."""
        return FlowVersion.objects.served(flow_id, self.created)

    def values(self, room: str) -> dict[str, str]:
        """Return the values that a document's variables have in this call, whose leg is in ``room``."""
        local = timezone.now().astimezone(_zone(self.time_zone))
        return {
            "from": self.caller,
            "to": self.called,
            "uuid": self.uuid,
            "conversation_uuid": room,
            "flow_name": self.flow_name,
            "date": f"{local:%Y-%m-%d}",
            "time": f"{local:%H:%M}",
            "weekday": _WEEKDAYS[local.weekday()],
            **brought_values(self.brought),
            **{f"answers.{step}": str(answer) for step, answer in self.answers.items()},
        }


# Not as the machine's locale has them: documents are written for one language.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone; a call whose number had one that the machine does not know any more goes on in UTC."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


class Leg(Progress):
    """One party's connection. Its uuid is opaque: never re-dashed, sent back byte for byte."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="legs")
    # None: known by its room only, until an event names it.
    uuid = models.CharField(max_length=255, unique=True, null=True)  # noqa: DJ001  (several may be unknown, none equal)
    room = models.CharField("conversation", max_length=255, db_index=True, blank=True)
    # When an event first and last told that it is there, by Vonage's clock: a transfer that is told late does not move
    # it back. None: since it began.
    since = models.DateTimeField(null=True)
    seen = models.DateTimeField(null=True)
    # Whether it is known to belong to its call; else it was only met in a room of it, and may turn out to be another's.
    bound = models.BooleanField(default=False)
    kind = CutField(max_length=20, blank=True)
    caller = models.TextField(blank=True)
    called = models.TextField(blank=True)
    direction = CutField(max_length=10, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.kind or 'leg'} {self.uuid}"

    @property
    def home(self) -> Call | None:
        """The call that it belongs to, None for a new one."""
        try:
            return self.call
        except Leg.call.RelatedObjectDoesNotExist:
            return None

    @home.setter
    def home(self, call: Call | None) -> None:
        if call is not None:
            self.call = call

    # The rooms that it left: as they stand in the table, and as they are now; None: not asked for yet.
    _stored: Rooms | None = None
    _left: Rooms | None = None

    @property
    def rooms(self) -> Rooms:
        """Where it is and was. Most legs never leave their room: those that did say so in ``moved``, where asked."""
        if self._left is None:
            asked = self.pk is not None and getattr(self, "moved", True)
            self._stored = self._left = (
                tuple(Stay(each.room, each.since, each.until) for each in self.stays.all()) if asked else ()
            )
        return (*self._left, Stay(self.room, self.since, self.seen)) if self.room else ()

    @rooms.setter
    def rooms(self, rooms: Rooms) -> None:
        here = current(rooms)
        self._left = tuple(each for each in rooms if each.room != here)
        for each in rooms:
            if each.room == here:
                self.room, self.since, self.seen = each.room, each.since, each.seen

    def keep_rooms(self) -> None:
        """Write down the rooms that it left, when these are others now."""
        if self._left is not None and self._left != self._stored:
            self.stays.all().delete()
            RoomStay.objects.bulk_create(
                RoomStay(leg=self, room=each.room, since=each.since, until=each.seen) for each in self._left
            )
            self._stored = self._left


class RoomStay(models.Model):
    """A room that a leg was in before, and when it was seen there: late events of that room still find the call."""

    leg = models.ForeignKey(Leg, on_delete=models.CASCADE, related_name="stays")
    room = models.CharField(max_length=255, db_index=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.room


# Vonage repeats a webhook within seconds; its signature is good for 5 minutes.
REPLIES_KEPT = timedelta(days=1)


class TimelineEntryQuerySet(models.QuerySet["TimelineEntry"]):
    def forget_replies(self, now: datetime, most: int = 1000) -> int:
        """Empty replies that no repeat asks for any more: addresses in them steer a call. Return how many."""
        old = self.filter(at__lt=now - REPLIES_KEPT).exclude(reply="").order_by().values_list("pk", flat=True)
        return self.filter(pk__in=list(old[:most])).update(reply="")


class TimelineEntry(models.Model):
    """One thing that happened in a call. Entries are only ever added; one that tells of an answer which was committed
    too late to be said is taken away (``Answer.keep``).

    ``key`` is the SHA-256 of a webhook's canonical body, so that a repeat is recognized; ``reply`` is what the first
    delivery was answered, byte for byte, for a day.
    """

    class Kind(models.TextChoices):
        ANSWER = "answer", "Answer webhook"
        EVENT = "event", "Event"
        FALLBACK = "fallback", "Fallback webhook"
        BRANCH = "branch", "Branch"
        SOCKET = "socket", "Socket"
        DIGIT = "digit", "Digit"
        PROMPT = "prompt", "Prompt"
        RECORDING = "recording", "Recording"
        COMMAND = "command", "Command"
        PROBLEM = "problem", "Problem"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="timeline")
    leg = models.ForeignKey(Leg, on_delete=models.SET_NULL, null=True, related_name="+")
    line = models.ForeignKey("Line", on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=10, choices=Kind)
    name = CutField(max_length=50, blank=True)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)
    key = models.CharField(max_length=64)
    reply = models.TextField(blank=True)

    objects = TimelineEntryQuerySet.as_manager()

    class Meta:
        # The key rather than the id: the same events are told in the same order, in whatever order they came.
        ordering = ("at", "key")
        verbose_name_plural = "timeline"
        constraints = (models.UniqueConstraint(fields=("call", "key"), name="entry_once_in_a_call"),)
        indexes = (models.Index(fields=("at",), condition=~models.Q(reply=""), name="entry_with_reply"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}"

    # How the keys of our own entries begin.
    OURS = "ours-"

    @classmethod
    def new_key(cls) -> str:
        return f"{cls.OURS}{secrets.token_hex(16)}"


class StrayEvent(models.Model):
    """A signed event that names no leg and no conversation: kept, though no timeline can show it."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    name = CutField(max_length=50, blank=True)
    raw = models.JSONField()
    key = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return self.name or "event"
