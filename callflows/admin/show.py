"""Knows how the admin shows what people read: numbers, times, durations, states and JSON."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from callflows.payloads.tokens import without_tokens

# How people group the digits of the countries that we know; others stay in one piece.
_GROUPS = (
    r"(1)(\d{3})(\d{3})(\d{4})",
    r"(44)(7\d{3})(\d{6})",
    r"(44)(2\d)(\d{4})(\d{4})",
    r"(44)(\d{4})(\d{5,6})",
    r"(\d{5,15})",
)
TONES = {
    "live": "good",
    "answered": "good",
    "open": "good",
    "ringing": "busy",
    "started": "busy",
    "waiting": "busy",
    "expected": "quiet",
    "failed": "bad",
    "not served": "bad",
    "rejected": "bad",
    "lost": "bad",
    "error": "bad",
    "warning": "warn",
    "timeout": "warn",
    "unanswered": "warn",
    "busy": "warn",
    "draft": "warn",
}


def readable(number: str) -> str:
    """Return a number as people read it: ``447700900123`` -> ``+44 7700 900123``; other texts as they are."""
    groups = _groups(number)
    return f"+{' '.join(groups)}" if groups else without_tokens(number)


def phone(number: str) -> SafeString:
    """Return a number as HTML that is read with spaces and copied as digits: the style sheet adds plus and gaps."""
    groups = _groups(number)
    if not groups:
        return format_html("{}", without_tokens(number))
    return format_html(
        '<span class="phone">{}</span>', format_html_join("", "<span>{}</span>", ((each,) for each in groups))
    )


def _groups(number: str) -> tuple[str, ...]:
    digits = number.removeprefix("+")
    found = (re.fullmatch(pattern, digits) for pattern in _GROUPS)
    return next((each.groups() for each in found if each), ())


def zone_of(name: str) -> ZoneInfo:
    """Return a zone by its name; a name that this machine does not know is UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(at: datetime | None, zone: str = "UTC") -> SafeString | str:
    """Return a time in ``zone``, which is named; the exact time stands in the hover text."""
    if at is None:
        return "–"
    local = at.astimezone(zone_of(zone))
    year = "" if local.year == timezone.now().year else f" {local.year}"
    shown = format_html(
        '{} <span class="zone">{}</span>', f"{local.day} {local:%b}{year}, {local:%H:%M}", local.tzname()
    )
    return _time(local, shown)


def clock(at: datetime, zone: str) -> SafeString:
    """Return the time of day to the second, in a zone that the page names; the exact time stands in the hover text."""
    local = at.astimezone(zone_of(zone))
    return _time(local, f"{local:%H:%M:%S}")


def _time(local: datetime, shown: str) -> SafeString:
    exact = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local.tzinfo}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, shown)


def duration(seconds: float | None) -> str:
    """Return ``1:07`` or ``1:02:03``; a dash for None."""
    if seconds is None:
        return "–"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}:{left:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def badge(word: str, tone: str = "") -> SafeString:
    """Return a dot and a word; ``tone`` is good, busy, quiet, warn or bad, by default the word's own."""
    return format_html('<span class="badge {}">{}</span>', tone or TONES.get(word, "quiet"), word)


def pretty(value: Any) -> str:
    """Return JSON as people read it, without what lets somebody in."""
    return without_tokens(json.dumps(without_tokens(value), indent=2, ensure_ascii=False, default=str))
