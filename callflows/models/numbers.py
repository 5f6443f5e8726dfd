"""Knows our Vonage applications, and the numbers that callers dial."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from callflows.ncco.document import errors

_IDS = "callflows.applications"


def check_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"expected a time zone such as Europe/London, got {name!r}")


def check_ncco(document: Any) -> None:
    """Refuse an NCCO that Vonage would refuse, with all its problems."""
    if found := errors(document):
        raise ValidationError([f"{each.path}: {each.message}" for each in found])


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

    def answering(self, application_id: str) -> Application | None:
        """Return whose callers come without a number, with the flow and version that answer: the named one, or the
        only one there is.
        """
        named = self.filter(application_id=application_id) if application_id else self
        found = list(named.select_related("flow", "flow__live")[:2])
        return found[0] if len(found) == 1 else None


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


class PhoneNumberQuerySet(models.QuerySet["PhoneNumber"]):
    def dialled(self, digits: str) -> PhoneNumber | None:
        """Return the number with the flow and version that answer it, in one query."""
        return self.select_related("application", "flow", "flow__live").filter(digits=digits).first()


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
