"""Knows what the local HTTP servers of the tests share: they are quiet, and run in threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            """The client gave up: that is what such a test is about."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """Let ``server`` answer until the block ends, and close it."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()
