"""Knows how we sign requests to Vonage's REST API, and which hosts may see our tokens."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import jwt

TOKEN_SECONDS = 60
# A token sent elsewhere is toll fraud: hosts come to us in webhooks.
TRUSTED = (".vonage.com", ".nexmo.com")


class VonageError(Exception):
    """A request that Vonage did not carry out: a sentence that an operator understands."""


@dataclass(frozen=True, slots=True)
class Account:
    """One application as the API knows it; ``private_key`` is PEM text, empty where none is configured."""

    application_id: str
    private_key: str = field(repr=False)
    host: str = "https://api.nexmo.com"

    def token(self) -> str:
        """Return a fresh token (RS256). Raises VonageError without a usable private key."""
        if not self.private_key:
            raise VonageError("no private key is configured for the application, so calls cannot be controlled")
        now = int(time.time())
        claims = {"application_id": self.application_id, "iat": now, "exp": now + TOKEN_SECONDS}
        try:
            return jwt.encode({**claims, "jti": secrets.token_hex(16)}, self.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise VonageError(f"the application's private key cannot be used: {error}") from None

    def base(self, region_url: str = "") -> str:
        """Return the address for a call: its region's when that is Vonage's own over https, else the default."""
        return region_url.rstrip("/") if trusted(region_url) else self.host.rstrip("/")


def trusted(url: str) -> bool:
    """Return whether our token may be sent to ``url``."""
    parts = urlsplit(url)
    return parts.scheme == "https" and f".{parts.hostname or ''}".endswith(TRUSTED)
