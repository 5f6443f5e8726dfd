"""Knows Vonage's Applications API: what an application of ours looks like, and how one is changed without loss."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote, urlsplit

from callflows.vonage.account import VonageError
from callflows.vonage.setup import Sender

PAGE_SIZE = 100
REGIONS = {
    "na-east": "https://api-us-3.vonage.com",
    "na-west": "https://api-us-4.vonage.com",
    "eu-west": "https://api-eu-3.vonage.com",
    "eu-east": "https://api-eu-4.vonage.com",
    "apac-sng": "https://api-ap-3.vonage.com",
    "apac-australia": "https://api-ap-4.vonage.com",
}
ANSWER, FALLBACK, EVENT = WEBHOOKS = "answer_url", "fallback_answer_url", "event_url"
PATHS = {ANSWER: "/webhooks/answer", FALLBACK: "/webhooks/fallback", EVENT: "/webhooks/events"}
# Milliseconds that Vonage allows. It allows 1,000 for an answer too, but ours may take 1,500 when a database hangs.
CONNECT_RANGE = (300, 1000)
SOCKET_RANGES = {ANSWER: (2000, 5000), FALLBACK: (2000, 5000), EVENT: (2000, 10000)}
# Vonage gives these; it refuses members that it does not expect, and the key is nobody's business.
_NOT_SENT = ("id", "_links")


class Applications:
    """The applications of one account."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def all(self) -> Iterator[dict[str, Any]]:
        number = 1
        while True:
            params = {"page_size": PAGE_SIZE, "page": number}
            page = self._sender.json("GET", "/v2/applications", params=params)
            found = _object(page.get("_embedded")).get("applications") or []
            yield from (each for each in found if isinstance(each, dict))
            # The link's address is not followed: it could name another host.
            more = "next" in _object(page.get("_links")) or number < _whole(page.get("total_pages"))
            if not found or not more:
                return
            number += 1

    def get(self, application_id: str) -> dict[str, Any]:
        return self._sender.json("GET", _path(application_id))

    def find(self, application_id: str) -> dict[str, Any] | None:
        """Return the application, or None when the account has none of this id."""
        try:
            return self.get(application_id)
        except VonageError as error:
            if error.status == 404:
                return None
            raise

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._sender.json("POST", "/v2/applications", json=body)

    def update(self, application_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace the whole application: what ``body`` does not hold is gone afterwards."""
        return self._sender.json("PUT", _path(application_id), json=sendable(body))


def _path(application_id: str) -> str:
    return f"/v2/applications/{quote(application_id, safe='')}"


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _object(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is an object. An empty one may come as [], on which the API fails when it gets it."""
    return value if isinstance(value, dict) else {}


def same_id(one: Any, other: Any) -> bool:
    """Return whether two ids name the same application: old ones are shown without dashes."""
    first, second = (str(each or "").replace("-", "").lower() for each in (one, other))
    return bool(first) and first == second


def sendable(application: dict[str, Any]) -> dict[str, Any]:
    """Return an application as read, without what must not be sent back; all else stays as it is."""
    found = {name: deepcopy(value) for name, value in application.items() if name not in _NOT_SENT}
    if "keys" in found:
        found["keys"] = {name: value for name, value in _object(found["keys"]).items() if name != "private_key"}
    return found


def voice(application: dict[str, Any]) -> dict[str, Any]:
    return _object(_object(application.get("capabilities")).get("voice"))


def webhooks(application: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the application's three voice webhooks; one that is not set is an empty object."""
    found = _object(voice(application).get("webhooks"))
    return {name: _object(found.get(name)) for name in WEBHOOKS}


def public_key(application: dict[str, Any]) -> str:
    return str(_object(application.get("keys")).get("public_key") or "")


def host(address: Any) -> str:
    try:
        return urlsplit(str(address or "")).hostname or ""
    except ValueError:
        return ""


def fallback_elsewhere(application: dict[str, Any], base: str) -> str:
    """Return the fallback address if it is on a host of its own, where it still answers when ours is away."""
    found = webhooks(application)
    address = str(found[FALLBACK].get("address") or "")
    with_us = ("", host(base), host(found[ANSWER].get("address")))
    return "" if host(address) in with_us else address


def wanted(application: dict[str, Any], base: str, fallback: str = "") -> dict[str, dict[str, str]]:
    """Return address and method of each webhook, as an application at ``base`` needs them.

    POST: its body is covered by the signature for certain. A fallback elsewhere stays, and is read by GET when it is
    new: a static file may be there, and file servers refuse POST.
    """
    found = {name: {"address": base + PATHS[name], "http_method": "POST"} for name in WEBHOOKS}
    kept = fallback or fallback_elsewhere(application, base)
    if kept and kept != found[FALLBACK]["address"]:
        now = webhooks(application)[FALLBACK]
        method = now.get("http_method") if now.get("address") == kept else ""
        found[FALLBACK] = {"address": kept, "http_method": method or "GET"}
    return found


def bad_times(name: str, webhook: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the range of each time limit of a webhook that is set and not within it."""
    ranges = {"connect_timeout": CONNECT_RANGE, "socket_timeout": SOCKET_RANGES[name]}
    return {
        member: (low, high)
        for member, (low, high) in ranges.items()
        if webhook.get(member) is not None and not low <= _whole(webhook[member]) <= high
    }


def with_ours(application: dict[str, Any], base: str, fallback: str = "") -> dict[str, Any]:
    """Return what to send so that the application calls us, signed; everything else stays as it was read."""
    found = sendable(application)
    found["capabilities"] = _object(found.get("capabilities"))
    found["capabilities"]["voice"] = speaking = voice(found)
    speaking["webhooks"] = hooks = _object(speaking.get("webhooks"))
    for name, ours in wanted(application, base, fallback).items():
        hooks[name] = {**_object(hooks.get(name)), **ours}
        # An older spelling of connect_timeout; the API refuses it.
        hooks[name].pop("connection_timeout", None)
        hooks[name].update({member: high for member, (_, high) in bad_times(name, hooks[name]).items()})
    speaking["signed_callbacks"] = True
    # Sources disagree about the default, so it is always said.
    found["privacy"] = {"improve_ai": False, **_object(found.get("privacy"))}
    return found


def new(name: str, base: str, *, fallback: str = "", region: str = "", own_key: str = "") -> dict[str, Any]:
    """Return what to send for a new application. ``own_key``: a public key (PEM); else Vonage makes the pair."""
    found = {"name": name, **with_ours({}, base, fallback)}
    for member, hook in voice(found)["webhooks"].items():
        hook.update(connect_timeout=CONNECT_RANGE[1], socket_timeout=SOCKET_RANGES[member][1])
    if region:
        voice(found)["region"] = region
    if own_key:
        found["keys"] = {"public_key": own_key}
    return found
