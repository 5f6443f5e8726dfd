"""Knows that our requests reach Vonage's API signed, and that what goes wrong is said in a sentence."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from callflows.vonage.account import Account, VonageError, trusted
from callflows.vonage.calls import find_leg, hang_up

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PATH = "/socket/line1/"


class Api(HTTPServer):
    """A small part of the REST API: checks the token's signature, and answers with ``status``."""

    status = 204
    seen: list[tuple[str, str, Any]]

    @property
    def account(self) -> Account:
        return Account("app", PEM, f"http://127.0.0.1:{self.server_port}")


class Handler(BaseHTTPRequestHandler):
    server: Api

    def answer(self) -> None:
        token = self.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, KEY.public_key(), algorithms=["RS256"])
        assert claims["application_id"] == "app"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, json.loads(body) if body else None))
        calls = {"_embedded": {"calls": [{"uuid": "leg2", "to": {"uri": f"wss://us{PATH}token"}}]}}
        content = json.dumps(calls).encode() if self.command == "GET" else b""
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_leg_is_hung_up_by_its_uuid_as_it_is(api: Api) -> None:
    await hang_up(api.account, "0A0000000123ABCD1")
    assert api.seen == [("PUT", "/v1/calls/0A0000000123ABCD1", {"action": "hangup"})]


async def test_leg_of_a_socket_is_found_by_its_address(api: Api) -> None:
    api.status = 200
    assert await find_leg(api.account, "CON-1", PATH) == "leg2"
    with pytest.raises(VonageError, match="lists no leg"):
        await find_leg(api.account, "CON-1", "/socket/other/")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "refused our token"), (404, "does not know this leg"), (429, "too many requests"), (500, "answered 500")],
)
async def test_refusals_are_sentences(api: Api, status: int, sentence: str) -> None:
    api.status = status
    with pytest.raises(VonageError, match=sentence):
        await hang_up(api.account, "leg")


async def test_without_server_or_key_it_says_so() -> None:
    with pytest.raises(VonageError, match="could not be reached"):
        await hang_up(Account("app", PEM, "http://127.0.0.1:9"), "leg")
    with pytest.raises(VonageError, match="no private key"):
        await hang_up(Account("app", ""), "leg")
    with pytest.raises(VonageError, match="cannot be used"):
        await hang_up(Account("app", "not a key"), "leg")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://api-eu-3.vonage.com", True),
        ("https://nexmo.com", True),
        ("http://api-eu-3.vonage.com", False),
        ("https://vonage.com.evil.example", False),
        ("https://evilvonage.com", False),
        ("", False),
    ],
)
def test_token_goes_only_to_hosts_of_vonage(url: str, may: bool) -> None:
    assert trusted(url) is may
    assert Account("app", PEM).base(url) == (url if may else "https://api.nexmo.com")
