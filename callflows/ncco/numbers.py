"""Knows which numbers cost more than a call, or the caller's share of it, and where a number is."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumberType

_BARRED = {
    PhoneNumberType.PREMIUM_RATE: "it is a premium-rate number",
    PhoneNumberType.SHARED_COST: "it is a shared-cost number",
    PhoneNumberType.PAGER: "it is a pager's number",
    PhoneNumberType.PERSONAL_NUMBER: "it is a personal number, which costs what its owner likes",
}
# Calling codes of no country, but of networks: satellites, ships, services at a price. 800 is free of charge.
_NETWORKS = "001"
_FREE = 800


def why_barred(digits: str) -> str:
    """Return why a number is not called: premium, shared cost, satellite; empty when it may be."""
    number = _parsed(digits)
    if number is None:
        return ""
    code = number.country_code or 0
    if code != _FREE and phonenumbers.region_code_for_country_code(code) == _NETWORKS:
        return f"+{code} is no country's code, but a satellite's or a service's"
    return _BARRED.get(phonenumbers.number_type(number), "")


def country_of(digits: str) -> str:
    """Return the country of a number as ISO 3166 has it (``GB``); of one that nobody has, its code's main country.

    Empty when no country has its code.
    """
    number = _parsed(digits)
    if number is None:
        return ""
    main = phonenumbers.region_code_for_country_code(number.country_code or 0)
    found = phonenumbers.region_code_for_number(number) or main
    return found if found in phonenumbers.SUPPORTED_REGIONS else ""


def read_countries(text: str) -> tuple[str, ...]:
    """Return the countries that a person wrote, with spaces or commas between. Raises ValueError."""
    found = tuple(dict.fromkeys(each.upper() for each in re.split(r"[\s,]+", text) if each))
    if unknown := [each for each in found if each not in phonenumbers.SUPPORTED_REGIONS]:
        raise ValueError(f"expected countries by two letters, such as GB, FR; got {unknown[0][:20]!r}")
    return found


def _parsed(digits: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
