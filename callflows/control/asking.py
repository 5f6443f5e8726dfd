"""Knows how Vonage is asked after calls that nothing was heard of: what it says is taken over like an event's.

An application without a private key cannot ask; its calls end by events or by their time limit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import Q

from callflows.calls.progress import advance
from callflows.control.accounts import account_of, client_of
from callflows.models import Application, Call, Leg, TimelineEntry
from callflows.models.book import StoredBook
from callflows.payloads.events import CallEvent
from callflows.vonage.account import VonageError

log = logging.getLogger(__name__)

# A call without news for so long is asked for, and asked for again.
QUIET = timedelta(minutes=10)
# Two workers that start together, or one that starts again and again, do not all ask for all calls.
START = timedelta(minutes=1)
# Of a round, every 30 s: Vonage takes 15 requests a second of an application, and operators need some of them.
MOST_CALLS = 100
MOST_SECONDS = 20.0
UNKNOWN = "unknown"
# Answers that concern all calls of an application: no token, or no Vonage.
_FOR_ALL = (0, 401, 403, 429)

Status = Call.Status
Kind = TimelineEntry.Kind


@dataclass
class Asking:
    """Rounds of asking, by a worker that ``started`` then: what was missed before is asked for at once.

    Without it, that is the first round. All times of asking are the database's: two workers' clocks differ.
    """

    started: datetime | None = None

    def __call__(self, now: datetime) -> int:
        """Ask after the calls whose turn it is; return after how many."""
        asked, silent, last = 0, set[int | None](), time.monotonic() + MOST_SECONDS
        self.started = self.started or now
        for call in self._due(now, self.started):
            if time.monotonic() > last:
                break
            if call.application_id in silent or not _claim(call, now):
                continue
            asked += 1
            try:
                ask(call, now)
            except VonageError as error:
                log.warning("call %s could not be asked for: %s", call.pk, error)
                if error.status in _FOR_ALL or error.status >= 500:
                    silent.add(call.application_id)
        return asked

    def _due(self, now: datetime, started: datetime) -> list[Call]:
        quiet = Q(news__lt=now - QUIET) & (Q(asked=None) | Q(asked__lt=now - QUIET))
        missed = Q(created__lt=started) & (Q(asked=None) | Q(asked__lt=started - START))
        calls = Call.objects.exclude(status=Status.COMPLETED).filter(application__in=_with_key())
        return list(calls.filter(quiet | missed).select_related("application").order_by("news", "pk")[:MOST_CALLS])


def _with_key() -> list[int]:
    return [each.pk for each in Application.objects.all() if _has_key(each)]


def _has_key(application: Application) -> bool:
    try:
        return bool(account_of(application).private_key)
    except VonageError:
        return False


def _claim(call: Call, now: datetime) -> bool:
    """Whether it is ours to ask: of two workers that found the same call, one is."""
    return bool(Call.objects.filter(pk=call.pk, asked=call.asked).update(asked=now))


def ask(call: Call, now: datetime) -> None:
    """Ask Vonage after one call and take over what it says. Raises VonageError."""
    found = _look(call)
    if found is not None:
        _take_over(call.pk, found, now)
    elif call.news < now - QUIET:
        # Not sooner: a call that began a moment ago may not be known everywhere yet.
        why = "Vonage does not know this call any more" if call.uuid else "No event ever named a leg of this call"
        _end_as_unknown(call.pk, f"{why}: it ended, nobody knows when", now)


def _look(call: Call) -> Mapping[str, Any] | None:
    """Return what Vonage knows of the call's first leg; None for nothing."""
    leg = call.first_leg
    client = replace(client_of(call), pauses=())
    try:
        if call.uuid:
            return _object(client.request("GET", f"/v1/calls/{quote(call.uuid, safe='')}"))
        if leg and leg.room:
            # Known by its conversation only: of that, Vonage lists all legs, the oldest first.
            found = _object(client.request("GET", "/v1/calls", params={"conversation_uuid": leg.room}))
            listed = found.get("_embedded", {}).get("calls", [])
            return listed[0] if listed else None
    except VonageError as error:
        if error.status != 404:
            raise
    return None


def _object(response: Any) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise VonageError("expected a JSON object from Vonage, got something else", response.status_code)
    return found


def _take_over(pk: int, found: Mapping[str, Any], now: datetime) -> None:
    with transaction.atomic():
        call, leg = _held(pk, now)
        if call is None:
            return
        before = (call.status, call.outcome)
        for event in events(found):
            for each in filter(None, (call, leg)):
                advance(each, event, now)
        call.news = now
        _save(call, leg)
        if (call.status, call.outcome) != before:
            told = {name: found[name] for name in _TOLD if found.get(name) is not None}
            call.note(Kind.EVENT, sentence(found), leg=leg, name=str(found.get("status"))[:50], data={"asked": told})


def _end_as_unknown(pk: int, text: str, now: datetime) -> None:
    with transaction.atomic():
        call, leg = _held(pk, now)
        if call is None or not call.live:
            return
        for each in filter(None, (call, leg)):
            each.status, each.ended = Status.COMPLETED, each.ended or now
        call.outcome = call.outcome or UNKNOWN
        _save(call, leg)
        call.note(Kind.PROBLEM, text, leg=leg)


def _held(pk: int, now: datetime) -> tuple[Call | None, Leg | None]:
    """Return a call and its first leg, held against webhooks as these hold them against each other."""
    uuid = Call.objects.filter(pk=pk).values_list("uuid", flat=True).first()
    StoredBook(now, set()).hold(filter(None, (f"call {pk}", uuid)))
    call = Call.objects.select_for_update().filter(pk=pk).first()
    return call, call.legs.filter(uuid=call.uuid).first() if call and call.uuid else None


def _save(call: Call, leg: Leg | None) -> None:
    call.save(update_fields=[*_PROGRESS, "news"])
    if leg is not None:
        leg.save(update_fields=_PROGRESS)


_PROGRESS = ("status", "outcome", "started", "answered", "ended")
# What of an answer stands on the timeline; a socket's address is not for everyone.
_TOLD = ("status", "direction", "duration", "start_time", "end_time", "rate", "price", "network")


def events(found: Mapping[str, Any]) -> tuple[CallEvent, ...]:
    """Return the events that would have told what an answer of ``GET /v1/calls/{uuid}`` tells.

    Vonage gives times as events have them or as ``YYYY-MM-DD HH:MM:SS``, and the start once the call has ended.
    """
    status, begun = str(found.get("status")), found.get("start_time")
    answered = status in ("human", "machine") or (begun and _seconds(found) > 0)
    told = [{"status": "answered", "timestamp": begun}] if answered else []
    told.append({"status": status, "timestamp": begun if status == "answered" else found.get("end_time")})
    return tuple(CallEvent.parse(each) for each in told)


def sentence(found: Mapping[str, Any]) -> str:
    minutes, seconds = divmod(round(_seconds(found)), 60)
    length = f", {minutes}:{seconds:02}" if "duration" in found else ""
    return f"Vonage says: {found.get('status')}{length}"


def _seconds(found: Mapping[str, Any]) -> float:
    """Return the duration, a text in seconds; 0.0 while the call lasts."""
    text = str(found.get("duration"))
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0
