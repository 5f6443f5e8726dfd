"""Knows calls: their legs, the rooms these are in, and the timeline of what happened."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from callflows.calls.progress import later
from callflows.models.flows import CallFlow, FlowVersion
from callflows.models.numbers import Application, PhoneNumber
from callflows.ncco import flow as core
from callflows.payloads.answer import AnswerRequest
from callflows.payloads.events import OUTCOMES, CallEvent

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
    outcome = models.CharField(max_length=20, blank=True)
    started = models.DateTimeField(null=True)
    answered = models.DateTimeField(null=True)
    ended = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def advance(self, event: CallEvent) -> None:
        """Take over what ``event`` tells. The order in which events come makes no difference."""
        self.status = later(self.status, event.status)
        self.outcome = min((self.outcome, event.outcome), key=_weight)
        at = event.at or timezone.now()
        if event.status in ("started", "ringing"):
            self.started = min(self.started or at, at)
        elif event.status == "answered":
            self.answered = min(self.answered or at, at)
        elif event.status == "completed":
            self.ended = min(self.ended or at, at)

    @property
    def live(self) -> bool:
        return self.status != self.Status.COMPLETED

    @property
    def seconds(self) -> float | None:
        """How long it was open, from its answer; None when it was not, or is still."""
        return (self.ended - self.answered).total_seconds() if self.ended and self.answered else None


def _weight(outcome: str) -> int:
    """Of several outcomes the one that says why the call ended counts, whichever came first."""
    return OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES)


class CallQuerySet(models.QuerySet["Call"]):
    def open_inbound(self, request: AnswerRequest, number: PhoneNumber | None, at: datetime) -> Call:
        """Begin the call that an answer webhook asks for: the call and its first leg."""
        call = self.create(
            uuid=request.uuid,
            caller=request.caller,
            called=request.to,
            direction="inbound",
            started=at,
            **Call.facts(number, request.digits),
        )
        call.legs.create(
            uuid=request.uuid,
            room=request.conversation_uuid,
            kind=request.endpoint_type[:20],
            caller=request.caller,
            called=request.to,
            direction="inbound",
            started=at,
        )
        return call

    def open_unknown(self, event: CallEvent) -> Call:
        """Begin a call that we hear of by an event first; its number is looked up when Vonage asks for an answer."""
        at = event.at or timezone.now()
        return self.create(
            uuid=event.uuid,
            caller=event.caller,
            called=event.to,
            direction=event.direction[:10],
            number_text=event.to[:100],
            started=at,
        )

    def give_up(self, now: datetime) -> int:
        """End calls that can only have ended, as ``unknown``: Vonage's time limit passed, and no event told us how.

        Returns how many.
        """
        latest = now - timedelta(seconds=LIMIT_SECONDS + GRACE_SECONDS)
        forgotten = self.exclude(status=Progress.Status.COMPLETED).filter(created__lt=latest)
        return forgotten.update(status=Progress.Status.COMPLETED, outcome="unknown", ended=now)

    def in_room(self, conversation_uuid: str) -> CallQuerySet:
        """Return the calls that have, or had, a leg in a room."""
        if not conversation_uuid:
            return self.none()
        here = models.Q(legs__room=conversation_uuid) | models.Q(legs__stays__room=conversation_uuid)
        return self.filter(pk__in=self.model.objects.filter(here).values("pk")).order_by("pk")


class Call(Progress):
    """One caller's, or one dialled party's, journey; known by the uuid of its first leg, an opaque text."""

    uuid = models.CharField(max_length=255, db_index=True, blank=True)
    application = models.ForeignKey(Application, on_delete=models.SET_NULL, null=True, related_name="calls")
    number = models.ForeignKey(PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="calls")
    flow = models.ForeignKey(CallFlow, on_delete=models.SET_NULL, null=True, related_name="calls")
    # A call keeps its names when number and flow are deleted.
    number_text = models.CharField(max_length=100, blank=True)
    flow_name = models.CharField(max_length=100, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    caller = models.TextField(blank=True)
    called = models.TextField(blank=True)
    direction = models.CharField(max_length=10, blank=True)
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
        return f"{self.caller or 'unknown caller'} to {self.number_text or self.called}"

    @staticmethod
    def facts(number: PhoneNumber | None, digits: str) -> dict[str, Any]:
        """Return what a call keeps of the number that was dialled."""
        flow = number.flow if number else None
        return {
            "number": number,
            "application": number.application if number else None,
            "flow": flow,
            "number_text": (number.digits if number else digits)[:100],
            "flow_name": flow.name if flow else "",
            "time_zone": number.time_zone if number else "UTC",
        }

    @property
    def room_name(self) -> str:
        """The name of the room in which whoever joins this call meets its caller."""
        return f"callflows-{self.pk}"

    @property
    def first_leg(self) -> Leg | None:
        return self.legs.order_by("pk").first()

    def note(self, kind: str, text: str, **fields: Any) -> TimelineEntry:
        """Add one of our own entries to the timeline: never merged with another."""
        return self.timeline.create(kind=kind, text=text, key=TimelineEntry.new_key(), **fields)

    def version_of(self, flow_id: int) -> core.Version | None:
        """Return what this call is served of a flow: the newest version published when the call began, or before."""
        found = FlowVersion.objects.serving(flow_id, self.created)
        return found.as_core() if found else None

    def values(self, room: str) -> dict[str, str]:
        """Return the values that a document's variables have in this call, whose leg is in ``room``."""
        return {
            "from": self.caller,
            "to": self.called,
            "uuid": self.uuid,
            "conversation_uuid": room,
            "flow_name": self.flow_name,
        }


