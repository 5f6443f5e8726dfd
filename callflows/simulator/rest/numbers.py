"""Knows the Numbers API: numbers that the account has or could rent, and what each is linked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callflows.simulator.account import Account, Number, plain_id
from callflows.simulator.knobs import Knobs
from callflows.simulator.rates import Window
from callflows.simulator.rest.credentials import is_the_account
from callflows.simulator.rest.messages import Refused, Reply, Request, as_json
from callflows.simulator.rest.refusals import NUMBERS_JSON, missing, of_numbers

TYPES = ("landline", "mobile-lvn", "landline-toll-free")
# The order is Vonage's: it takes no other. One of its SDKs sends the last but one of its own.
FEATURES = ("SMS", "VOICE", "MMS", "SMS,VOICE", "SMS,MMS", "VOICE,MMS", "SMS,MMS,VOICE", "SMS,VOICE,MMS")
# EUR a month and for the set-up: invented.
_COST, _SET_UP = "1.00", "0.00"
# Members of an update that mean nothing to calls.
_KEPT = ("moHttpUrl", "moSmppSysType", "messagesCallbackType", "messagesCallbackValue", "voiceStatusCallback")
_FAILED = "method failed"


@dataclass(eq=False, slots=True)
class Numbers:
    """The Numbers API of one account."""

    account: Account
    knobs: Knobs
    _requests: Window = field(init=False)

    def __post_init__(self) -> None:
        self._requests = Window(self.knobs.numbers_rps)

    def answer(self, request: Request, now: float) -> Reply:
        """Answer a request to /account/numbers or /number/..."""
        if not is_the_account(request, self.account, in_query=True):
            return of_numbers(401, "authentication failed")
        if not self._requests.take(now):
            return of_numbers(429, "too many requests")
        try:
            return self._route(request)
        except Refused as refused:
            return refused.reply

    def _route(self, request: Request) -> Reply:
        match request.method, request.path:
            case "GET", ("account", "numbers"):
                return self._owned(request.query)
            case "GET", ("number", "search"):
                return self._search(request.query)
            case "POST", ("number", "buy"):
                return self._buy(*_named(request))
            case "POST", ("number", "cancel"):
                return self._cancel(*_named(request))
            case "POST", ("number", "update"):
                return self._update(*_named(request), request.members())
            case _, ("account", "numbers") | ("number", "search" | "buy" | "cancel" | "update"):
                return of_numbers(405, "method not allowed")
        return of_numbers(404, "not found")

    # Lists

    def _owned(self, query: Mapping[str, str]) -> Reply:
        found = [each for each in self.account.numbers.values() if _fits(each, query)]
        if wanted := query.get("application_id"):
            found = [each for each in found if plain_id(each.application) == plain_id(wanted)]
        if (linked := query.get("has_application", "")) in ("true", "false"):
            found = [each for each in found if bool(each.application) == (linked == "true")]
        return self._page(found, query, owned=True)

    def _search(self, query: Mapping[str, str]) -> Reply:
        # A parameter without a value, as the old CLI sends, is none.
        query = {name: value for name, value in query.items() if value}
        if not query.get("country"):
            return missing("country")
        if query.get("features", "VOICE") not in FEATURES or query.get("type", TYPES[0]) not in TYPES:
            return of_numbers(420, _FAILED)
        wanted = set(query["features"].split(",")) if "features" in query else set()
        found = [each for each in self.account.for_sale.values() if _fits(each, query)]
        found = [each for each in found if query.get("type", each.type) == each.type and wanted <= {*each.features}]
        return self._page(found, query, owned=False)

    def _page(self, found: list[Number], query: Mapping[str, str], *, owned: bool) -> Reply:
        size, index = (_whole(query.get(name, default)) for name, default in (("size", "10"), ("index", "1")))
        if not 1 <= size <= 100 or index < 1:
            return of_numbers(420, _FAILED)
        listed = [_shown(each, owned) for each in found[(index - 1) * size : index * size]]
        if not found and self.knobs.numbers_empty == "{}":
            return as_json(200, {}, NUMBERS_JSON)
        return as_json(200, {"count": len(found), "numbers": listed}, NUMBERS_JSON)

    # Changes

    def _buy(self, country: str, msisdn: str) -> Reply:
        number = self.account.for_sale.get(msisdn)
        if number is None or number.country != country:
            return of_numbers(420, _FAILED)
        self.account.numbers[msisdn] = self.account.for_sale.pop(msisdn)
        return _SUCCESS

    def _cancel(self, country: str, msisdn: str) -> Reply:
        number = self._own(country, msisdn)
        del self.account.numbers[msisdn]
        self.account.for_sale[msisdn] = Number(msisdn, country, number.type, number.features)
        return _SUCCESS

    def _update(self, country: str, msisdn: str, form: Mapping[str, str]) -> Reply:
        number = self._own(country, msisdn)
        kind, goal = form.get("voiceCallbackType", ""), form.get("voiceCallbackValue", "")
        application = form.get("app_id", "")
        if any(not value for name, value in form.items() if name in _UPDATES and name != "moHttpUrl"):
            return of_numbers(420, _FAILED)
        if bool(kind) != bool(goal) or kind not in ("", "app", "sip", "tel", "vxml"):
            return of_numbers(420, _FAILED)
        # The deprecated pair links as app_id does, and says the same again beside it.
        if kind == "app" and not application:
            if self.knobs.number_app_pair == "error":
                return of_numbers(500, "internal error")
            application = goal
        if application and self.account.find(application) is None:
            return of_numbers(420, _FAILED)
        forward = None if kind in ("", "app") else (kind, goal)
        other = {name: form[name] for name in _KEPT if form.get(name)}
        merge = self.knobs.number_update == "merge"
        number.application = application or (number.application if merge else "")
        number.forward = forward or (number.forward if merge and not kind else None)
        number.other = {**(number.other if merge else {}), **other}
        return _SUCCESS

    def _own(self, country: str, msisdn: str) -> Number:
        number = self.account.numbers.get(msisdn)
        if number is None or number.country != country:
            raise Refused(of_numbers(420, _FAILED))
        return number


_UPDATES = ("app_id", "voiceCallbackType", "voiceCallbackValue", *_KEPT)
_SUCCESS = as_json(200, {"error-code": "200", "error-code-label": "success"}, NUMBERS_JSON)


def _named(request: Request) -> tuple[str, str]:
    """Return country and number of a query or a form. What is no form, such as JSON, has no members."""
    form = request.members()
    for name in ("country", "msisdn"):
        if not form.get(name):
            raise Refused(missing(name))
    return form["country"].upper(), form["msisdn"].removeprefix("+")


def _fits(number: Number, query: Mapping[str, str]) -> bool:
    # The old CLI means its stars for people, but sends them along, and finds numbers.
    pattern, how = query.get("pattern", "").strip("*"), query.get("search_pattern", "0")
    fits = {"1": pattern in number.msisdn, "2": number.msisdn.endswith(pattern)}
    return fits.get(how, number.msisdn.startswith(pattern)) and query.get("country", number.country) == number.country


def _shown(number: Number, owned: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "country": number.country,
        "msisdn": number.msisdn,
        "type": number.type,
        "features": list(number.features),
    }
    if not owned:
        return {**found, "cost": _COST, "initialPrice": _SET_UP}
    if number.application:
        found |= {"app_id": number.application}
        found |= {"voiceCallbackType": "app", "voiceCallbackValue": number.application}
    if number.forward:
        found |= {"voiceCallbackType": number.forward[0], "voiceCallbackValue": number.forward[1]}
    return {**found, **number.other}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
