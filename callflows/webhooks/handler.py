"""Knows the short way of webhooks, without what only pages need; for another host, a lost call."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.urls import set_script_prefix
from django.utils.decorators import sync_and_async_middleware

from callflows.payloads.body import MAX_BYTES
from callflows.prefix import local_prefix, prefix
from callflows.refusing import TALLY

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[Any]]


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
    if request.path_info.startswith(f"{local_prefix()}/webhooks/"):
        try:
            request.get_host()
        except DisallowedHost:
            host = request.META.get("HTTP_HOST", "")[:80]
            TALLY.count_in_background("host", f"a request came for host {host!r}: expected the one of PUBLIC_URL")
            raise


class WebhookHandler(ASGIHandler):
    """Django for Vonage's requests: routes, views, errors and their log, and the hosts' check.

    Nothing is told of the beginning and the end of a request: that closes the connections of a thread
    that has none, in a new thread each time. A webhook is done to its end, whether its sender waits for
    it or not.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        # Django's own name, which its types do not tell.
        respond = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]
        self._middleware_chain = convert_exception_to_response(count_refused_hosts(respond))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        if body is None:
            return
        set_script_prefix(get_script_prefix(scope))
        request, refused = self.create_request(scope, body)
        response: Any = refused if request is None else await self.get_response_async(request)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        await self.send_response(response, send)


async def whole_body(receive: Receive) -> io.BytesIO | None:
    """Return what was sent, or as much as shows that it is too large; None: nobody waits."""
    body = io.BytesIO()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body.write(message.get("body", b"")[: MAX_BYTES + 1 - body.tell()])
        if not message.get("more_body", False):
            body.seek(0)
            return body


def with_short_way(whole: Application) -> Application:
    """Return an application that takes webhooks the short way, and all else the whole."""
    webhooks = WebhookHandler()

    async def application(scope: Scope, receive: Receive, send: Send) -> Any:
        short = scope["path"].startswith(f"{prefix()}/webhooks/")
        await (webhooks if short else whole)(scope, receive, send)

    return application
