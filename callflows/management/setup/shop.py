"""Knows how numbers are looked for and bought."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from callflows.management.setup.desk import Answer, Desk, clause, table
from callflows.management.setup.numbers import digits_in
from callflows.vonage import numbers as api
from callflows.vonage.account import VonageError
from callflows.vonage.countries import countries

Row = dict[str, Any]


def search(
    desk: Desk, *, country: str, pattern: str = "", type: str = "", features: str = "VOICE", limit: int = 10
) -> Answer:
    """Show numbers for sale in a country."""
    country = _country(country)
    filters = {**_pattern(pattern), "features": _features(features), **({"type": type} if type else {})}
    count, found = desk.numbers.search(country, limit, **filters)
    rows = [_offer(each) for each in found]
    data = {"country": country, "count": count, "numbers": rows}
    if not rows:
        return Answer([f"{country} has no such number for sale."], data)
    head = ("number", "type", "features", "EUR a month", "EUR once")
    body = [
        (r["number"], r["type"], " ".join(r["features"]), r["cost"] or "?", r["initial_price"] or "?") for r in rows
    ]
    more = [f"{count} fit; the first {len(rows)} are shown."] if count > len(rows) else []
    return Answer([*table([head, *body]), *more, f"Next: python manage.py vonage buy NUMBER --country {country}"], data)


def _country(text: str) -> str:
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise CommandError(f"Expected a country as two letters, such as GB, got {text!r}.")
    return text.upper()


def _pattern(text: str) -> dict[str, str]:
    digits = text.strip("*").removeprefix("+")
    if text and not (digits.isascii() and digits.isdecimal()):
        raise CommandError(f"--pattern: expected digits, such as 4420, *42* or *007, got {text!r}.")
    return api.pattern(text.replace("+", "")) if text else {}


def _features(text: str) -> str:
    try:
        return api.feature_list(text)
    except ValueError as error:
        raise CommandError(f"--features: {error}.") from None


def _offer(number: Row) -> Row:
    """Return what is told of a number for sale. Prices stay texts, as Vonage gives them: euros."""
    return {
        "number": api.digits_of(number),
        "country": str(number.get("country") or ""),
        "type": str(number.get("type") or ""),
        "features": [*api.features(number)],
        "cost": str(number.get("cost") or ""),
        "initial_price": str(number.get("initialPrice") or ""),
    }


def buy(desk: Desk, *, number: str, country: str = "") -> Answer:
    """Rent a number, after the person has agreed to its price."""
    digits = digits_in(number)
    offer = _for_sale(desk, digits, country)
    data = {**offer, "bought": False}
    if "VOICE" not in (offer["features"] or ["VOICE"]):
        raise CommandError(f"{digits} takes no calls: it has {' '.join(offer['features'])}. Nothing was bought.")
    if not desk.agrees(_question(offer)):
        return Answer(data=data, wrong="Nothing was bought.")
    try:
        desk.numbers.buy(offer["country"], digits)
    except VonageError as error:
        raise CommandError(_refusal(error, digits, offer["country"])) from None
    lines = [f"Bought {digits} ({offer['country']}).", f"Next: {desk.run(f'link {digits}')}"]
    return Answer(lines, {**data, "bought": True})


def _for_sale(desk: Desk, digits: str, country: str) -> Row:
    """Return the offer of exactly this number. Raises CommandError when there is none."""
    places = (_country(country),) if country else countries(digits)
    if not places:
        raise CommandError(f"{digits} begins with no calling code that is known here: name the country with --country.")
    for place in places:
        if found := desk.numbers.for_sale(place, digits):
            return {**_offer(found), "country": place}
    if desk.numbers.own(digits):
        raise CommandError(f"The account has {digits} already. Next: {desk.run(f'link {digits}')}")
    raise CommandError(
        f"{digits} is not for sale in {' or '.join(places)}. Look: python manage.py vonage search {places[0]}"
    )


def _question(offer: Row) -> str:
    cost = f"{offer['cost']} EUR a month" if offer["cost"] else "a monthly rent that Vonage does not name"
    once = f", {offer['initial_price']} EUR once" if offer["initial_price"] else ""
    kind = ", ".join(filter(None, [offer["country"], offer["type"], " ".join(offer["features"])]))
    return f"Buy {offer['number']} ({kind}) for {cost}{once}?"


def _refusal(error: VonageError, digits: str, country: str) -> str:
    said = clause(error)
    if error.maybe:
        return f"{said}. Look whether the account has {digits} before you try again: python manage.py vonage numbers"
    if error.status == 420:
        return (
            f"Vonage did not sell {digits}: {said}. That comes without credit (look at the account's balance), when "
            f"the number was taken meanwhile, or is none of {country}. Some numbers are sold in the dashboard only."
        )
    return f"{said}. Nothing was bought."
