"""Knows how Vonage signs its webhooks and the handshakes of its sockets: a token with the account's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from callflows.simulator.effects import Fetch


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one application of an account."""

    api_key: str
    secret: str
    application: str

    def bearer(self, at: datetime, jti: str, content: bytes | None) -> str:
        """Return the Authorization of a request; ``content`` is what its hash is made of, None for no hash."""
        claims: dict[str, object] = {"iat": int(at.timestamp()), "jti": jti, "iss": "Vonage"}
        if content is not None:
            claims["payload_hash"] = hashlib.sha256(content).hexdigest()
        claims |= {"api_key": self.api_key, "application_id": self.application}
        signed = f"{_encoded(_json({'alg': 'HS256', 'typ': 'JWT'}))}.{_encoded(_json(claims))}"
        return f"Bearer {signed}.{_encoded(hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def hashed(fetch: Fetch) -> bytes:
    """Return what a webhook's hash is made of: the body's bytes, or a GET's parameters in order as compact JSON."""
    return fetch.content if fetch.content is not None else _json(dict(fetch.parameters))


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
