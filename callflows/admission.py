"""Knows what the database says at the beginning and the end of an audio socket. Blocks: called in threads."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callflows.models import Job, Line, SocketRefused, TimelineEntry
from callflows.models.lines import open_path
from callflows.models.prompts import sound as load_sound
from callflows.ncco.template import fill
from callflows.sockets.line import Note
from callflows.sockets.registry import APPS
from callflows.vonage.account import Account, VonageError

__all__ = ["Admission", "admit", "claim", "finish", "keep_notes", "load_sound", "unanswered"]


@dataclass(frozen=True, slots=True)
class Admission:
    """What a socket that was let in needs: its app with settings, read from the version that its token names."""

    line: Line
    app: str
    settings: Mapping[str, Any]
    branches: frozenset[str]
    recording: Path

    @property
    def line_id(self) -> str:
        return self.line.pk

    def branches_on(self, outcome: str) -> bool:
        """Whether the flow goes on after ``outcome``: then Vonage must tell us that the socket closed."""
        return outcome in self.branches or (outcome in ("drained", "error") and "disconnected" in self.branches)

    def rest(self) -> tuple[Account, str, str]:
        """Return how to reach the call over REST, its socket's leg (empty if no event named it yet), and its room.

        Raises VonageError when the call has no application.
        """
        application = self.line.call.application
        if application is None:
            raise VonageError("the call belongs to no application")
        key = os.environ.get(application.private_key_variable, "") if application.private_key_variable else ""
        fresh = Line.objects.select_related("leg").get(pk=self.line_id)
        uuid = fresh.leg.uuid if fresh.leg else None
        first = fresh.call.first_leg
        return Account(application.application_id, key, application.api_host), uuid or "", first.room if first else ""


def admit(line_id: str, token: str) -> Admission:
    """Return what the socket needs. Raises SocketRefused."""
    line = Line.objects.admit(line_id, token)
    flow = line.version.as_core().flow if line.version else None
    step = flow.step(line.step) if flow else None
    if flow is None or step is None or line.app not in APPS:
        raise SocketRefused(f"app {line.app!r} of step {line.step!r} does not exist any more")
    leg = line.call.first_leg
    return Admission(
        line=line,
        app=line.app,
        settings=fill(step.options.get("settings", {}), line.call.values(leg.room if leg else "")),
        branches=frozenset(branch.outcome for branch in flow.branches if branch.step == step.name),
        recording=open_path(line_id),
    )


def claim(admission: Admission, worker: str) -> bool:
    """Use up the token, at the first message; False when another socket was first."""
    return Line.objects.claim(admission.line, worker)


def keep_notes(admission: Admission, notes: Sequence[Note]) -> None:
    TimelineEntry.objects.bulk_create(_entries(admission, notes))


def finish(admission: Admission, outcome: str, figures: dict[str, Any], notes: Sequence[Note]) -> None:
    """Write down how the line ended, and have its recording kept, if it made one."""
    admission.line.finish(outcome, figures, _entries(admission, notes))
    if admission.recording.exists():
        Job.objects.enqueue("keep_recording", host=socket.gethostname(), line=admission.line_id)


def unanswered(lines: Sequence[str]) -> int:
    """Return for how many of these lines, that we closed, Vonage's event has not come yet."""
    return Line.objects.filter(pk__in=lines, leg__isnull=False).exclude(leg__status="completed").count()


def _entries(admission: Admission, notes: Sequence[Note]) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            call_id=admission.line.call_id,
            line=admission.line,
            at=note.at,
            kind=note.kind,
            name=note.name[:50],
            text=note.text,
            data=dict(note.data),
            key=TimelineEntry.new_key(),
        )
        for note in notes
    ]
