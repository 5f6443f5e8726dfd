"""Knows how we sign requests to Vonage's REST API, and which hosts may see our tokens."""

from __future__ import annotations

import functools
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt

TOKEN_SECONDS = 60
# A token sent elsewhere is toll fraud, and addresses come to us in webhooks. The whole address has to fit: parsers
# differ on user names, backslashes and dots at a host's end, so whatever has one of these is no address of Vonage's.
_VONAGE = re.compile(
    r"https://(?:[a-z0-9][a-z0-9-]*\.)*(?:vonage|nexmo)\.com(?::(?P<port>\d{1,5}))?(?:[/?#][^\s\\]*)?",
    re.IGNORECASE | re.ASCII,
)
_DOUBTFUL = re.compile(r"[\s\\@\x00-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}


class VonageError(Exception):
    """A request that Vonage did not carry out: a sentence that an operator understands.

    ``status`` is that of Vonage's answer, 0 when there was none. ``maybe``: nobody knows whether it was carried out.
    """

    def __init__(self, sentence: str, status: int = 0, *, maybe: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.maybe = maybe


@functools.lru_cache(maxsize=64)
def read_key(private_key: str) -> Any:
    """Read a private key (PEM), once: its primes are tested, which takes 65 ms of processor, 30 times a signature's.

    Raises ValueError, TypeError or jwt.PyJWTError for what is none.
    """
    return jwt.get_algorithm_by_name("RS256").prepare_key(private_key)


@dataclass(frozen=True, slots=True)
class Account:
    """One application as the API knows it; ``private_key`` is PEM text, empty where none is configured.

    ``trusted_origins`` (http://127.0.0.1:9000) may see its tokens besides Vonage's own hosts: a fake Vonage.
    """

    application_id: str
    private_key: str = field(repr=False)
    host: str = "https://api.nexmo.com"
    trusted_origins: tuple[str, ...] = ()

    def token(self) -> str:
        """Return a fresh token (RS256). Raises VonageError without a usable private key."""
        if not self.private_key:
            raise VonageError(
                "no private key is configured for the application, so calls cannot be placed or controlled: "
                "its page in the admin names the variable that holds one"
            )
        now = int(time.time())
        claims = {"application_id": self.application_id, "iat": now, "exp": now + TOKEN_SECONDS}
        try:
            key = read_key(self.private_key)
            return jwt.encode({**claims, "jti": secrets.token_hex(16)}, key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise VonageError(f"the application's private key cannot be used: {error}") from None

    def trusts(self, url: str) -> bool:
        """Return whether a token of this application may be sent to ``url``."""
        return trusted(url) or (_origin(url) or "") in {_origin(each) for each in self.trusted_origins}

    def base(self, region_url: str = "") -> str:
        """Return the origin for a call: its region's when that may see our token, else the default one.

        Raises VonageError when the default one may not either.
        """
        if region_url and self.trusts(region_url):
            return _base(region_url)
        if not self.trusts(self.host):
            text = f"the application's API host {self.host} is none of Vonage's over https"
            raise VonageError(f"{text}: correct it, or name it in TRUSTED_ORIGINS if it is a fake of yours")
        return _base(self.host)


def trusted(url: str) -> bool:
    """Return whether ``url`` is https, at vonage.com or nexmo.com or a name that ends in one of these."""
    found = _VONAGE.fullmatch(url)
    return found is not None and 0 < int(found["port"] or 443) < 65536


def _origin(url: str) -> str | None:
    """Return scheme, host and port; None for what is no plain http or https address."""
    if _DOUBTFUL.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port or _PORTS[parts.scheme]}"


def _base(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