class LegQuerySet(models.QuerySet["Leg"]):
    def known(self, uuid: str, room: str) -> Leg | None:
        """Return a leg by its uuid, or one of its room that has not been named yet; its call is locked."""
        unnamed = models.Q(uuid=None, room=room) if room else models.Q(pk=None)
        found = self.select_related("call").select_for_update(of=("self", "call"))
        return found.filter(models.Q(uuid=uuid) | unnamed).order_by("pk").first() if uuid else None


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
    kind = models.CharField(max_length=20, blank=True)
    caller = models.TextField(blank=True)
    called = models.TextField(blank=True)
    direction = models.CharField(max_length=10, blank=True)

    objects = LegQuerySet.as_manager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.kind or 'leg'} {self.uuid}"

    def move(self, room: str, at: datetime) -> None:
        """Let the leg leave its room for another one, as transfers and named conversations do."""
        if room and room != self.room:
            if self.room:
                self.stays.create(room=self.room, until=at)
            self.room = room


class RoomStay(models.Model):
    """A room that a leg was in before: late events of that room still find the call."""

    leg = models.ForeignKey(Leg, on_delete=models.CASCADE, related_name="stays")
    room = models.CharField(max_length=255, db_index=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.room


class TimelineEntry(models.Model):
    """One thing that happened in a call. Entries are only ever added.

    ``key`` is the SHA-256 of a webhook's canonical body, so that a repeat is recognized; ``reply`` is what the first
    delivery was answered, byte for byte.
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
    name = models.CharField(max_length=50, blank=True)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)
    key = models.CharField(max_length=64)
    reply = models.TextField(blank=True)

    class Meta:
        # The key rather than the id: the same events are told in the same order, in whatever order they came.
        ordering = ("at", "key")
        verbose_name_plural = "timeline"
        constraints = (models.UniqueConstraint(fields=("call", "key"), name="entry_once_in_a_call"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}"

    @staticmethod
    def new_key() -> str:
        return f"ours-{secrets.token_hex(16)}"


class StrayEvent(models.Model):
    """A signed event that names no leg and no conversation: kept, though no timeline can show it."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    name = models.CharField(max_length=50, blank=True)
    raw = models.JSONField()
    key = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return self.name or "event"
