"""Knows how static files are sent under ASGI, who asks, and how long an operator stays signed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

from callflows.serving.proxies import Proxies

# When a session was last moved on, in it, and how often that is written down.
SEEN, SEEN_SECONDS = "seen", 300


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


def origin_of(request: HttpRequest) -> str:
    """Return the address that a request comes from: a proxy of ours tells whom it was asked by."""
    proxies: Proxies = settings.PROXIES
    return proxies.origin(request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR", ""))


def keep_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Move the end of a session on while it is used; written at most every few minutes, not at each page."""

    def moved_on(request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            now = time.time()
            if now - request.session.get(SEEN, 0) > SEEN_SECONDS:
                request.session[SEEN] = now
        return get_response(request)

    return moved_on
