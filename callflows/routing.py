"""Knows which WebSocket address leads to which consumer, and makes a project's ASGI application."""

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
    """Return what stands before `socket/`; a server may have cut FORCE_SCRIPT_NAME off."""
    both = (prefix(), local_prefix())
    whole, local = (re.escape(each.lstrip("/") + "/") if each else "" for each in both)
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
    """Return an ASGI application: a project's pages, our webhooks by the short way, our sockets."""
    return ProtocolTypeRouter({"http": with_short_way(pages), "websocket": websockets})
