"""Knows which WebSocket address leads to which consumer."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from callflows.consumers import AudioConsumer


async def refuse(scope: Any, receive: Any, send: Any) -> Any:
    """Turn away a socket at an address that is none of ours: without this, Channels raises for each."""
    await receive()
    await send({"type": "websocket.close", "code": 4004})


# No Origin is asked for: Vonage sends none.
audio: Any = AudioConsumer.as_asgi()
routes: list[Any] = [re_path(r"^socket/(?P<line>[\w-]{1,22})/(?P<token>[^/?]{1,500})/?$", audio), re_path(r"", refuse)]
websockets = URLRouter(routes)
