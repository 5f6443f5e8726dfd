"""Knows how to look an account over: what Vonage has, what the admin has, and what the environment has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from callflows.control.accounts import private_key
from callflows.management.setup.desk import Answer, Desk
from callflows.models import Application, PhoneNumber
from callflows.vonage import checkup
from callflows.vonage.account import VonageError
from callflows.vonage.checkup import Finding, Known
from callflows.vonage.numbers import digits_of

# Each is a request, at one a second.
MOST_LOOKED_UP = 20
WORDS = {"ok": "OK     ", "warning": "WARNING", "wrong": "WRONG  "}


def check(desk: Desk) -> Answer:
    """Look at everything that keeps callers out; wrong when anything does."""
    row, application_id = desk.target()
    found = [checkup.public_url(desk.base), *_findings(desk, row, application_id)]
    wrong = sum(each.level == "wrong" for each in found)
    data = {"application": application_id, "findings": [each.as_json() for each in found]}
    summary = "is 1 thing" if wrong == 1 else f"are {wrong} things"
    return Answer([*_lines(found)], data, f"There {summary} to put right." if wrong else "")


def _lines(found: list[Finding]) -> Iterator[str]:
    for each in found:
        yield f"{WORDS[each.level]}  {each.topic}: {each.text}"
        if each.to_do:
            yield f"         To do: {each.to_do}"


def _findings(desk: Desk, row: Application | None, application_id: str) -> Iterator[Finding]:
    application = desk.applications.find(application_id)
    if application is None:
        text = f"the account of {desk.credentials.api_key} has none with the id {application_id}"
        to_do = "in the admin, put the id right, or make one: python manage.py vonage create-application NAME"
        yield Finding("application", "wrong", text, to_do)
        return
    yield Finding("application", "ok", f"{application.get('name')} ({application_id})")
    yield from checkup.addresses(application, desk.base, desk.run)
    yield from checkup.signing(application, desk.credentials.api_key, settings.SIGNATURE_SECRETS, desk.run)
    if row is None:
        text = "the admin does not have it, so its calls cannot be controlled"
        yield Finding("admin", "wrong", text, desk.run("update-urls"))
    else:
        yield from checkup.account(desk.credentials.api_key, row.api_key)
        yield _key(application, row.private_key_variable)
    yield from _numbers(desk, row, application_id)


def _key(application: dict[str, Any], variable: str) -> Finding:
    try:
        return checkup.private_key(application, variable, private_key(variable))
    except VonageError as error:
        return Finding("private key", "wrong", str(error), f"let {variable}_FILE name a file that can be read")


def _numbers(desk: Desk, row: Application | None, application_id: str) -> Iterator[Finding]:
    linked = {digits_of(each): each for each in desk.numbers.linked(application_id)}
    rows = PhoneNumber.objects.select_related("application", "flow")
    known = {each.digits: _known(each) for each in rows.filter(digits__in=linked)}
    yield from checkup.linked_numbers(application_id, linked.values(), known, desk.run)
    others = rows.filter(application=row).exclude(digits__in=linked) if row else rows.none()
    for each in others[:MOST_LOOKED_UP]:
        yield checkup.unlinked_number(each.digits, desk.numbers.own(each.digits), desk.run)
    if (more := others.count() - MOST_LOOKED_UP) > 0:
        text = f"{more} more stand in the admin under this application, and Vonage does not link them to it"
        yield Finding("numbers", "wrong", text, desk.run("numbers"))


def _known(number: PhoneNumber) -> Known:
    application, flow = number.application, number.flow
    return Known(
        number.digits,
        application.application_id if application else "",
        flow.name if flow else "",
        bool(flow and flow.live_id),
    )
