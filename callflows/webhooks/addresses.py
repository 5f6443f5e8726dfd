"""Knows our own addresses: where Vonage sends events, opens sockets and fetches prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from callflows.ncco.flow import Place
from callflows.payloads.body import digest
from callflows.payloads.tokens import without_tokens as without_tokens
from callflows.prefix import prefix

_SALT = "callflows.step"
_SOCKET = re.compile(r"/socket/([\w-]{1,22})/")


@dataclass(frozen=True, slots=True)
class StepRef:
    """Which step of which call an event answers: the reply is chosen from it, never from where the call seems to be."""

    call: int
    version: int
    step: str
    attempt: int

    @classmethod
    def read(cls, signed: str) -> StepRef | None:
        """Return what a signed address names; None when it is not one of ours."""
        try:
            call, version, step, attempt = signing.loads(signed, salt=_SALT)
        except (signing.BadSignature, ValueError, TypeError):
            return None
        return cls(call, version, step, attempt)

    @classmethod
    def in_url(cls, url: str) -> StepRef | None:
        """Return the step that a whole address names, as the fallback webhook quotes it."""
        return cls.read(urlsplit(url).path.rstrip("/").rpartition("/")[2])

    def __str__(self) -> str:
        return signing.dumps([self.call, self.version, self.step, self.attempt], salt=_SALT)


def key_of(webhook: str, ref: StepRef | None, raw: Mapping[str, Any]) -> str:
    """Return what a repeat is known by: its address and its body. The same body at two addresses is two webhooks."""
    address = [webhook, *([ref.call, ref.version, ref.step, ref.attempt] if ref else [])]
    return digest({"address": address, "body": dict(raw)})


def base_url(request: HttpRequest) -> str:
    """Return the address below which Vonage reaches us, at PUBLIC_URL or the host it just used."""
    return (settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}") + prefix()


def event_url(base: str, call: int, place: Place) -> str:
    ref = StepRef(call, place.version.id, place.step.name, place.attempt)
    return f"{base}/webhooks/events/{ref}"


def socket_url(base: str, path: str) -> str:
    """``https`` becomes ``wss``, plain ``http`` ``ws``."""
    return f"ws{base.removeprefix('http')}{path}"


def line_in(uri: str) -> str | None:
    """Return the id of the line that a socket's address names, if it is one of ours."""
    found = _SOCKET.search(uri)
    return found[1] if found else None
