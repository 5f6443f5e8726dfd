"""Knows how the requests that set an account up reach Vonage: Basic auth, time limits, pace, errors as sentences."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from callflows.vonage.account import VonageError
from callflows.vonage.reasons import details, not_reached
from callflows.vonage.tls import trusted

log = logging.getLogger(__name__)

TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
# Seconds before a refused request is sent again: what others found to be enough after 429.
PAUSES = (1.0, 3.0, 6.0)
LONGEST_PAUSE = 30.0
TOO_MANY = 429
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WORDS = {
    401: "Vonage refused the API key and secret: check VONAGE_API_KEY and VONAGE_API_SECRET",
    TOO_MANY: "Vonage refused for now: too many requests; try again in a minute",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's API key and API secret, as Vonage calls them. ``trusted``: origins that may see them unencrypted."""

    api_key: str
    api_secret: str = field(repr=False)
    trusted: tuple[str, ...] = ()


class Sender:
    """Sends requests to one of Vonage's two set-up hosts, no faster than one in ``gap`` seconds."""

    def __init__(self, credentials: Credentials, base: str, gap: float = 0.0) -> None:
        self.credentials, self.base, self.gap = credentials, base.rstrip("/"), gap
        self._free_at = 0.0
        parts = urlsplit(self.base)
        if not (parts.scheme == "https" or parts.hostname in LOOPBACK or self.base in credentials.trusted):
            raise VonageError(f"{self.base} would see the API secret unencrypted: expected https://host")

    def json(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Return the JSON object that Vonage answers with. Raises VonageError."""
        response = self.send(method, path, **content)
        found = _object(response)
        if found is None:
            got = f"{len(response.content)} bytes of {response.headers.get('content-type', 'an unnamed type')}"
            sentence = f"Vonage answered {response.status_code}: expected a JSON object, got {got}"
            raise VonageError(sentence, response.status_code, maybe=method != "GET")
        return found

    def send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        """Send; again after 429, which changed nothing, and after a failed read. Raises VonageError."""
        response = self._once(method, path, content)
        for pause in PAUSES:
            status = response.status_code
            if not (status == TOO_MANY or (method == "GET" and status >= 500)):
                break
            pause = max(pause, _asked_pause(response))
            log.warning("Vonage answered %s; trying again in %.0f s", status, pause)
            time.sleep(pause)
            response = self._once(method, path, content)
        if not response.is_success:
            raise VonageError(_sentence(response), response.status_code, maybe=response.status_code >= 500)
        return response

    def _once(self, method: str, path: str, content: Mapping[str, Any]) -> httpx2.Response:
        time.sleep(max(0.0, self._free_at - time.monotonic()))
        self._free_at = time.monotonic() + self.gap
        auth = (self.credentials.api_key, self.credentials.api_secret)
        headers = {"Accept": "application/json"}
        try:
            # A redirect would take the API secret elsewhere.
            with httpx2.Client(
                auth=auth, headers=headers, timeout=TIMEOUT, follow_redirects=False, verify=trusted()
            ) as client:
                return client.request(method, self.base + path, **content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.InvalidURL)
            raise VonageError(f"{self.base}: {not_reached(error)}", maybe=sent and method != "GET") from None


def _object(response: httpx2.Response) -> dict[str, Any] | None:
    """Return the body if it is a JSON object."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _asked_pause(response: httpx2.Response) -> float:
    """Return the seconds that Vonage asks us to wait, at most ``LONGEST_PAUSE``; 0 when it names none."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE) if text.isascii() and text.isdecimal() else 0.0


def _sentence(response: httpx2.Response) -> str:
    """Return what went wrong, in words that an operator understands."""
    status = response.status_code
    if words := _WORDS.get(status):
        return words
    if response.is_redirect:
        goal = plain(response.headers.get("location", "")) or "nowhere"
        return f"Vonage answered {status}, a redirect to {goal}, where the API secret is not taken"
    said = details(response.content) or _of_numbers(_object(response) or {})
    return f"Vonage answered {status}: {plain(said) or 'it gave no reason'}"


def _of_numbers(body: dict[str, Any]) -> str:
    """Return what the Numbers API says. A missing form member has a shape of its own: {"country": "Is required."}."""
    texts = {name: text for name, text in body.items() if isinstance(text, str) and name != "error-code"}
    return texts.pop("error-code-label", "") or "; ".join(f"{name}: {text}" for name, text in texts.items())


def plain(text: str, most: int = 400) -> str:
    """Return ``text`` for one line of a terminal, whatever it holds."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else f"{line[:most]}..."
