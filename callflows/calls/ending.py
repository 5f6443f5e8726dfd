"""Knows who ended a call: whoever was on the first leg that ended, as far as Vonage's words can be believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

# Legs that ended longer before the call's own had nothing to do with its end: agents who left, while it went on.
TOGETHER = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class End:
    """The end of one leg.

    ``by`` is the `disconnected_by` of its event: user, platform, empty in older payloads. ``own``: the call is known
    by this leg.
    """

    at: datetime
    by: str
    kind: str
    direction: str
    answered: bool
    own: bool


def who_ended(ends: Iterable[End]) -> str:
    """Return who ended a call: ``the caller``, ``the called party``, ``Vonage``, ...; empty when nobody told.

    The first leg to end tells it, in whatever order the events came. What the others say proves nothing: each of them
    ended because that one did. A leg that nobody answered counts only where it is the call's own.
    """
    found = [end for end in ends if end.own or end.answered]
    last = next((end.at for end in found if end.own), max((end.at for end in found), default=None))
    if last is None:
        return ""
    first = min((end for end in found if end.at >= last - TOGETHER), key=_order)
    return _who(first)


def _order(end: End) -> tuple[datetime, bool, bool]:
    """Of those that ended in the same millisecond, somebody who hung up was first: the platform follows."""
    return end.at, end.by != "user", not end.own


def _who(end: End) -> str:
    if end.by == "platform":
        return "Vonage"
    if end.by != "user":
        return end.by
    if end.kind == "websocket":
        return "the server at its audio socket"
    return "the called party" if end.direction == "outbound" else "the caller"
