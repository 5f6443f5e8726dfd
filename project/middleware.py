"""Knows how static files are sent under ASGI, and that a webhook for another host is a lost call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # whitenoise has no types
    """Whitenoise, with whole bodies: its streamed ones are synchronous, which Django warns of under ASGI."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        with found.file or nullcontext() as file:
            response = HttpResponse(file.read() if file else b"", status=int(found.status))
        del response["content-type"]
        for name, value in found.headers:
            response[name] = value
        return response


@sync_and_async_middleware
def count_refused_hosts(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Count the webhooks that Django refuses for their host: each is a call that nobody answers, and leaves no trace.

    First of all: the error comes out of whatever asks for the host first.
    """
    if not iscoroutinefunction(get_response):

        def blocking(request: HttpRequest) -> Any:
            _check_host(request)
            return get_response(request)

        return blocking

    async def waiting(request: HttpRequest) -> Any:
        _check_host(request)
        response: Awaitable[Any] = get_response(request)
        return await response

    return waiting


def _check_host(request: HttpRequest) -> None:
    if request.path_info.startswith("/webhooks/"):
        try:
            request.get_host()
        except DisallowedHost:
            # Not before Django is set up: the settings name this module.
            from callflows.refusing import TALLY

            host = request.META.get("HTTP_HOST", "")[:80]
            TALLY.count_in_background("host", f"a request came for host {host!r}: expected the one of PUBLIC_URL")
            raise
