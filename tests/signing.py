"""Knows how Vonage signs a webhook, made by hand: a mistake of the library that checks would not be made twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

KEY = "a1b2c3d4"
SECRET = "fixture-signature-secret-0123456789abcdef"
APPLICATION = "5b0f3f5e-6f0c-4a1c-9d84-0d7e6c1b2a39"


def web_token(claims: Any, secret: str = SECRET, header: Any = None) -> str:
    """Return a JSON Web Token with an HMAC of SHA-256, whatever its header says."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = f"{_encoded(_json(head))}.{_encoded(_json(claims))}"
    return f"{signed}.{_encoded(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def claims(body: bytes = b"", **changed: Any) -> dict[str, Any]:
    """Return what Vonage claims of a request with ``body``; None leaves a claim out."""
    usual = {
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": KEY,
        "application_id": APPLICATION,
    }
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def bearer(body: bytes = b"", secret: str = SECRET, **changed: Any) -> str:
    """Return the Authorization header of a signed webhook."""
    return f"Bearer {web_token(claims(body, **changed), secret)}"


def compact(query: dict[str, str]) -> bytes:
    """Return what the hash of a GET is made of."""
    return json.dumps(query, separators=(",", ":")).encode()


def _json(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
