"""Knows what a call's page shows: facts, legs, lines, recordings, and one timeline in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from callflows.admin import control, parties, recordings
from callflows.admin.control import Tried
from callflows.admin.show import badge, clock, duration, moment, phone, pretty
from callflows.calls.ending import End, who_ended
from callflows.models import AudioPrompt, Call, Leg, Line, TimelineEntry
from callflows.payloads.tokens import without_tokens

# A page of more entries than this would take seconds to draw.
MOST = 2000
# What the timeline folds, in this order; other data stands under "Details".
_TITLES = {"ncco": "NCCO", "raw": "Raw event"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the timeline. ``offset`` is the time since the call's start, ``folded`` titles and texts."""

    offset: str
    at: Any
    kind: str
    word: str
    text: str
    leg: str
    folded: list[tuple[str, str]]


def about(
    call: Call, tried: Tried, *, may_listen: bool, may_command: bool, may_control: bool, may_place: bool
) -> dict[str, Any]:
    """Return everything that the page shows; ``tried`` is what one of its forms could not do."""
    lines = list(call.lines.all())
    entries = list(call.timeline.select_related("leg")[: MOST + 1])
    live = [line for line in lines if line.state == Line.State.OPEN]
    controlled = may_control and call.live
    return {
        "title": parties.title(call),
        "facts": facts(call, entries),
        "legs": [_leg(call, each) for each in call.legs.all()],
        "lines": [_line(call, each) for each in lines],
        "zone": call.time_zone,
        "entries": [entry(call, each) for each in entries[:MOST]],
        "cut": len(entries) > MOST,
        "most": MOST,
        "recordings": recordings.shown(call),
        "may_listen": may_listen,
        "live_lines": [_line(call, each) for each in live] if may_command else [],
        "prompts": prompts() if may_command and live else [],
        "control": control.about(call, prompts(), tried, may_join=may_place) if controlled else None,
        # What a call that ended meanwhile cannot do has no form any more to be told at.
        "problem": "" if controlled else tried.problem,
    }


def facts(call: Call, entries: list[TimelineEntry]) -> list[tuple[str, Any]]:
    """Return the names and values at the head of the page; ``entries`` is the timeline as far as it is shown."""
    leg = call.first_leg
    return [
        ("Caller", parties.caller(call)),
        ("Called", parties.called(call)),
        ("Flow", call.flow_name or "none"),
        ("Status", badge(call.get_status_display())),
        ("Outcome", badge(call.outcome) if call.outcome else "–"),
        ("Started", moment(start(call), call.time_zone)),
        ("Duration", "still open" if call.live and call.answered else duration(call.seconds)),
        ("Ended by", "–" if call.live else who_ended(ends(call, entries)) or "–"),
        ("Time zone", call.time_zone),
        ("Call", _uuid(call.uuid)),
        ("Conversation", _uuid(leg.room if leg else "")),
    ]


def ends(call: Call, entries: list[TimelineEntry]) -> list[End]:
    """Return the ends of a call's legs, as their events tell them."""
    if len(entries) > MOST:
        # They stand behind what is shown.
        entries = list(call.timeline.filter(name__iexact="completed").select_related("leg"))
    told = [each for each in entries if each.kind == TimelineEntry.Kind.EVENT and each.name.lower() == "completed"]
    return [_end(call, each.leg, each) for each in told if each.leg]


def _end(call: Call, leg: Leg, told: TimelineEntry) -> End:
    raw = told.data.get("raw") or {}
    by = raw.get("disconnected_by")
    return End(
        at=told.at,
        by=by[:40] if isinstance(by, str) else "",
        kind=leg.kind,
        direction=leg.direction,
        # The event of its answer may have been lost.
        answered=leg.answered is not None or bool(raw.get("start_time")),
        own=leg.uuid == call.uuid,
    )


def _uuid(text: str) -> SafeString | str:
    return format_html('<span class="uuid">{}</span>', without_tokens(text)) if text else "–"


def start(call: Call) -> datetime:
    """Return when a call began: what Vonage says, else when we heard of it."""
    return min(call.started or call.created, call.created)


def entry(call: Call, each: TimelineEntry) -> Entry:
    seconds = (each.at - start(call)).total_seconds()
    named = [(title, pretty(each.data[name])) for name, title in _TITLES.items() if name in each.data]
    rest = {name: value for name, value in each.data.items() if name not in _TITLES and value not in (None, {}, [], "")}
    return Entry(
        offset=offset(seconds),
        at=clock(each.at, call.time_zone),
        leg=each.leg.kind if each.leg else "",
        kind=each.kind,
        word=each.get_kind_display(),
        text=without_tokens(each.text),
        folded=([("Details", pretty(rest))] if rest else []) + named,
    )


def offset(seconds: float) -> str:
    """Return a time since the start as the rail shows it: ``0.0``, ``12.3``, ``1:07.5``, ``-0.2``."""
    sign, tenths = "-" if round(seconds, 1) < 0 else "", round(abs(seconds) * 10)
    minutes, left = divmod(tenths, 600)
    return f"{sign}{minutes}:{left / 10:04.1f}" if minutes else f"{sign}{left / 10:.1f}"


def _leg(call: Call, leg: Any) -> dict[str, Any]:
    return {
        "kind": leg.kind or "–",
        "who": phone(leg.called if leg.direction == "outbound" else leg.caller) or "–",
        "direction": leg.direction or "–",
        "status": badge(leg.get_status_display()),
        "outcome": badge(leg.outcome) if leg.outcome else "–",
        "answered": moment(leg.answered, call.time_zone),
        "duration": duration(leg.seconds),
        "uuid": leg.uuid or "–",
    }


def _line(call: Call, line: Line) -> dict[str, Any]:
    seconds = (line.closed - line.opened).total_seconds() if line.closed and line.opened else None
    return {
        "pk": line.pk,
        "step": line.step or "–",
        "where": recordings.place(line),
        "app": line.app,
        "state": badge("live" if line.state == Line.State.OPEN else line.get_state_display()),
        "outcome": line.outcome or "–",
        "opened": moment(line.opened, call.time_zone),
        "duration": duration(seconds),
        "figures": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in line.figures.items()),
    }


def prompts() -> list[tuple[int, str]]:
    """Return the prompts that can be played into a call: newest version and name."""
    found = AudioPrompt.objects.prefetch_related("versions")
    newest = [(next(iter(prompt.versions.all()), None), prompt.name) for prompt in found]
    return [(version.pk, name) for version, name in newest if version]
