"""Knows how to be Vonage's REST API for tests: checks who asks, writes down what is asked, answers as it is told."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from callflows.vonage.account import Account
from tests.local_server import QuietHandler, running
from tests.services import Deployment

APPLICATION = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
PAYLOADS = Path(__file__).resolve().parent / "payloads" / "rest"


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def pem() -> str:
    """The application's private key."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key().private_bytes(*form).decode()


def payload(name: str) -> Any:
    """Return one of the fixtures."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    at: float


@dataclass(frozen=True)
class Reply:
    """How to answer one request: after ``wait`` seconds; ``drip`` sends the body byte by byte, so far apart."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    # The connection breaks before any answer.
    broken: bool = False


CREATED = {
    "uuid": "7d3c5a10-2b4e-4f6a-9c8d-0e1f2a3b4c5d",
    "status": "started",
    "direction": "outbound",
    "conversation_uuid": "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53",
}


def usual(asked: Asked) -> Reply:
    """Answer as Vonage does when all is well."""
    words = {"stream": "Stream", "talk": "Talk"}
    last = asked.path.rpartition("/")[2]
    if asked.method == "POST":
        return Reply(201, CREATED)
    if asked.method == "GET":
        found = payload("list_calls_200" if asked.path == "/v1/calls" else "get_call_200_in_progress")
        return Reply(200, found)
    if last in words:
        return Reply(200, {"message": f"{words[last]} {'started' if asked.method == 'PUT' else 'stopped'}"})
    return Reply(200, {"message": "DTMF sent"}) if asked.path.endswith("/dtmf") else Reply(204)


class RestServer(ThreadingHTTPServer):
    """The API at a free port of this machine. ``replies`` are used up first, then ``answer`` says what comes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self.replies: list[Reply] = []
        self.answer: Callable[[Asked], Reply] = usual
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def account(self) -> Account:
        return Account(APPLICATION, pem(), self.url, (self.url,))

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            return self.replies.pop(0) if self.replies else self.answer(asked)

    def requests(self) -> list[tuple[str, str, Any]]:
        """Return method, path and body of each request so far."""
        return [(each.method, each.path, each.body) for each in self.asked]


class Handler(QuietHandler):
    server: RestServer
    # Else two small packets of one answer wait for each other, 40 ms.
    disable_nagle_algorithm = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            json.loads(body) if body else None,
            time.monotonic(),
        )
        if problem := self.problem():
            self.server.refused.append(problem)
            self.send(Reply(401, payload("error_401")))
        else:
            self.send(self.server.next_reply(asked))

    def problem(self) -> str:
        """Return what is wrong with the token; empty for nothing."""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            claims = jwt.decode(token, key().public_key(), algorithms=["RS256"], options={"require": ["exp", "jti"]})
        except jwt.PyJWTError as error:
            return f"{kind} {error}"
        return "" if claims.get("application_id") == APPLICATION else f"application {claims.get('application_id')}"

    def send(self, reply: Reply) -> None:
        self.server.stopped.wait(reply.wait)
        if reply.broken:
            self.close_connection = True
            return
        content = (
            reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode() if reply.body else b""
        )
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for place in range(len(content)) if reply.drip else ():
            self.wfile.write(content[place : place + 1])
            if self.server.stopped.wait(reply.drip):
                break
        if not reply.drip:
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = answer


@contextmanager
def rest_server() -> Iterator[RestServer]:
    """Run the API in threads of this process."""
    server = RestServer()
    with running(server):
        yield server
        server.stopped.set()


def let_ask(deployment: Deployment, server: RestServer) -> None:
    """Let the deployment's application, and so all its processes that start later, ask ``server``."""
    deployment.environment |= {"OUR_KEY": pem(), "TRUSTED_ORIGINS": server.url}
    update = (
        f"UPDATE callflows_application SET application_id = '{APPLICATION}', api_host = '{server.url}', "
        "private_key_variable = 'OUR_KEY'"
    )
    if url := deployment.environment.get("DATABASE_URL"):
        with psycopg.connect(url) as postgres:
            postgres.execute(update.encode())
        return
    with closing(sqlite3.connect(deployment.home / "db.sqlite3")) as lite, lite:
        lite.execute(update)
