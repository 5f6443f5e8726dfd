"""Knows how one request reaches Vonage's REST API: signed, paced, bounded in time, repeated only where that is safe."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import httpx2

from callflows.vonage.account import Account, VonageError
from callflows.vonage.pace import MOST_SECONDS, Reserve, at_once, limit_of, wait_for_turn
from callflows.vonage.reasons import not_reached, reason
from callflows.vonage.tls import trusted

# Seconds to connect, or between two pieces of an answer; and for a whole answer.
SECONDS = 2.5
ANSWER_SECONDS = 6.0
# No answer of the API that we ask for is larger than a list of 100 calls, about 60 KB.
MOST_BYTES = 1 << 20
# Seconds before each further attempt; a longer Retry-After counts, up to a bound. None begins when so many have passed:
# somebody waits for the result.
PAUSES = (0.25, 1.0, 2.0)
MOST_PAUSE = 3.0
BEGIN_SECONDS = 8.0
# What may be sent again when nobody knows whether it arrived: done twice it leaves the same as done once.
SAFE = ("GET", "PUT", "DELETE")
TOO_MANY = 429

_lock = threading.Lock()
_kept: dict[int, httpx2.Client] = {}


def kept_connections() -> httpx2.Client:
    """Return this process's connections; a forked process opens its own, since two may not share one."""
    with _lock:
        found = _kept.get(os.getpid())
        if found is None:
            found = _kept[os.getpid()] = httpx2.Client(timeout=SECONDS, follow_redirects=False, verify=trusted())
        return found


@dataclass(frozen=True, slots=True)
class Client:
    """The API as one application sees it. Blocks: called in threads.

    ``region_url`` is the host that holds the call; it is used only when it may see our token. ``reserve`` keeps the
    rates, and ``most_wait`` bounds the seconds that a request waits for its turn.
    """

    account: Account
    reserve: Reserve = at_once
    region_url: str = ""
    most_wait: float = MOST_SECONDS
    pauses: tuple[float, ...] = PAUSES
    seconds: float = SECONDS

    def hurried(self) -> Client:
        """Return the same, for one attempt that takes 2 s at most."""
        return replace(self, most_wait=0.5, pauses=(), seconds=0.75)

    @property
    def base(self) -> str:
        """The origin that requests go to."""
        return self.account.base(self.region_url)

    def request(
        self, method: str, path_or_url: str, region_url: str = "", *, repeatable: bool | None = None, **content: Any
    ) -> httpx2.Response:
        """Send a request and return its answer, a success. Raises VonageError.

        429 is tried again always: Vonage did nothing. What is ``repeatable`` (GET, PUT and DELETE unless told
        otherwise) is tried again also after 5xx, time-outs and broken connections.
        """
        url = self._address(path_or_url, region_url)
        safe = method in SAFE if repeatable is None else repeatable
        last = time.monotonic() + BEGIN_SECONDS
        for pause in (*self.pauses, None):
            after = ""
            try:
                response = self._once(method, url, content)
            except NoAnswer as error:
                failure: VonageError = error
                again = safe
            else:
                if response.is_success:
                    return response
                failure, after = _refused(response), response.headers.get("retry-after", "")
                again = response.status_code == TOO_MANY or (response.status_code >= 500 and safe)
            if pause is None or not again or time.monotonic() + pause > last:
                break
            time.sleep(max(pause, min(float(after), MOST_PAUSE)) if after.isdigit() else pause)
        raise failure

    def _address(self, path_or_url: str, region_url: str) -> str:
        url = urljoin(self.account.base(region_url or self.region_url) + "/", path_or_url)
        if not self.account.trusts(url):
            raise VonageError(f"{url[:200]} is none of Vonage's hosts over https, so our token is not sent there")
        return url

    def _once(self, method: str, url: str, content: dict[str, Any]) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.account.token()}", "Accept": "application/json"}
        # Before its turn: what takes long between its turn and its leaving lets the next request draw near.
        http, limit = kept_connections(), limit_of(method, httpx2.URL(url).path)
        wait_for_turn(self.reserve, limit, self.most_wait)
        try:
            with http.stream(method, url, headers=headers, timeout=self.seconds, **content) as stream:
                body = b"".join(_bounded(stream))
                return httpx2.Response(stream.status_code, headers=_plain(stream), content=body)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            raise NoAnswer(not_reached(error), maybe=sent) from None


class NoAnswer(VonageError):
    """A request that got no answer, or not all of it."""


def _refused(response: httpx2.Response) -> VonageError:
    text = reason(response.status_code, response.content, response.headers.get("location", ""))
    return VonageError(text, response.status_code, maybe=response.status_code >= 500)


def _bounded(response: httpx2.Response) -> Iterator[bytes]:
    """Yield the body; a peer that sends it drop by drop, or without end, is cut off."""
    deadline, size = time.monotonic() + ANSWER_SECONDS, 0
    for piece in response.iter_bytes():
        yield piece
        size += len(piece)
        if size > MOST_BYTES or time.monotonic() > deadline:
            raise TimeoutError(f"the answer was not complete after {ANSWER_SECONDS:g} s or {MOST_BYTES} bytes")


def _plain(response: httpx2.Response) -> list[tuple[str, str]]:
    """Return the headers of a body that is decoded already."""
    return [each for each in response.headers.items() if each[0] not in ("content-encoding", "content-length")]
