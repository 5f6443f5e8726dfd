"""Knows how a recording or a transcript is downloaded: our token stays with Vonage, size and time have bounds.

Addresses come from webhooks. Our token goes only to hosts that may see it (`Account.trusts`), and is decided anew at
every redirect:

- An address at any other host is not asked at all: the same path is asked at the application's default host instead.
- A redirect of Vonage's to another host, such as a storage service with a presigned address, is followed over https,
  without the token, to a public address; from there on no token is sent any more, wherever it leads.

The time for all of it is one deadline: who sends a byte now and then keeps no connection beyond it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2

from callflows.vonage.account import Account, VonageError
from callflows.vonage.reasons import not_reached
from callflows.vonage.tls import trusted

# Seconds to connect, between two pieces, and for all: 500 MB at 1 MB/s are 9 minutes.
TIMEOUT = httpx2.Timeout(20.0, connect=5.0)
WHOLE_SECONDS = 900.0
# Two hours of 32 channels would be more; of two, as WAV of 16 kHz, they are 460 MB.
RECORDING_BYTES = 500_000_000
TRANSCRIPT_BYTES = 10_000_000
MOST_REDIRECTS = 5

_WORDS = {
    401: "Vonage refused our token (401): a download needs the private key of the application that owns the call",
    403: "Vonage does not allow this application to fetch the file (403)",
    404: "Vonage has no such file (404): recordings and transcripts are kept for 30 days",
    410: "Vonage has no such file any more (410): recordings and transcripts are kept for 30 days",
    429: "Vonage refused for now (429): too many requests",
}
# Besides 5xx: what may be otherwise in a moment.
_PASSING = (408, 425, 429)


class NotFetched(VonageError):
    """A file that did not come: a sentence for operators. ``again``: whether it may come later."""

    def __init__(self, sentence: str, status: int = 0, *, again: bool = False) -> None:
        super().__init__(sentence, status)
        self.again = again


def download(
    account: Account, url: str, into: IO[bytes], most: int = RECORDING_BYTES, seconds: float = WHOLE_SECONDS
) -> str:
    """Write the file at ``url`` into ``into``, at most so many bytes and seconds. Raises NotFetched.

    Returns a sentence for the timeline when the default host was asked instead of the address's; else nothing.
    """
    if not account.private_key:
        raise NotFetched(
            "a download needs the application's private key, and none is configured: name its variable at the "
            "application"
        )
    address, told = _start(account, url)
    try:
        asyncio.run(_in_time(account, address, into, most, seconds))
    except NotFetched as error:
        if told:
            raise NotFetched(f"{told}: {error}", error.status, again=error.again) from None
        raise
    except httpx2.InvalidURL as error:
        raise NotFetched(f"this is no address of a file: {error}") from None
    except httpx2.HTTPError as error:
        raise NotFetched(not_reached(error), again=True) from None
    return told


def _start(account: Account, url: str) -> tuple[str, str]:
    """Return the address to ask, and what to tell when its host is not the one that was named."""
    if account.trusts(url):
        return url, ""
    try:
        parts = urlsplit(url)
        path = parts._replace(scheme="", netloc="", fragment="").geturl()
        host = parts.hostname or ""
    except ValueError:
        path = host = ""
    address = f"{account.base()}{path}"
    if not host or not path.startswith("/") or not account.trusts(address):
        raise NotFetched(f"expected an https address at one of Vonage's hosts, got {url[:200]!r}")
    here = urlsplit(address).hostname
    why = f"{host} is none of Vonage's hosts" if parts.scheme == "https" else f"{parts.scheme}://{host} is not https"
    return address, f"{why}, so {here} was asked for the same file, and our token was sent nowhere else"


async def _in_time(account: Account, address: str, into: IO[bytes], most: int, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await _follow(account, address, into, most)
    except TimeoutError:
        raise NotFetched(f"the file was not complete in time: {into.tell():,} bytes had come", again=True) from None


async def _follow(account: Account, address: str, into: IO[bytes], most: int) -> None:
    ours = True
    async with httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, verify=trusted()) as client:
        for _ in range(MOST_REDIRECTS + 1):
            ours = ours and account.trusts(address)
            token = {"Authorization": f"Bearer {account.token()}"} if ours else {}
            # Not packed: sound is packed already, and a bomb would be.
            where: dict[str, Any] = {"url": address} if ours else await _elsewhere(address)
            headers = {"Accept-Encoding": "identity", **token, **where.pop("headers", {})}
            async with client.stream("GET", headers=headers, **where) as response:
                if not (location := _sent_on(response)):
                    return await _take(response, into, most)
                address = str(httpx2.URL(address).join(location))
    raise NotFetched(f"Vonage sent us on more than {MOST_REDIRECTS} times")


async def _elsewhere(address: str) -> dict[str, Any]:
    """Return how a host that is not Vonage's is asked: at the public address that was looked at, by its name."""
    if not address.lower().startswith("https://"):
        raise NotFetched(f"Vonage sent us on to {_origin(address)}, and we follow only to https")
    url = httpx2.URL(address)
    try:
        found = await addresses(url.host, url.port or 443)
    except OSError as error:
        raise NotFetched(f"Vonage sent us on to {url.host}, which is not found: {error}", again=True) from None
    if inside := [each for each in found if not ip_address(each).is_global]:
        raise NotFetched(f"Vonage sent us on to {url.host}, whose address {inside[0]} is not a public one")
    return {
        "url": url.copy_with(host=found[0]),
        "headers": {"Host": url.netloc.decode("ascii")},
        "extensions": {"sni_hostname": url.host},
    }


async def addresses(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]).partition("%")[0] for *_, where in found]


def _sent_on(response: httpx2.Response) -> str:
    return response.headers.get("location", "") if 300 <= response.status_code < 400 else ""


async def _take(response: httpx2.Response, into: IO[bytes], most: int) -> None:
    status = response.status_code
    if status != 200:
        words = _WORDS.get(status) or f"Vonage answered {status}"
        raise NotFetched(words, status, again=status >= 500 or status in _PASSING)
    told = response.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and len(told) < 20 and int(told) > most:
        raise NotFetched(f"the file has {int(told):,} bytes, at most {most:,} are fetched")
    async for piece in _bounded(response, most):
        into.write(piece)
    into.flush()


async def _bounded(response: httpx2.Response, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.aiter_bytes(chunk_size=1 << 16):
        size += len(piece)
        if size > most:
            raise NotFetched(f"the file has more than {most:,} bytes, which is the most that is fetched")
        yield piece


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}"
