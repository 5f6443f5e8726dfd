"""Knows what everybody starts with: an echo as Channels' own class does it, on plain daphne; the loop is ours."""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

# Before daphne is imported, which installs a reactor on a slower loop unless there is one.
asyncioreactor.install(uvloop.new_event_loop())  # type: ignore[no-untyped-call]  # Twisted's types end here

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402  (after the reactor, see above)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (after the reactor)
from daphne.endpoints import build_endpoint_description_strings  # noqa: E402  (after the reactor)
from daphne.server import Server  # noqa: E402  (after the reactor)
from django.urls import re_path  # noqa: E402  (after the reactor)

from project.asgi import application as http  # noqa: E402  (after the reactor)


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is not None:
            await self.send(bytes_data=bytes_data)


def main(port: int) -> None:
    echo: Any = Echo.as_asgi()
    routes: list[Any] = [re_path(r"^socket/", echo)]
    application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(routes)})
    Server(application, endpoints=build_endpoint_description_strings(host="127.0.0.1", port=port)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
