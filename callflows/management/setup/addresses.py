"""Knows how an application that is at Vonage already is made to call us."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from callflows.management.setup.application import address, api_host, keep_key, key_folder
from callflows.management.setup.desk import Answer, Desk, clause
from callflows.management.setup.keyfile import inside
from callflows.models import Application
from callflows.vonage.account import VonageError
from callflows.vonage.applications import sendable, with_ours
from callflows.vonage.difference import Difference, differences, lost


def update_urls(desk: Desk, *, fallback_url: str = "") -> Answer:
    """Give an application our addresses, signed; everything else of it stays."""
    row, application_id = desk.target()
    before = sendable(desk.applications.get(application_id))
    target = with_ours(before, desk.base, address(fallback_url))
    changes, missing = differences(before, target), list[Difference]()
    name = str(before.get("name") or application_id)
    lines = [f"The application {name} has our addresses already: nothing to change."]
    if changes:
        lines = [f"Changed the application {name} ({application_id}):", *(f"  {each}" for each in changes)]
        lines += _put(desk, application_id, target)
        missing = lost(target, _read_again(desk, application_id))
    lines += _adopted(desk, row, application_id, name)
    data = {"application": application_id, "changes": [each.as_json() for each in changes], "confirmed": not missing}
    wrong = f"Vonage did not keep this: {'; '.join(map(str, missing))}" if missing else ""
    return Answer(lines, data, wrong)


def _put(desk: Desk, application_id: str, target: dict[str, Any]) -> list[str]:
    """Write the application; a new private key, for which nobody asked, would come only this once."""
    try:
        reply = desk.applications.update(application_id, target)
    except VonageError as error:
        if error.maybe:
            text = f"{clause(error)}. It is not known whether the change was stored"
            raise CommandError(f"{text}: {desk.run('check')}") from None
        raise
    keys = reply.get("keys")
    if not (isinstance(keys, dict) and keys.get("private_key")):
        return []
    where, wrong = keep_key(desk, reply, inside(key_folder()))
    return [wrong or f"Vonage gave a new private key, which it shows only this once: {where}"]


def _read_again(desk: Desk, application_id: str) -> dict[str, Any]:
    try:
        return sendable(desk.applications.get(application_id))
    except VonageError as error:
        raise CommandError(f"Vonage took the change, but it could not be read again: {error}") from None


def _adopted(desk: Desk, row: Application | None, application_id: str, name: str) -> list[str]:
    """Write into the admin what it did not know of the application; return what was written."""
    key = desk.credentials.api_key
    if row is None:
        taken = Application.objects.filter(name=name[:100]).exists()
        free = f"{name[:60]} {application_id}" if taken else name[:100]
        Application.objects.create(name=free, application_id=application_id, api_key=key, api_host=api_host())
        return [f"The admin has it now as {free}: name the variable of its private key there."]
    if not row.api_key:
        row.api_key = key
        row.save(update_fields=["api_key"])
        return [f"The admin has its API key now: {key}."]
    return []
