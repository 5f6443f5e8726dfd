"""Knows who asks the fake REST API: an application by its token, or the account by key and secret."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
from collections.abc import Mapping
from typing import Any

import jwt
from jwt.types import Options

from callflows.simulator.account import Account, Application
from callflows.simulator.rest.messages import Request

# How far the clocks of client and platform may differ, in seconds.
LEEWAY = 60.0
# PyJWT looks at the machine's clock; ours is an argument.
_OPTIONS: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "require": ["jti", "iat", "exp"],
}


def application_of(request: Request, account: Account, now: float) -> Application | None:
    """Return the application whose token a request carries; None when there is none that holds at ``now``.

    ``now`` is in seconds since 1970. A token is signed with the application's own key (RS256) and has
    ``application_id``, ``jti``, ``iat`` and ``exp``; one token may serve several requests.
    """
    token = _credentials(request, "bearer")
    application = account.find(_named(token)) if token else None
    if application is None or not application.public_key:
        return None
    try:
        claims = jwt.decode(token, application.public_key, algorithms=["RS256"], options=_OPTIONS)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return application if claims.get("jti") and _holds(claims, now) else None


def _named(token: str) -> str:
    """Return the application that a token names, signed or not."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError):
        return ""
    return str(claims.get("application_id", ""))


def _holds(claims: Mapping[str, Any], now: float) -> bool:
    issued, expires, begins = (_moment(claims.get(name, 0)) for name in ("iat", "exp", "nbf"))
    # NaN of what is no number makes each comparison false.
    return issued <= now + LEEWAY and begins <= now + LEEWAY and expires > now and expires > issued


def _moment(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def is_the_account(request: Request, account: Account, *, in_query: bool = False) -> bool:
    """Return whether a request carries the account's key and secret: Basic, or as the docs once said.

    That was, where ``in_query``, in the query or in a form.
    """
    key, _, secret = _basic(request).partition(":")
    if in_query and not key:
        form = request.form() if request.method == "POST" else {}
        key, secret = (request.query.get(name) or form.get(name, "") for name in ("api_key", "api_secret"))
    pairs = ((key, account.api_key), (secret, account.api_secret))
    return all(hmac.compare_digest(got.encode(), ours.encode()) for got, ours in pairs)


def _basic(request: Request) -> str:
    try:
        return base64.b64decode(_credentials(request, "basic"), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _credentials(request: Request, scheme: str) -> str:
    """Return what follows the scheme in the Authorization header; schemes are spelled in any case."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == scheme else ""
