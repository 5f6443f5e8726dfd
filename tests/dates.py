"""Knows every date of the tests: that of Vonage's examples, dates to come, and the moments at which all must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import time_machine

# When the calls of tests/payloads began. It may be any time ago: nothing compares it with now.
EXAMPLE = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
# When the webhooks of tests/payloads/signed were signed.
SIGNED = datetime.fromtimestamp(1_772_442_910, UTC)
# For what shows a moment: nothing else is to be seen in it.
SUMMER = datetime(2024, 7, 1, 12, 0, 5, 123000, tzinfo=UTC)
LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")
# A moment that changes something begins so shortly before it that it falls into the middle of most tests.
BEFORE = timedelta(milliseconds=5)


def example(seconds: float = 0.0) -> datetime:
    """Return a moment of the examples' call."""
    return EXAMPLE + timedelta(seconds=seconds)


def stamp(seconds: float = 0.0) -> str:
    """Return a moment of the examples' call as Vonage writes it in an event."""
    return f"{example(seconds):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def days_to_come() -> Iterator[date]:
    """The days from tomorrow on."""
    day = datetime.now(UTC).date()
    while True:
        day += timedelta(days=1)
        yield day


def tomorrow(hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a moment of the next day: all that a test makes now is older."""
    return datetime.combine(next(days_to_come()), time(hour, minute, second), UTC)


def winter_saturday(hour: int, minute: int) -> datetime:
    """Return a moment of a Saturday to come on which no country of the north has daylight-saving time."""
    day = next(day for day in days_to_come() if day.isoweekday() == 6 and day.month in (12, 1, 2))
    return datetime.combine(day, time(hour, minute), UTC)


def change(zone: ZoneInfo, month: int) -> datetime:
    """Return when the clocks of a zone change in that month, the next time."""

    def offset(day: date) -> timedelta | None:
        return datetime.combine(day, time(), zone).utcoffset()

    night = next(day for day in days_to_come() if day.month == month and offset(day) != offset(day + timedelta(days=1)))
    begins = datetime.combine(night, time(), zone).astimezone(UTC)
    hours = (begins + timedelta(hours=hour) for hour in range(1, 24))
    changed = next(at for at in hours if at.astimezone(zone).utcoffset() != begins.astimezone(zone).utcoffset())
    return changed.astimezone(zone)


def year_ahead() -> datetime:
    return datetime.now(UTC) + timedelta(days=365)


def leap_day() -> datetime:
    return datetime.combine(next(day for day in days_to_come() if (day.month, day.day) == (2, 29)), time(12), UTC)


def end_of_year() -> datetime:
    return datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC) - BEFORE


def night(zone: ZoneInfo, month: int) -> Callable[[], datetime]:
    return lambda: (change(zone, month).astimezone(UTC) - BEFORE).astimezone(zone)


MOMENTS: dict[str, Callable[[], datetime]] = {
    "year-ahead": year_ahead,
    "leap-day": leap_day,
    "end-of-year": end_of_year,
    "london-spring": night(LONDON, 3),
    "london-autumn": night(LONDON, 10),
    "new-york-spring": night(NEW_YORK, 3),
    "new-york-autumn": night(NEW_YORK, 11),
}


def really() -> AbstractContextManager[object]:
    """Let a block see the machine's own time, for what goes by a clock that no test moves: OpenSSL's."""
    if not time_machine.escape_hatch.is_travelling():
        return nullcontext()
    return time_machine.travel(time_machine.escape_hatch.datetime.datetime.now(UTC))


def travel(moment: str) -> time_machine.travel:
    """Let a block begin at a moment, from which time goes on; the nights also move the machine to their zone."""
    return time_machine.travel(MOMENTS[moment](), tick=True)
