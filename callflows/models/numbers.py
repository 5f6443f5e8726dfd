"""Knows our Vonage applications, and the numbers that callers dial."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from callflows.models.prepared import Question
from callflows.ncco.document import errors
from callflows.ncco.numbers import read_countries

_IDS = "callflows.applications"


def check_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"expected a time zone such as Europe/London, got {name!r}")


def check_ncco(document: Any) -> None:
    """Refuse an NCCO that Vonage would refuse, with all its problems."""
    if found := errors(document):
        raise ValidationError([f"{each.path}: {each.message}" for each in found])


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a caller dialled, as far as an answer needs it: a number, or an application itself.

    ``live`` is the newest version of its flow, and ``published`` since when.
    """

    name: str
    number: int | None
    application: int | None
    flow: int | None = None
    flow_name: str | None = None
    live: int | None = None
    published: datetime | None = None
    safe_ncco: Any = None
    time_zone: str = "UTC"


_FLOW = ("flow_id", "flow__name", "flow__live_id", "flow__live__published")
_NUMBER = ("pk", "application_id", *_FLOW, "safe_ncco", "time_zone")
_APPLICATION = ("name", "pk", *_FLOW)


class ApplicationQuerySet(models.QuerySet["Application"]):
    def ids(self, expected: str = "") -> frozenset[str]:
        """Return the ids of our applications, at most a minute old when ``expected`` is among them.

        One that was added a moment ago is found, and a webhook costs no query for it.
        """
        found: frozenset[str] = cache.get(_IDS, frozenset())
        if expected not in found:
            found = frozenset(self.values_list("application_id", flat=True))
            cache.set(_IDS, found, 60)
        return found

    def answering(self, application_id: str) -> Entrance | None:
        """Return where callers without a number enter: at the named one, or at the only one."""
        named = self.filter(application_id=application_id) if application_id else self
        found = list(named.values_list(*_APPLICATION)[:2])
        if len(found) != 1:
            return None
        name, *facts = found[0]
        return Entrance(f"application {name}", None, *facts)


class Application(models.Model):
    """A Vonage application: owns numbers and calls. Its secrets stand in the environment, never here."""

    name = models.CharField(max_length=100, unique=True)
    application_id = models.CharField(
        "application id", max_length=64, unique=True, help_text="As Vonage's dashboard shows it."
    )
    api_host = models.URLField(
        "API host", default="https://api.nexmo.com", help_text="Where calls are controlled when they name no region."
    )
    api_key = models.CharField(
        "API key", max_length=100, blank=True, help_text="Of the account whose signature secret signs its webhooks."
    )
    private_key_variable = models.CharField(
        "variable of the private key",
        max_length=100,
        blank=True,
        help_text="Name of the environment variable that holds the application's private key (PEM).",
    )
    countries = models.CharField(
        "may also call",
        max_length=500,
        blank=True,
        help_text="Countries by two letters, such as FR, DE: calls out reach those of our own numbers, and these.",
    )
    flow = models.ForeignKey(
        "CallFlow",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="applications",
        help_text="Answers who calls the application itself: at its SIP domain, or from an app.",
    )

    objects = ApplicationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            read_countries(self.countries)
        except ValueError as error:
            raise ValidationError({"countries": str(error)}) from None


class PhoneNumberQuerySet(models.QuerySet["PhoneNumber"]):
    def dialled(self, digits: str) -> Entrance | None:
        """Return where callers of a number enter, as it is now, in one query of what is needed."""
        return _entrance(_DIALLED.ask(digits))

    def of_call(self, call: int) -> Entrance | None:
        """Return the number of a call that we know."""
        return _entrance(list(self.filter(calls=call).values_list(*_NUMBER)[:1]))


def _entrance(rows: list[Any]) -> Entrance | None:
    return Entrance("the number", *rows[0]) if rows else None


class PhoneNumber(models.Model):
    """A number that callers dial."""

    digits = models.CharField(
        "number",
        max_length=15,
        unique=True,
        validators=[
            RegexValidator(r"^[1-9]\d{4,14}$", "Expected 5 to 15 digits that begin with a country code: 447700900001.")
        ],
        help_text="With the country code, digits only: 447700900001.",
    )
    name = models.CharField(max_length=100, blank=True, help_text="What it is for.")
    country = models.CharField(max_length=2, blank=True, help_text="As Vonage lists it, such as GB.")
    application = models.ForeignKey(
        Application, on_delete=models.SET_NULL, null=True, blank=True, related_name="numbers"
    )
    flow = models.ForeignKey("CallFlow", on_delete=models.SET_NULL, null=True, blank=True, related_name="numbers")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    safe_ncco = models.JSONField(
        "safe NCCO",
        null=True,
        blank=True,
        validators=[check_ncco],
        help_text="What callers get when anything goes wrong; empty: the one of the settings.",
    )

    objects = PhoneNumberQuerySet.as_manager()

    class Meta:
        ordering = ("digits",)
        verbose_name = "phone number"

    def __str__(self) -> str:
        return f"{self.digits} {self.name}".strip()

    @property
    def entrance(self) -> Entrance:
        """Where its callers enter, but for the version that answers them."""
        flow = self.flow.name if self.flow else None
        facts: dict[str, Any] = {"safe_ncco": self.safe_ncco, "time_zone": self.time_zone}
        return Entrance("the number", self.pk, self.application_id, self.flow_id, flow, **facts)


def _dialled(digits: str) -> models.QuerySet[PhoneNumber, Any]:
    return PhoneNumber.objects.filter(digits=digits).order_by().values_list(*_NUMBER)[:1]


_DIALLED = Question(_dialled)
