"""Knows in which order a webhook request is checked: method (405), size (413), readable (400)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from callflows.payloads.body import MAX_BYTES, BadPayload, from_json, from_query
from callflows.webhooks.addresses import without_tokens


class Refused(Exception):
    """A request that gets an error: the status, a sentence, and the class under which it is counted."""

    def __init__(self, status: int, sentence: str, counted: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.counted = counted

    def response(self) -> HttpResponse:
        response = HttpResponse(f"{self}\n", status=self.status, content_type="text/plain; charset=utf-8")
        if self.status == 405:
            response["Allow"] = "GET, POST"
        return response


def read(request: HttpRequest) -> dict[str, Any]:
    """Return what the webhook says, from the body of a POST or the query of a GET, without tokens. Raises Refused."""
    if request.method not in ("GET", "POST"):
        raise Refused(405, f"expected GET or POST, got {request.method}", "method")
    try:
        if request.method == "GET":
            return dict(without_tokens(from_query(request.GET.dict())))
        return dict(without_tokens(from_json(_body(request))))
    except BadPayload as error:
        raise Refused(400, str(error), "body") from None


def _body(request: HttpRequest) -> bytes:
    announced = request.META.get("CONTENT_LENGTH") or "0"
    size = int(announced) if announced.isdigit() else 0
    if size > MAX_BYTES or len(request.body) > MAX_BYTES:
        raise Refused(413, f"expected at most {MAX_BYTES} bytes, got {max(size, MAX_BYTES + 1)}", "size")
    return request.body
