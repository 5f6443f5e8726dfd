"""Knows how a page asks before it costs money, so that its answer counts once, and tells why Vonage refused."""

from __future__ import annotations

import secrets
from enum import Enum

from django.core import signing

from callflows.models import SeenToken
from callflows.models.tokens import KEPT_SECONDS
from callflows.vonage.account import VonageError

# How long a page that asks may stay open before it asks anew: no longer than its answer is remembered.
ASK_SECONDS = KEPT_SECONDS
_SALT = "callflows.asking"


class Answer(Enum):
    """What the answer of a page that asks is worth."""

    YES = "yes"
    AGAIN = "given before"
    LATE = "too late, or no answer of such a page"


def question() -> str:
    """Return what a page that asks carries."""
    return signing.dumps(secrets.token_hex(8), salt=_SALT)


def answer(carried: str) -> Answer:
    """Return what an answer is worth: each page that asked has one that counts."""
    try:
        once = signing.loads(carried, salt=_SALT, max_age=ASK_SECONDS)
    except signing.BadSignature:
        return Answer.LATE
    _, first = SeenToken.objects.get_or_create(jti=f"asked-{once}", defaults={"body": ""})
    return Answer.YES if first else Answer.AGAIN


def sentence(error: object) -> str:
    """Return why something was not done as a sentence."""
    text = str(error).strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def why(error: VonageError, undone: str, doubtful: str) -> str:
    """Return what to tell of a request that failed: ``undone``, or ``doubtful`` when nobody knows."""
    return f"{sentence(error)} {doubtful}" if error.maybe else f"{undone} {sentence(error)}"


def key_of(text: str) -> int:
    """Return the id that a page sent; 0, which nothing has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
