"""Knows how the account's numbers are listed, and brought into the admin."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from callflows.management.setup.desk import Answer, Desk, table
from callflows.models import Application, PhoneNumber
from callflows.vonage.applications import same_id
from callflows.vonage.numbers import application_of, digits_of, features, forwarded, takes_calls

Row = dict[str, Any]
# An application's id, and the admin's application of that id.
Owners = dict[str, Application | None]


def numbers(desk: Desk, *, sync: bool = False) -> Answer:
    """List the numbers of the account, or of one application; with ``sync``, bring them into the admin."""
    chosen = desk.chosen() if desk.application else None
    owned = [*(desk.numbers.linked(chosen.application_id) if chosen else desk.numbers.owned())]
    owners = _owners(owned)
    result = _sync(owned, owners) if sync else {}
    rows = _rows(owned, owners)
    gone = [] if chosen else _not_owned(desk, {digits_of(each) for each in owned})
    none = f"No number is linked to {chosen.name}." if chosen else "The account has no numbers."
    lines = _lines(rows) if rows else [none]
    lines += [f"In the admin, but not in the account, and kept: {', '.join(gone)}."] if gone else []
    lines += _told(result) if sync else []
    return Answer(lines, {"count": len(rows), "numbers": rows, "not_owned": gone, **({"sync": result} if sync else {})})


def _owners(owned: list[Row]) -> Owners:
    applications = list(Application.objects.all())
    ids = {application_of(each) for each in owned}
    return {one: next((each for each in applications if same_id(each.application_id, one)), None) for one in ids}


def _lines(rows: list[Row]) -> list[str]:
    head = ("number", "country", "type", "features", "calls go to", "flow in the admin")
    body = [(r["number"], r["country"], r["type"], " ".join(r["features"]), r["goes_to"], r["flow"]) for r in rows]
    return table([head, *body])


def _rows(owned: list[Row], owners: Owners) -> list[Row]:
    known = {each.digits: each for each in PhoneNumber.objects.select_related("flow")}
    return [_shown(each, owners, known.get(digits_of(each))) for each in owned]


def _shown(number: Row, owners: Owners, row: PhoneNumber | None) -> Row:
    linked = application_of(number)
    owner = owners[linked]
    return {
        "number": digits_of(number),
        "country": str(number.get("country") or ""),
        "type": str(number.get("type") or ""),
        "features": [*features(number)],
        "application_id": linked,
        "goes_to": forwarded(number) or (owner.name if owner else linked) or "-",
        "in_admin": row is not None,
        "flow": row.flow.name if row and row.flow else "-",
    }


def _not_owned(desk: Desk, owned: set[str]) -> list[str]:
    """Return numbers of the admin that the account does not have, those of other accounts' applications apart."""
    rows = PhoneNumber.objects.select_related("application").exclude(digits__in=owned)
    keys = ("", desk.credentials.api_key)
    return [each.digits for each in rows if each.application is None or each.application.api_key in keys]


# Bringing them into the admin


def _sync(owned: list[Row], owners: Owners) -> Row:
    """Bring the numbers into the admin. Flows, names and time zones that are there stay."""
    result: Row = {"added": [], "changed": [], "unchanged": [], "left_out": []}
    with transaction.atomic():
        for number in owned:
            kind, entry = _bring(number, owners[application_of(number)])
            result[kind].append(entry)
    return result


def _bring(number: Row, owner: Application | None) -> tuple[str, str]:
    digits, linked = digits_of(number), application_of(number)
    if not takes_calls(number):
        return "left_out", f"{digits}: it takes no calls"
    if linked and owner is None and not PhoneNumber.objects.filter(digits=digits).exists():
        return "left_out", f"{digits}: it is linked to the application {linked}, which the admin does not have"
    return remember(number, owner)


def remember(number: Row, owner: Application | None) -> tuple[str, str]:
    """Write country and application of a number into the admin; return what was done, and to which."""
    digits, country = digits_of(number), str(number.get("country") or "")
    row = PhoneNumber.objects.filter(digits=digits).first()
    if row and (row.country, row.application) == (country, owner):
        return "unchanged", digits
    found = row or PhoneNumber(digits=digits)
    found.country, found.application = country, owner
    try:
        found.clean_fields()
    except ValidationError as error:
        return "left_out", f"{digits}: {'; '.join(error.messages)}"
    found.save()
    return "changed" if row else "added", digits


def _told(result: Row) -> list[str]:
    added, changed, unchanged = (result[name] for name in ("added", "changed", "unchanged"))
    lines = [f"In the admin: {len(added)} added, {len(changed)} changed, {len(unchanged)} unchanged."]
    lines += [f"Left out: {each}." for each in result["left_out"]]
    if added:
        lines.append("Choose a flow for each new number in the admin: until then its callers get the safe NCCO.")
    return lines


def digits_in(text: str) -> str:
    """Return a number as Vonage wants it. Raises CommandError."""
    digits = "".join(letter for letter in text if letter not in "+ -().")
    if not (digits.isascii() and digits.isdecimal() and 5 <= len(digits) <= 15):
        raise CommandError(f"Expected a number with its country code, such as 447700900001, got {text!r}.")
    return digits
