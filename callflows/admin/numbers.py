"""Knows how operators see and edit applications and the numbers that callers dial."""

from __future__ import annotations

import zoneinfo
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from callflows.admin.fields import Json, Suggesting
from callflows.admin.ours import OurAdmin
from callflows.admin.show import phone, readable
from callflows.control.accounts import account_of
from callflows.models import Application, PhoneNumber
from callflows.vonage.account import VonageError


@admin.register(Application)
class ApplicationAdmin(OurAdmin[Application]):
    list_display = ("name", "application_id", "flow", "api_host")
    list_select_related = ("flow",)
    search_fields = ("name", "application_id")
    # A host that is named without a scheme is meant to be https.
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    empty_text = "Vonage applications will stand here: each owns numbers, and lets us control their calls."

    def save_model(self, request: HttpRequest, obj: Application, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        try:
            account = account_of(obj)
            account.base()
            account.token()
        except VonageError as error:
            messages.warning(request, f"Calls of {obj} are answered, but cannot be controlled or placed: {error}.")


class Digits(forms.CharField):
    """A phone number as people write it, kept as digits."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return "".join(letter for letter in text if letter not in "+ -()./\u00a0") if text else text


class PhoneNumberForm(forms.ModelForm[PhoneNumber]):
    digits = Digits(label="Number", max_length=15, help_text="With the country code: 447700900001 or +44 7700 900001.")
    safe_ncco = Json(label="Safe NCCO", required=False, help_text=PhoneNumber._meta.get_field("safe_ncco").help_text)
    time_zone = forms.CharField(
        max_length=64,
        initial="UTC",
        widget=Suggesting("time-zones", sorted(zoneinfo.available_timezones())),
        help_text="Its calls are shown in this zone, such as Europe/London.",
    )

    class Meta:
        model = PhoneNumber
        fields = ("digits", "name", "application", "flow", "time_zone", "safe_ncco")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if digits := self.fields.get("digits"):
            # Room for a number as people write it; 15 digits is what it may have.
            digits.widget.attrs["maxlength"] = "30"
        for name in {"flow", "application"} & self.fields.keys():
            # One click here would take it from other numbers too: it is deleted on its own page.
            cast(Any, self.fields[name].widget).can_delete_related = False


@admin.register(PhoneNumber)
class PhoneNumberAdmin(OurAdmin[PhoneNumber]):
    form = PhoneNumberForm
    list_display = ("shown_number", "name", "flow", "application", "time_zone")
    list_select_related = ("flow", "application")
    list_filter = ("application", "flow")
    search_fields = ("digits", "name")
    autocomplete_fields = ("flow",)
    empty_text = "Numbers that callers dial will stand here: each leads to a flow."

    def save_model(self, request: HttpRequest, obj: PhoneNumber, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.flow is None or obj.flow.live is None:
            why = f"publish the flow {obj.flow}" if obj.flow else "choose a flow"
            messages.warning(request, f"Callers of {readable(obj.digits)} get the safe NCCO: {why} to serve them.")

    @admin.display(description="number", ordering="digits")
    def shown_number(self, number: PhoneNumber) -> SafeString:
        return phone(number.digits)
