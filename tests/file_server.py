"""Knows how to be a host with files for tests: who asked with which token, and answers as told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

import jwt

from callflows.vonage.account import Account
from tests.local_server import QuietHandler, running
from tests.rest_server import APPLICATION, key, pem


@dataclass
class Sent:
    """How a path is answered. ``pause`` is waited for after the first half of the body; ``cut`` ends it there.

    With ``drip`` so many seconds pass before each byte of it, the head's too.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: threading.Event | None = None
    cut: bool = False
    drip: float = 0.0


class FileServer(ThreadingHTTPServer):
    """Files at a free port of this machine; ``tokens`` holds each path that was asked, and whose token came along."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, Sent] = {}
        self.tokens: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def account(self) -> Account:
        """The application, which believes this host."""
        return Account(APPLICATION, pem(), self.url, (self.url,))

    def put(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Answer ``path`` so; return its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.files[path] = Sent(body, status, named)
        return f"{self.url}{path}"

    @property
    def asked(self) -> list[str]:
        return [path for path, _ in self.tokens]


class Handler(QuietHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.tokens.append((self.path, self.application()))
        sent = self.server.files.get(self.path, Sent(status=404))
        self.send_response(sent.status)
        length = {} if "Transfer-Encoding" in sent.headers else {"Content-Length": str(len(sent.body))}
        for name, value in {**length, **sent.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if sent.drip:
            return self.let_drip(sent)
        half = len(sent.body) // 2
        self.wfile.write(sent.body[:half])
        self.wfile.flush()
        if sent.pause:
            sent.pause.wait(30)
        if sent.cut:
            self.close_connection = True
        else:
            self.wfile.write(sent.body[half:])

    def let_drip(self, sent: Sent) -> None:
        with suppress(OSError):
            for at in range(len(sent.body)):
                self.wfile.write(sent.body[at : at + 1])
                self.wfile.flush()
                time.sleep(sent.drip)

    def application(self) -> str:
        """Return whose token came, after a look at its signature; empty for none."""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if not token:
            return ""
        assert kind == "Bearer"
        return str(jwt.decode(token, key().public_key(), algorithms=["RS256"])["application_id"])


@contextmanager
def file_server() -> Iterator[FileServer]:
    server = FileServer()
    with running(server):
        yield server
