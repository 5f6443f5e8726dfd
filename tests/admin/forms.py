"""Knows what a browser sends from the admin's pages, and what a page says back."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from callflows.models import CallFlow, Step

FLOWS = "/admin/callflows/callflow/"


def rows(prefix: str, *rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    """Return the fields of an inline's rows, in their order."""
    sent: dict[str, Any] = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    for place, row in enumerate(rows):
        sent |= {f"{prefix}-{place}-{name}": value for name, value in {"position": place, **row}.items()}
    return sent


def step(name: str, action: str = "talk", **options: Any) -> dict[str, Any]:
    """Return one step's row; the options are named as in the form: ``step("a", "talk", **{"talk.text": "Hello"})``."""
    return {"name": name, "action": action, "then": "next", **options}


def talk(name: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    return step(name, "talk", **{"talk.text": text, **more})


def branch(after: str, outcome: str, to_step: str = "", **more: Any) -> dict[str, Any]:
    return {"step": after, "outcome": outcome, "to_step": to_step, **more}


def flow_data(
    *steps: dict[str, Any], branches: tuple[dict[str, Any], ...] = (), initial: int = 0, **more: Any
) -> dict[str, Any]:
    sent = {"name": "Reception", "description": "", "edit": 0, "_continue": "Save draft"}
    return {**sent, **rows("steps", *steps, initial=initial), **rows("branches", *branches), **more}


def field_errors(response: Any) -> dict[str, list[str]]:
    """Return the errors of a page by field: ``steps-0-name``; those of a whole row by its place: ``steps-0``."""
    assert response.status_code == 200, f"it was saved, and redirected to {response.headers.get('Location')}"
    context = response.context
    found = {name: list(errors) for name, errors in context["adminform"].form.errors.items()}
    for inline in context["inline_admin_formsets"]:
        formset = inline.formset
        for form in formset.forms:
            for name, errors in form.errors.items():
                found[form.prefix if name == "__all__" else f"{form.prefix}-{name}"] = list(errors)
        if formset.non_form_errors():
            found[formset.prefix] = list(formset.non_form_errors())
    return found


def messages(response: Any) -> list[str]:
    return [unescape(re.sub(r"<[^>]+>", "", str(message))) for message in response.context["messages"]]


def someone(*permissions: str, name: str = "anna") -> Client:
    """Return the browser of a member of staff who has only these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def save_steps(client: Client, *steps: dict[str, Any], **more: Any) -> list[Step]:
    """Save a new flow with these steps; return them as stored."""
    response = client.post(f"{FLOWS}add/", flow_data(*steps, **more))
    assert response.status_code == 302, field_errors(response)
    return list(CallFlow.objects.get(name="Reception").steps.all())


def wrong(client: Client, *steps: dict[str, Any], **more: Any) -> dict[str, list[str]]:
    """Try to save a new flow; return the errors by field."""
    found = field_errors(client.post(f"{FLOWS}add/", flow_data(*steps, **more)))
    assert not CallFlow.objects.exists()
    return found


def saved_again(client: Client, flow: CallFlow, **changed: Any) -> dict[str, Any]:
    """Save a flow's first step again, as the page shows it, with fields changed; return its options."""
    page = client.get(f"{FLOWS}{flow.pk}/change/")
    form = page.context["inline_admin_formsets"][0].formset.forms[0]
    shown = {*form.state, "name", "action", "then", "id", "flow"}
    values = {name: form[name].value() for name in shown if name in form.fields}
    sent = {name: value for name, value in {**values, **changed}.items() if value not in (None, False)}
    data = flow_data(sent, initial=1, name=flow.name, edit=flow.edit)
    response = client.post(f"{FLOWS}{flow.pk}/change/", data)
    assert response.status_code == 302, field_errors(response)
    flow.refresh_from_db()
    return dict(flow.steps.get().options)
