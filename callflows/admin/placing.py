"""Knows the page from which operators place a call out: whom, with which flow, and a question before it costs money."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from callflows.admin.asking import Answer, answer, question, sentence, why
from callflows.admin.fields import Whole
from callflows.admin.filters import spoken
from callflows.admin.show import readable
from callflows.control.accounts import public_url
from callflows.control.outgoing import FORMS, Order, called, endpoint_of, place, usual_sender
from callflows.control.tolls import check_destination
from callflows.models import CallFlow, PhoneNumber
from callflows.vonage.account import VonageError

PERMISSION = "callflows.place_call"
DOUBTFUL = "It may ring all the same: look at the newest calls before you place it again."


class Sender(forms.ModelChoiceField[PhoneNumber]):
    """One of our numbers, as people read it."""

    def label_from_instance(self, obj: PhoneNumber) -> str:
        return spoken(obj)


class PlaceForm(forms.Form):
    """Whom to call, and what they meet."""

    to = forms.CharField(label="Call", max_length=255, help_text=f"{FORMS[0].upper()}{FORMS[1:]}.")
    flow = forms.ModelChoiceField(
        CallFlow.objects.filter(live__isnull=False).select_related("live"),
        empty_label="Choose a flow",
        help_text="Who answers meets its published version.",
    )
    sender = Sender(
        PhoneNumber.objects.filter(application__isnull=False).select_related("application"),
        label="From",
        required=False,
        empty_label="A number that leads to the flow, else any of ours",
        help_text="What the other side sees.",
    )
    ring = Whole(
        label="Ring for", required=False, min_value=1, max_value=120, help_text="Seconds, 1 to 120.", initial=60
    )

    def clean_to(self) -> dict[str, Any]:
        try:
            return endpoint_of(self.cleaned_data["to"])
        except VonageError as error:
            raise ValidationError(sentence(error)) from None

    def order(self, by: str) -> Order:
        """Return what was asked for. The form is valid."""
        asked = self.cleaned_data
        return Order(asked["flow"], asked["to"], asked["sender"] or usual_sender(asked["flow"]), asked["ring"], by)


def view(request: HttpRequest, page: dict[str, Any]) -> HttpResponse:
    """Ask whom to call, then whether to, then place the call. ``page`` is what every page of the admin shows."""
    user: Any = request.user
    if not user.has_perm(PERMISSION):
        raise PermissionDenied(f"needs the permission {PERMISSION}")
    form = PlaceForm(request.POST or None, initial={"flow": request.GET.get("flow")})
    if request.method == "POST" and "back" not in request.POST and form.is_valid():
        order = form.order(user.get_username())
        if "once" in request.POST:
            return _answered(request, page, form, order)
        return _asked(request, page, form, order)
    return _form(request, page, form, _problem())


def _form(request: HttpRequest, page: dict[str, Any], form: PlaceForm, problem: str = "") -> HttpResponse:
    context = {**page, "title": "Place a call", "form": form, "problem": problem}
    return TemplateResponse(request, "admin/callflows/call/place.html", context)


def _asked(request: HttpRequest, page: dict[str, Any], form: PlaceForm, order: Order) -> HttpResponse:
    """Say what will happen to whom, and that it costs money; or at once why it will not."""
    try:
        check_destination(order.endpoint, order.application)
    except VonageError as error:
        return _form(request, page, form, why(error, "The call was not placed.", DOUBTFUL))
    context = {
        **page,
        "title": f"Call {readable(called(order.endpoint))}?",
        "form": form,
        "order": order,
        "whom": readable(called(order.endpoint)),
        "sender": readable(order.sender.digits) if order.sender else "any of our numbers",
        "once": question(),
    }
    return TemplateResponse(request, "admin/callflows/call/place_confirm.html", context)


def _answered(request: HttpRequest, page: dict[str, Any], form: PlaceForm, order: Order) -> HttpResponse:
    """Place the call, once for each page that asked: a second click costs nothing. What was typed is never lost."""
    given = answer(request.POST["once"])
    if given is Answer.LATE:
        return _form(request, page, form, "Nobody was called: the question stood open for too long. Ask again.")
    if given is Answer.AGAIN:
        messages.warning(request, "This call was placed already: it was not placed again.")
        return HttpResponseRedirect(reverse("admin:callflows_call_changelist"))
    try:
        call = place(order)
    except VonageError as error:
        return _form(request, page, form, why(error, "The call was not placed.", DOUBTFUL))
    messages.success(request, f"Vonage calls {readable(call.called)}. What happens stands on the timeline.")
    return HttpResponseRedirect(reverse("admin:callflows_call_change", args=(call.pk,)))


def _problem() -> str:
    """Return why no call can be placed at all; empty when nothing is known that keeps us from it."""
    try:
        public_url()
    except VonageError as error:
        return f"No call can be placed now. {sentence(error)}"
    return ""
