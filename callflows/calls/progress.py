"""Knows how far a call or a leg is: a status that only moves forward, and an outcome taken from any event."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from callflows.payloads.events import OUTCOMES, PROGRESS, CallEvent


class Progress(Protocol):
    """How far something is, and how it ended: facts that are the same in whatever order they were told."""

    status: str
    outcome: str
    started: datetime | None
    answered: datetime | None
    ended: datetime | None


def advance(each: Progress, event: CallEvent, now: datetime) -> None:
    """Take over what ``event`` tells of ``each``; ``now`` stands in for a time that it does not tell."""
    each.status = later(each.status, event.status)
    each.outcome = min((each.outcome, event.outcome), key=_weight)
    at = event.at or now
    if event.status in ("started", "ringing"):
        each.started = min(each.started or at, at)
    elif event.status == "answered":
        each.answered = min(each.answered or at, at)
    elif event.status == "completed":
        each.ended = min(each.ended or at, at)


def stands_at(event: CallEvent, now: datetime) -> datetime:
    """Return where an event stands on a timeline.

    Vonage's clock counts milliseconds, and ``started`` and ``ringing`` are made in the same one: a microsecond each
    keeps them in the order in which calls go.
    """
    step = PROGRESS.index(event.status) if event.status else 0
    return (event.at or now) + timedelta(microseconds=step)


def copy(source: Progress, into: Progress) -> None:
    """Let ``into`` be as far as ``source``; an outcome of our own, that no event tells, stays."""
    into.status, into.outcome = source.status, source.outcome or _ours(into.outcome)
    into.started, into.answered, into.ended = source.started, source.answered, source.ended


def later(now: str, then: str) -> str:
    """Return the status that is further along: a late event never moves a call back."""
    order = ("", *PROGRESS)
    return max(now, then, key=lambda status: order.index(status) if status in order else 0)


def _ours(outcome: str) -> str:
    return "" if outcome in OUTCOMES else outcome


def _weight(outcome: str) -> int:
    """Of several outcomes the one that says why the call ended counts, whichever came first."""
    return OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES)
