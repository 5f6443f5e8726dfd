"""Knows lines: the audio sockets of calls, and the tokens that let them in."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.core import signing
from django.db import models

from callflows.models.calls import Call, Leg, TimelineEntry
from callflows.models.clock import db_now
from callflows.models.cut import CutField
from callflows.models.flows import FlowVersion
from callflows.models.prepared import insert
from callflows.ncco.flow import Place

# How long the socket may come after the latest end of the actions before it; with no such end, two hours.
TOKEN_SECONDS = 60
UNBOUNDED_SECONDS = 7200
# A living worker closes a line this long after its call's end at the latest: 30 s of silence, and all that ends it.
LOST_SECONDS = 60
_SALT = "callflows.line"


class SocketRefused(Exception):
    """A socket that may not come in: says why, for the log and the timeline."""


def new_id() -> str:
    return secrets.token_urlsafe(12)


def nonce_of(line_id: str, token: str) -> str:
    """Return what a token says of its line. Asks no database: strangers cost it nothing. Raises SocketRefused."""
    try:
        named, nonce = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise SocketRefused("the token is not one of ours") from None
    if named != line_id:
        raise SocketRefused("the token belongs to another line")
    return str(nonce)


class LineQuerySet(models.QuerySet["Line"]):
    def expect(self, call: Call, place: Place, seconds_before: float | None) -> Line:
        """Make the line that the socket of ``place`` will open.

        ``seconds_before`` is how long the actions before it can take at most, None when there is no bound.
        """
        wait = UNBOUNDED_SECONDS if seconds_before is None else seconds_before
        line = Line(
            call=call,
            version_id=place.version.id,
            step=place.step.name,
            attempt=place.attempt,
            app=place.step.options.get("app", ""),
            expires=db_now(wait + TOKEN_SECONDS),
        )
        insert(line)
        # Read from the database, if anybody asks.
        del line.expires
        return line

    def admit(self, line_id: str, token: str) -> Line:
        """Return the line that a handshake's path names. Raises SocketRefused."""
        nonce = nonce_of(line_id, token)
        known = self.select_related("call", "version", "call__application").filter(pk=line_id)
        # By the database's clock, as it was made: the server that made it may be another one.
        line = known.annotate(late=models.Q(expires__lt=db_now())).first()
        if line is None:
            raise SocketRefused("no such line")
        if nonce != line.nonce:
            raise SocketRefused("the token belongs to another line")
        if line.used is not None:
            raise SocketRefused("the token was used before")
        if getattr(line, "late", False):
            raise SocketRefused(f"the token expired at {line.expires:%H:%M:%S} UTC")
        return line

    def claim(self, line: Line, worker: str) -> bool:
        """Use up the line's token; False when another socket did, at whatever worker."""
        free = self.filter(pk=line.pk, used__isnull=True)
        return bool(free.update(used=db_now(), opened=db_now(), state=Line.State.OPEN, worker=worker))

    def lose(self, line: Line) -> bool:
        """Mark an open line as lost with its worker, and tell its call; False when it is not open any more."""
        open_still = self.filter(pk=line.pk, state=Line.State.OPEN)
        if not open_still.update(state=Line.State.LOST, closed=db_now()):
            return False
        line.call.note(TimelineEntry.Kind.PROBLEM, "The worker that held the socket was lost", line=line)
        return True

    def give_up(self, now: datetime) -> int:
        """Mark the lines as lost whose calls are over, and whose workers did not live to close them.

        Vonage tells of a socket that broke, but not when the whole call ended in that moment. Returns how many.
        """
        latest = now - timedelta(seconds=LOST_SECONDS)
        over = self.filter(state=Line.State.OPEN, call__status=Call.Status.COMPLETED, call__news__lt=latest)
        return sum(self.lose(line) for line in over.select_related("call"))


class Line(models.Model):
    """One audio socket of a call, from the NCCO that names it until it closes."""

    class State(models.TextChoices):
        EXPECTED = "expected", "expected"
        OPEN = "open", "open"
        CLOSED = "closed", "closed"
        LOST = "lost", "lost"

    id = models.CharField(primary_key=True, max_length=22, default=new_id, editable=False)
    nonce = models.CharField(max_length=22, default=new_id, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="lines")
    leg = models.ForeignKey(Leg, on_delete=models.SET_NULL, null=True, related_name="lines")
    version = models.ForeignKey(FlowVersion, on_delete=models.SET_NULL, null=True, related_name="+")
    step = models.CharField(max_length=50)
    attempt = models.PositiveIntegerField(default=1)
    app = models.CharField(max_length=50)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.EXPECTED)
    worker = CutField(max_length=100, blank=True)
    opened = models.DateTimeField(null=True)
    closed = models.DateTimeField(null=True)
    # How the app ended; empty while it runs, and when the socket was lost.
    outcome = CutField(max_length=50, blank=True)
    figures = models.JSONField(default=dict, blank=True)
    # What the app of a socket that joined a running call was told; other sockets' settings stand in their step.
    settings = models.JSONField(default=dict, blank=True)

    objects = LineQuerySet.as_manager()

    class Meta:
        ordering = ("expires",)
        # Few of all: looked through again and again.
        indexes = (models.Index(fields=["call"], name="line_open", condition=models.Q(state="open")),)

    def __str__(self) -> str:
        return f"{self.app} {self.id}"

    @property
    def joined(self) -> bool:
        """Whether it was called into a running call, by no step of a flow."""
        return not self.step

    @property
    def token(self) -> str:
        """What lets the socket in, once: signed, and bound to this line."""
        return signing.dumps([self.pk, self.nonce], salt=_SALT)

    @property
    def path(self) -> str:
        return f"/socket/{self.pk}/{self.token}"
