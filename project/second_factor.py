"""Knows how operators sign in with a code of their phone besides the password, and how they set that up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django_otp import user_has_device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

# Codes on paper, for whoever loses the phone; each is good once.
RECOVERY_CODES = 8
CODE_DIGITS = 6
NAME = "second factor"
WRONG = (
    "The code was not accepted. Each code works once, and after a wrong one there is a pause: wait for the next one "
    "that your phone shows, or type an unused recovery code."
)


class SignIn(AdminAuthenticationForm):
    """User, password, and the code of whoever has set up a second factor."""

    code = forms.CharField(
        label="Code, if you set up a second factor",
        required=False,
        max_length=20,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        user = self.get_user()
        if user is not None and user_has_device(user) and not accepts(user, cleaned.get("code", "")):
            # Counted like a wrong password: django-axes hears it.
            user_login_failed.send(__name__, credentials={"username": user.get_username()}, request=self.request)
            raise ValidationError(WRONG)
        return cleaned


def accepts(user: Any, code: str) -> bool:
    """Whether a code is right, and was not used before. Wrong ones make the next ones wait, longer and longer."""
    # A phone begins with a capital letter what it takes for a sentence.
    typed = code.replace(" ", "").lower()
    of_phone = len(typed) == CODE_DIGITS and typed.isdecimal()
    devices = (TOTPDevice if of_phone else StaticDevice).objects.filter(user=user, confirmed=True)
    with transaction.atomic():
        return any(device.verify_token(typed) for device in devices.select_for_update())


def view(request: HttpRequest) -> HttpResponse:
    """The page on which a user sets a second factor up, or takes it off."""
    if user_has_device(request.user):
        return _take_off(request)
    return _set_up(request)


def _set_up(request: HttpRequest) -> HttpResponse:
    device, _ = TOTPDevice.objects.get_or_create(user=request.user, confirmed=False, defaults={"name": NAME})
    problem = ""
    if request.method == "POST":
        with transaction.atomic():
            right = device.verify_token(request.POST.get("code", "").replace(" ", ""))
            codes = _confirmed(device) if right else []
        if right:
            return _page(request, codes=codes)
        problem = "The code was not accepted: type the next one that your phone shows."
    code = segno.make(device.config_url, error="m")
    key = device.config_url.partition("secret=")[2].partition("&")[0]
    grouped = " ".join(key[place : place + 4] for place in range(0, len(key), 4))
    picture = mark_safe(code.svg_inline(scale=4, border=4, light="#fff"))  # drawn by us
    return _page(request, picture=picture, key=grouped, problem=problem)


def _confirmed(device: TOTPDevice) -> list[str]:
    """Put a device into force; return new recovery codes."""
    device.confirmed = True
    device.save()
    paper = StaticDevice.objects.create(user=device.user, name=NAME)
    made = [StaticToken(device=paper, token=StaticToken.random_token()) for _ in range(RECOVERY_CODES)]
    return [each.token for each in StaticToken.objects.bulk_create(made)]


def _take_off(request: HttpRequest) -> HttpResponse:
    problem = ""
    if request.method == "POST":
        if accepts(request.user, request.POST.get("code", "")):
            forget(User.objects.filter(username=request.user.get_username()))
            messages.success(request, "The second factor was taken off: the password alone signs you in.")
            return redirect("admin:index")
        problem = WRONG
    return _page(request, is_on=True, problem=problem)


def _page(request: HttpRequest, **context: Any) -> HttpResponse:
    title = "Second factor"
    return render(request, "second_factor.html", {**admin.site.each_context(request), "title": title, **context})


def forget(users: QuerySet[User]) -> int:
    """Take the second factor of users off; return how many had one."""
    _, deleted = TOTPDevice.objects.filter(user__in=users, confirmed=True).delete()
    StaticDevice.objects.filter(user__in=users).delete()
    return int(deleted.get(TOTPDevice._meta.label, 0))


@admin.action(description="Take the second factor off", permissions=["change"])
def take_off_all(model_admin: Any, request: HttpRequest, users: QuerySet[User]) -> None:
    messages.success(request, f"Second factors taken off: {forget(users)}.")


def demand(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Lead whoever has no second factor to its page, where SECOND_FACTOR demands one."""

    def demanded(request: HttpRequest) -> HttpResponse:
        if not settings.SECOND_FACTOR or not request.user.is_authenticated or user_has_device(request.user):
            return get_response(request)
        page, leave = reverse("second-factor"), reverse("admin:logout")
        return get_response(request) if request.path in (page, leave) else redirect(page)

    return demanded


def register() -> None:
    """Put it into the admin: the form of its login, and an action for whoever lost phone and paper."""
    admin.site.login_form = SignIn
    for model in (TOTPDevice, StaticDevice):
        # One sees secrets of others there.
        admin.site.unregister(model)
    users = admin.site.get_model_admin(User)
    users.actions = [*(users.actions or ()), take_off_all]
