"""Knows how a signed webhook proves that Vonage sent it: nine steps, with the time as an argument."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm

# Vonage says nothing about clocks; these are what others found to work.
MAX_AGE_SECONDS = 300
MAX_AHEAD_SECONDS = 30
# What a database column holds; real ones are UUIDs.
JTI_CHARACTERS = 255
# A real token has about 500 characters.
_TOKEN_CHARACTERS = 8192
_BEARER = re.compile(r"bearer(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)


class BadSignature(Exception):
    """A request that does not prove itself: a sentence, its class, and the status that makes Vonage do the right thing.

    Vonage sends again after a 5xx, signed this time, and never after a 4xx.
    """

    def __init__(self, counted: str, sentence: str, status: int = 401) -> None:
        super().__init__(sentence)
        self.counted = counted
        self.status = status


@dataclass(frozen=True, slots=True)
class Material:
    """The SHA-256 that ``payload_hash`` may be, ours first; ``strict``: it must be one of them."""

    hashes: tuple[str, ...]
    strict: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was verified. ``body`` is the SHA-256 of what came with it."""

    jti: str
    api_key: str
    application_id: str
    body: str
    notes: tuple[str, ...] = ()

    def is_for(self, applications: Collection[str]) -> bool:
        """Return whether it is for one of ours; where none is configured, or it names none, there is nothing to say."""
        return not self.application_id or not applications or self.application_id in applications


def of_post(body: bytes) -> Material:
    """The hash of a POST is that of the bytes on the wire, before anything parses them."""
    return Material((_sha256(body),), strict=True)


def of_get(query: Mapping[str, str]) -> Material:
    """The hash of a GET is that of its parameters in their order as compact JSON; how letters are escaped is untold."""
    forms = (json.dumps(query, separators=(",", ":"), ensure_ascii=each) for each in (False, True))
    hashes = dict.fromkeys(_sha256(form.encode("utf-8", "surrogatepass")) for form in forms)
    return Material(tuple(hashes), strict=False)


def of_handshake() -> Material:
    """A socket's handshake has no body, and whether it has a hash is untold: none is demanded."""
    return Material((_sha256(b""),), strict=False)


def verify(authorization: str, material: Material, secrets: Mapping[str, Sequence[str]], now: float) -> Token:
    """Return the token of a request that Vonage signed. ``now`` is in Unix time. Raises BadSignature."""
    token = _bearer(authorization)
    claims, signature = _unverified(token)
    api_key = _text(claims.get("api_key"))
    _check_signature(token, signature, secrets.get(api_key, ()), api_key)
    if claims.get("iss") != "Vonage":
        raise BadSignature("issuer", f"expected a token issued by 'Vonage', got {_shown(claims.get('iss'))}")
    _check_age(claims.get("iat"), now)
    return Token(
        jti=_jti(claims.get("jti")),
        api_key=api_key,
        application_id=_application(claims.get("application_id")),
        body=material.hashes[0],
        notes=_compared(claims.get("payload_hash"), material),
    )


# No other algorithm is even known to it.
_JWS = jwt.PyJWS(algorithms=[])
_HS256 = HMACAlgorithm(HMACAlgorithm.SHA256)
_JWS.register_algorithm("HS256", _HS256)


def _bearer(authorization: str) -> str:
    found = _BEARER.fullmatch(authorization.strip())
    if found is None:
        what = "another scheme" if authorization.strip() else "none"
        sentence = f"expected a signed webhook (Authorization: Bearer ...), got {what}: send it again signed"
        raise BadSignature("unsigned", sentence, status=503)
    token = (found[1] or "").strip()
    if len(token) > _TOKEN_CHARACTERS:
        raise BadSignature("token", f"expected a token of at most {_TOKEN_CHARACTERS} characters, got {len(token)}")
    return token


def _unverified(token: str) -> tuple[dict[str, Any], bytes]:
    """Return the claims, of which nothing is known to be true yet, and the signature."""
    try:
        parts = _JWS.decode_complete(token, options={"verify_signature": False})
        claims = json.loads(parts["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BadSignature("token", f"expected a JSON Web Token, got something else ({error})"[:200]) from None
    if parts["header"].get("alg") != "HS256":
        got = _shown(parts["header"].get("alg"))
        raise BadSignature("algorithm", f"expected a token signed with HS256, got {got}")
    if not isinstance(claims, dict):
        raise BadSignature("token", "expected a JSON Web Token with claims, got other JSON in it")
    return claims, parts["signature"]


def _check_signature(token: str, signature: bytes, secrets: Sequence[str], api_key: str) -> None:
    """Refuse what no secret fits; of two both are good, while one replaces the other.

    The token is not taken apart a second time for it: that costs as much as all the rest.
    """
    if not secrets:
        raise BadSignature("secret", f"no signature secret is configured for the API key {_shown(api_key)}")
    signed = token.rpartition(".")[0].encode()
    if not any(_fits(secret, signed, signature) for secret in secrets):
        raise BadSignature("secret", f"the signature fits no secret of the API key {_shown(api_key)}")


def _fits(secret: str, signed: bytes, signature: bytes) -> bool:
    try:
        return _HS256.verify(signed, _HS256.prepare_key(secret), signature)
    except jwt.PyJWTError:
        # A secret that no HMAC can have.
        return False


def _check_age(issued: object, now: float) -> None:
    age = now - _seconds(issued)
    if not -MAX_AHEAD_SECONDS <= age <= MAX_AGE_SECONDS:
        got, limit = _ago(age), _ago(MAX_AGE_SECONDS if age > 0 else -MAX_AHEAD_SECONDS)
        clock = datetime.fromtimestamp(now, UTC)
        sentence = f"the token was issued {got}, expected at most {limit}"
        raise BadSignature("clock", f"{sentence}: this server's clock says {clock:%H:%M:%S} UTC")


def _seconds(issued: object) -> float:
    """Return Unix time; whatever is none is refused, and a number that no clock can show is far away."""
    if not isinstance(issued, int | float) or isinstance(issued, bool) or issued != issued:
        raise BadSignature("clock", f"expected the time of issue in 'iat' as a number of seconds, got {_shown(issued)}")
    try:
        return float(issued)
    except OverflowError:
        return math.copysign(math.inf, issued > 0 or -1)


def _ago(age: float) -> str:
    return f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s ahead"


def _jti(jti: object) -> str:
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_CHARACTERS or not jti.isprintable():
        raise BadSignature("token", f"expected an id in 'jti', a text of at most {JTI_CHARACTERS} characters")
    return jti


def _application(application: object) -> str:
    if application is not None and not isinstance(application, str):
        raise BadSignature("application", f"expected an application's id, got {_shown(application)}")
    return application or ""


def _compared(claimed: object, material: Material) -> tuple[str, ...]:
    if isinstance(claimed, str) and claimed.lower() in material.hashes:
        return ()
    sentence = f"payload_hash: expected the SHA-256 of the request, {material.hashes[0]}, got {_shown(claimed)}"
    if material.strict:
        raise BadSignature("hash", sentence)
    return (sentence,)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]
