"""Knows in which order a webhook request is checked: method (405), size (413), signature (503, 401), readable (400)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse

from callflows.models import Application, SeenToken
from callflows.payloads.body import MAX_BYTES, BadPayload, from_json, from_query, unopened
from callflows.payloads.signature import BadSignature, Material, Token, of_get, of_post, verify
from callflows.payloads.tokens import without_tokens


class Refused(Exception):
    """A request that gets an error: the status, a sentence, and the class under which it is counted."""

    def __init__(self, status: int, sentence: str, counted: str, allow: str = "GET, POST") -> None:
        # It may quote what a stranger sent, and is logged, stored and sent back.
        shown = "".join(letter if letter.isprintable() else "?" for letter in without_tokens(sentence))
        super().__init__(shown)
        self.status = status
        self.counted = counted
        self.allow = allow

    def response(self) -> HttpResponse:
        response = HttpResponse(f"{self}\n", status=self.status, content_type="text/plain; charset=utf-8")
        if self.status == 405:
            response["Allow"] = self.allow
        return response


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook that can be read. ``raw`` is what may be kept: ``whole`` without the tokens of our own addresses.

    ``notes`` are sentences for the timeline.
    """

    whole: dict[str, Any]
    token: Token | None = None
    notes: tuple[str, ...] = ()

    @property
    def raw(self) -> dict[str, Any]:
        return without_tokens(self.whole)

    @property
    def signed(self) -> bool:
        return self.token is not None

    def admit(self) -> None:
        """Let it in, first thing in the transaction of its work. Raises Refused.

        Its token may have come before, but then with the same body: that is a retry, which gets the stored reply.
        """
        if self.token is None:
            return
        named = self.token.application_id
        if named and not self.token.is_for(Application.objects.ids(named)):
            raise Refused(401, f"expected one of our applications, got a webhook for {named[:80]!r}", "application")
        if not SeenToken.objects.admit(self.token.jti, self.token.body):
            raise Refused(401, "the token came before, with another body", "replay")


def read(request: HttpRequest, *, own: bool = False) -> Received:
    """Return what the webhook says, from the body of a POST or the query of a GET. Raises Refused.

    ``own`` is whether we wrote its address ourselves, with POST: of a GET nobody can tell whether all of it is signed.
    """
    if own and request.method != "POST":
        raise Refused(405, f"expected POST at this address, as it was given, got {request.method}", "method", "POST")
    if request.method not in ("GET", "POST"):
        raise Refused(405, f"expected GET or POST, got {request.method}", "method")
    return _read_query(request) if request.method == "GET" else _read_body(request)


def _read_body(request: HttpRequest) -> Received:
    body = _body(request)
    token = _verified(request, of_post(body))
    try:
        return Received(from_json(body), token)
    except BadPayload as error:
        raise Refused(400, str(error), "body") from None


def _read_query(request: HttpRequest) -> Received:
    query = _query(request)
    token = _verified(request, of_get(query))
    try:
        raw = from_query(query)
    except BadPayload as error:
        raise Refused(400, str(error), "body") from None
    return Received(raw, token, (*(token.notes if token else ()), *unopened(raw)))


def _verified(request: HttpRequest, material: Material) -> Token | None:
    """Return the token of a signed request; None where no secret is configured, so that nothing can be checked."""
    if not settings.SIGNATURE_SECRETS:
        return None
    try:
        return verify(request.headers.get("Authorization", ""), material, settings.SIGNATURE_SECRETS, time.time())
    except BadSignature as error:
        raise Refused(error.status, str(error), error.counted) from None


def _body(request: HttpRequest) -> bytes:
    """Return the raw body, of which no more is read into memory than may come: one sent in chunks announces nothing."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    size = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else 0
    body = request.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    if size > MAX_BYTES or len(body) > MAX_BYTES:
        raise Refused(413, f"expected at most {MAX_BYTES} bytes, got {max(size, MAX_BYTES + 1)}", "size")
    return body


def _query(request: HttpRequest) -> dict[str, str]:
    """Return the parameters in the order in which they came."""
    size = len(request.META.get("QUERY_STRING", ""))
    if size > MAX_BYTES:
        raise Refused(413, f"expected at most {MAX_BYTES} bytes, got {size}", "size")
    try:
        return request.GET.dict()
    except SuspiciousOperation:
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        raise Refused(400, f"expected a query with at most {most} parameters, got more", "body") from None
