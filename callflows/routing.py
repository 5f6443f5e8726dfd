"""Knows which WebSocket address leads to which consumer, and what a project's ASGI application is made of."""

from __future__ import annotations

import re
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

from callflows.consumers import AudioConsumer
from callflows.prefix import local_prefix, prefix
from callflows.webhooks.handler import Application, with_short_way


async def refuse(scope: Any, receive: Any, send: Any) -> Any:
    """Turn away a socket at an address that is none of ours: without this, Channels raises for each."""
    await receive()
    await send({"type": "websocket.close", "code": 4004})


def _below() -> str:
    """Return what stands before `socket/`; a server that knows of FORCE_SCRIPT_NAME has cut that off."""
    whole, local = (re.escape(each.lstrip("/") + "/") if each else "" for each in (prefix(), local_prefix()))
    return f"(?:{whole}|{local})"


# No Origin is asked for: Vonage sends none.
audio: Any = AudioConsumer.as_asgi()
# For a project with sockets of its own: these go into its URLRouter.
websocket_urlpatterns: list[Any] = [
    re_path(rf"^{_below()}socket/(?P<line>[\w-]{{1,22}})/(?P<token>[^/?]{{1,500}})/?$", audio)
]
routes: list[Any] = [*websocket_urlpatterns, re_path(r"", refuse)]
websockets = URLRouter(routes)


def with_calls(pages: Application) -> ProtocolTypeRouter:
    """Return a project's ASGI application: its pages, our webhooks by the short way, and the sockets of calls."""
    return ProtocolTypeRouter({"http": with_short_way(pages), "websocket": websockets})
