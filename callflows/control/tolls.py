"""Knows which calls out are placed: to what kinds of numbers, in which countries, and how many.

Whoever gets hold of an operator's account, or of a form, earns money by calling numbers of his own at our cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings

from callflows.models import Application, Call, PhoneNumber
from callflows.models.clock import read_db_now
from callflows.ncco.numbers import country_of, read_countries, why_barred
from callflows.refusing import TALLY
from callflows.vonage.account import VonageError

# How such refusals are counted: they stand on every page of the admin until somebody has looked.
COUNTED = "calls out"


class Barred(VonageError):
    """A call that we do not place, whatever Vonage would say."""


def check_destination(endpoint: dict[str, Any], application: Application) -> None:
    """Raise Barred when the endpoint is a number of a kind, or in a country, that is not called."""
    digits = endpoint.get("number", "") if endpoint.get("type") == "phone" else ""
    if digits and (why := why_not_called(digits, application)):
        _refuse(f"{digits} is not called: {why}")


def why_not_called(digits: str, application: Application) -> str:
    """Return why a number is not called; empty when it may be."""
    if why := why_barred(digits):
        return why
    country = country_of(digits)
    allowed = allowed_countries(application)
    if country in allowed:
        return ""
    ours = ", ".join(sorted(allowed)) or "none yet"
    return (
        f"it is in {country or 'no country'}; allowed are those of our own numbers and those that the application "
        f"{application} allows: {ours}"
    )


def allowed_countries(application: Application) -> frozenset[str]:
    own = {country_of(digits) for digits in PhoneNumber.objects.values_list("digits", flat=True)}
    return frozenset(own - {""}) | frozenset(read_countries(application.countries))


def check_number_of_calls(by: str) -> None:
    """Raise Barred when so many calls out were placed, or are going on, that no more are. Locks nothing by itself."""
    now = read_db_now()
    out = Call.objects.filter(direction="outbound")
    minute, day = out.filter(created__gt=now - timedelta(minutes=1)), out.filter(created__gt=now - timedelta(days=1))
    for count, most, what, name in _counted(minute, day, out, by):
        if count >= most:
            _refuse(f"{count} calls out {what}, and {name} allows {most}: wait, or have it raised")


def _counted(minute: Any, day: Any, out: Any, by: str) -> Iterator[tuple[int, int, str, str]]:
    yield minute.count(), settings.CALLS_OUT_PER_MINUTE, "were placed in the last minute", "CALLS_OUT_PER_MINUTE"
    yield day.count(), settings.CALLS_OUT_PER_DAY, "were placed in the last 24 hours", "CALLS_OUT_PER_DAY"
    if by:
        of_one = day.filter(placed_by=by).count()
        what = f"were placed by {by} in the last 24 hours"
        yield of_one, settings.CALLS_OUT_PER_USER, what, "CALLS_OUT_PER_USER"
    yield (
        out.exclude(status=Call.Status.COMPLETED).count(),
        settings.CALLS_OUT_AT_ONCE,
        "are going on",
        "CALLS_OUT_AT_ONCE",
    )


def _refuse(why: str) -> None:
    TALLY.count_in_background(COUNTED, why)
    raise Barred(why)
