"""Knows the two small requests by which the vendor's old CLI begins: the account's balance, and a number's country."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import phonenumbers

from callflows.ncco.numbers import country_of
from callflows.simulator.account import Account
from callflows.simulator.rest.credentials import is_the_account
from callflows.simulator.rest.messages import Reply, Request, as_json
from callflows.simulator.rest.refusals import NUMBERS_JSON, of_numbers

# EUR, invented: nothing is ever taken from it.
BALANCE = 10.0
# ISO 3166 of the countries in which the fake has numbers; of others these two members are left out.
_NAMES = {"GB": ("GBR", "United Kingdom"), "US": ("USA", "United States of America")}
# Number Insight tells what is wrong in `status`; only bad credentials change the status of HTTP, too (inferred).
_NO_NUMBER, _NOT_ALLOWED = 3, 4


def balance(request: Request, account: Account) -> Reply:
    """Answer a request to /account/get-balance."""
    if request.method != "GET":
        return of_numbers(405, "method not allowed")
    if not is_the_account(request, account, in_query=True):
        return of_numbers(401, "authentication failed")
    return as_json(200, {"value": BALANCE, "autoReload": False}, NUMBERS_JSON)


def insight(request: Request, account: Account, request_id: str) -> Reply:
    """Answer a request to /ni/basic/json: where a number is, by its digits alone. It is free, and takes POST too."""
    if request.method not in ("GET", "POST"):
        return of_numbers(405, "method not allowed")
    if not is_the_account(request, account, in_query=True):
        return as_json(401, {"status": _NOT_ALLOWED, "status_message": "Invalid credentials"})
    members = request.members()
    asked = members.get("number", "")
    found = _found(asked, members.get("country", ""))
    if found is None:
        text = f"Invalid request :: Not valid number format detected [ {asked} ]"
        return as_json(200, {"status": _NO_NUMBER, "status_message": text, "request_id": request_id})
    return as_json(200, {"status": 0, "status_message": "Success", "request_id": request_id, **found})


def _found(asked: str, country: str) -> Mapping[str, Any] | None:
    """Return what Number Insight Basic tells of a number; ``country`` is that of one in its national form."""
    try:
        number = phonenumbers.parse(asked if country else f"+{asked.lstrip('+')}", country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    digits = f"{number.country_code}{number.national_number}"
    code = country_of(digits)
    if not code or not phonenumbers.is_possible_number(number):
        return None
    iso3, name = _NAMES.get(code, (None, None))
    told = {
        "international_format_number": digits,
        "national_format_number": phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL),
        "country_code": code,
        "country_code_iso3": iso3,
        "country_name": name,
        "country_prefix": str(number.country_code),
    }
    return {member: value for member, value in told.items() if value is not None}
