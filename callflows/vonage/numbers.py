"""Knows Vonage's Numbers API: the account's numbers, those for sale, and how one is linked without loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from callflows.vonage.account import VonageError
from callflows.vonage.setup import Credentials, Sender, plain

PAGE_SIZE = 100
# One request a second is what others found the Numbers API to allow; its documentation says nothing.
GAP_SECONDS = 1.0
TYPES = ("landline", "mobile-lvn", "landline-toll-free")
# The order is Vonage's: it takes no other.
FEATURE_LISTS = ("SMS", "VOICE", "MMS", "SMS,VOICE", "SMS,MMS", "VOICE,MMS", "SMS,MMS,VOICE")
# An update replaces the number's settings: these are sent back so that they stay.
KEPT = ("moHttpUrl", "moSmppSysType", "messagesCallbackType", "messagesCallbackValue")
# Read under several names, written under the first only.
STATUS_CALLBACKS = ("voiceStatusCallback", "voiceStatusCallbackUrl", "voiceStatusCallbackValue")
FORWARDING = ("sip", "tel", "vxml")
STARTS, CONTAINS, ENDS = "0", "1", "2"


class Numbers:
    """The numbers of one account."""

    def __init__(self, credentials: Credentials, base: str) -> None:
        self._sender = Sender(credentials, base, GAP_SECONDS)

    def owned(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Yield the numbers that the account has rented; ``filters`` as Vonage names them."""
        return self._all("/account/numbers", filters)

    def linked(self, application_id: str) -> Iterator[dict[str, Any]]:
        return self.owned(application_id=application_id)

    def own(self, digits: str) -> dict[str, Any] | None:
        """Return the account's number of exactly these digits, or None."""
        return _exactly(digits, self.owned(pattern=digits, search_pattern=STARTS))

    def for_sale(self, country: str, digits: str) -> dict[str, Any] | None:
        """Return the number of exactly these digits if the country has it for sale."""
        filters = {"country": country, "pattern": digits, "search_pattern": STARTS}
        return _exactly(digits, self._all("/number/search", filters))

    def search(self, country: str, size: int, **filters: str) -> tuple[int, list[dict[str, Any]]]:
        """Return how many numbers fit, and the first of them."""
        page = self._get("/number/search", {"country": country, "size": str(size), "index": "1", **filters})
        return _count(page), _numbers(page)

    def buy(self, country: str, digits: str) -> None:
        """Rent a number. When it stays unclear whether that worked, the number is read before it is tried once more."""
        form = {"country": country, "msisdn": digits}
        try:
            return self._post("/number/buy", form)
        except VonageError as error:
            if not error.maybe:
                raise
            first = error
        if self._bought(digits, first):
            return None
        try:
            return self._post("/number/buy", form)
        except VonageError as error:
            # The first try may have got through after all: then this one is told that the number is taken.
            if self._bought(digits, error):
                return None
            raise

    def _bought(self, digits: str, failure: VonageError) -> bool:
        try:
            return self.own(digits) is not None
        except VonageError as error:
            raise VonageError(
                f"{failure}; it is not known whether the number was bought: {error}", maybe=True
            ) from None

    def update(self, form: dict[str, str]) -> None:
        """Replace the number's settings: what ``form`` does not hold is gone afterwards."""
        self._post("/number/update", form)

    def _all(self, path: str, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
        index = 1
        while True:
            page = self._get(path, {**filters, "size": str(PAGE_SIZE), "index": str(index)})
            found = _numbers(page)
            yield from found
            if not found or _count(page) <= PAGE_SIZE * index:
                return
            index += 1

    def _get(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        return _accepted(self._sender.json("GET", path, params=params))

    def _post(self, path: str, form: dict[str, str]) -> None:
        _accepted(self._sender.json("POST", path, data=form))


def _accepted(body: dict[str, Any]) -> dict[str, Any]:
    """Return ``body`` unless it holds an error: Vonage may say so with HTTP 200."""
    code = str(body.get("error-code", "200"))
    if code != "200":
        sentence = f"Vonage answered {code}: {plain(str(body.get('error-code-label', 'no reason given')))}"
        raise VonageError(sentence, int(code) if code.isdecimal() else 0, maybe=code.startswith("5"))
    return body


def _numbers(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of a page; for none, Vonage leaves the member out."""
    found = page.get("numbers")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _count(page: dict[str, Any]) -> int:
    count = page.get("count")
    return count if isinstance(count, int) else len(_numbers(page))


def _exactly(digits: str, found: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """Vonage finds what begins with the digits: 4477009001010 too for 447700900101."""
    return next((each for each in found if digits_of(each) == digits), None)


def digits_of(number: dict[str, Any]) -> str:
    return str(number.get("msisdn") or "").removeprefix("+")


def features(number: dict[str, Any]) -> tuple[str, ...]:
    found = number.get("features")
    return tuple(str(each) for each in found) if isinstance(found, list) else ()


def takes_calls(number: dict[str, Any]) -> bool:
    """Return whether the number is for calls; one without a list of features may be."""
    return not features(number) or "VOICE" in features(number)


def application_of(number: dict[str, Any]) -> str:
    """Return the id of the linked application, or nothing."""
    linked_by_pair = number.get("voiceCallbackValue") if number.get("voiceCallbackType") == "app" else ""
    return str(number.get("app_id") or linked_by_pair or "")


def forwarded(number: dict[str, Any]) -> str:
    """Return where calls go before they reach any application, such as ``tel 447700900199``; or nothing."""
    kind = str(number.get("voiceCallbackType") or "")
    return plain(f"{kind} {number.get('voiceCallbackValue') or ''}") if kind in FORWARDING else ""


def linking(number: dict[str, Any], application_id: str) -> dict[str, str]:
    """Return the form that links a number as read, with all that is to stay.

    Calls go to the application alone: an `app` pair beside app_id made the API fail, and sip or tel take precedence.
    """
    status_callback = next((number[name] for name in STATUS_CALLBACKS if number.get(name)), "")
    form = {
        "country": number.get("country"),
        "msisdn": digits_of(number),
        "app_id": application_id,
        **{name: number.get(name) for name in KEPT},
        STATUS_CALLBACKS[0]: status_callback,
    }
    # Blank values are refused.
    return {name: str(value) for name, value in form.items() if value}


def pattern(text: str) -> dict[str, str]:
    """Return the filter for a pattern with stars: 4420* starts, *42* contains, *007 ends; digits alone start."""
    digits = text.strip("*")
    how = (CONTAINS if text.endswith("*") else ENDS) if text.startswith("*") else STARTS
    return {"pattern": digits, "search_pattern": how}


def feature_list(text: str) -> str:
    """Return features as Vonage takes them: in its own order, with commas. Raises ValueError."""
    asked = {each.strip().upper() for each in text.split(",")}
    for known in FEATURE_LISTS:
        if asked == set(known.split(",")):
            return known
    raise ValueError(f"expected VOICE, SMS, MMS or several of them with commas, got {text!r}")
