"""Knows an account at Vonage as sections 7.11 and 7.12 of the contract tell it: a local server for tests."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local_server import running

PAYLOADS = Path(__file__).parent.parent / "payloads" / "setup"
WITH_MORE = "applications/get_200_other_capabilities"
KEY, SECRET = "abcd1234", "not-a-real-secret"
HOOK_MEMBERS = ("http_method", "address", "socket_timeout", "connect_timeout")
TIMES = {"answer_url": 5000, "fallback_answer_url": 5000, "event_url": 10000}
NUMBER_SETTINGS = (
    *("app_id", "voiceCallbackType", "voiceCallbackValue", "voiceStatusCallback"),
    *("moHttpUrl", "messagesCallbackType", "messagesCallbackValue", "moSmppSysType"),
)


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@cache
def key_pair(which: int = 0) -> tuple[str, str]:
    """Return a private key and its public key, PEM; the same for the same ``which``."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass
class Reply:
    """What the server answers."""

    status: int = 200
    body: Any = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    # Held back until this is set.
    after: threading.Event | None = None

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode() if self.body is not None else b""


def number_error(code: int, label: str) -> Reply:
    return Reply(code, {"error-code": str(code), "error-code-label": label})


def refused(detail: str, **more: Any) -> Reply:
    kind = "https://developer.nexmo.com/api-errors/application#payload-validation"
    return Reply(400, {"type": kind, "instance": str(uuid.uuid4()), "title": "Bad Request", "detail": detail, **more})


DONE = {"error-code": "200", "error-code-label": "success"}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.content.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Account(ThreadingHTTPServer):
    """One account: its applications, its numbers, and what is for sale."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.applications: dict[str, dict[str, Any]] = {}
        self.numbers: list[dict[str, Any]] = []
        self.pool: list[dict[str, Any]] = []
        self.seen: list[Request] = []
        self.empty: dict[str, Any] = {}
        # Answers that come instead, once each; and what happens before the next answer to a request.
        self.instead: list[tuple[str, str, Reply | Callable[[], Reply]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, application: dict[str, Any]) -> str:
        self.applications[application["id"]] = application
        return str(application["id"])

    def next(self, method: str, path: str, *replies: Reply | Callable[[], Reply]) -> None:
        """Answer the next requests of this kind so."""
        self.instead += [(method, path, each) for each in replies]

    def asked(self, method: str, path: str = "") -> list[Request]:
        return [each for each in self.seen if each.method == method and each.path.startswith(path)]

    def answer(self, request: Request) -> Reply:
        self.seen.append(request)
        for each in self.instead:
            if (each[0], each[1]) == (request.method, request.path):
                self.instead.remove(each)
                return each[2] if isinstance(each[2], Reply) else each[2]()
        about_applications = request.path.startswith("/v2/applications")
        if request.headers.get("authorization") != f"Basic {b64encode(f'{KEY}:{SECRET}'.encode()).decode()}":
            return Reply(401, payload(f"{'applications' if about_applications else 'numbers'}/error_401"))
        if "application/json" not in request.headers.get("accept", ""):
            return Reply(406, {"title": "Invalid accept header"})
        return self._applications(request) if about_applications else self._numbers(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    # Applications

    def _applications(self, request: Request) -> Reply:
        application_id = request.path.removeprefix("/v2/applications").strip("/")
        if request.method == "GET" and not application_id:
            return self._list(request)
        if application_id and application_id not in self.applications:
            return Reply(404, payload("applications/error_404"))
        if request.method == "GET":
            return Reply(200, self.applications[application_id])
        if request.headers.get("content-type") != "application/json":
            return Reply(415, {"title": "Unsupported media type"})
        if problem := invalid(request.json):
            return problem
        return self._put(application_id, request.json) if request.method == "PUT" else self._create(request.json)

    def _list(self, request: Request) -> Reply:
        size, page = int(request.query.get("page_size", "10")), int(request.query.get("page", "1"))
        found = list(self.applications.values())
        pages = -(-len(found) // size)
        links = {"next": {"href": f"/v2/applications?page_size={size}&page={page + 1}"}} if page < pages else {}
        some = {"applications": found[size * (page - 1) : size * page]}
        body = {"page_size": size, "page": page, "total_items": len(found), "total_pages": pages}
        return Reply(200, {**body, "_embedded": some, "_links": links})

    def _create(self, body: dict[str, Any]) -> Reply:
        made = self._stored(str(uuid.uuid4()), body)
        private, public = key_pair()
        if "keys" not in body:
            made["keys"] = {"public_key": public}
        answer = deepcopy(made)
        if "keys" not in body:
            answer["keys"]["private_key"] = private
        return Reply(201, answer)

    def _put(self, application_id: str, body: dict[str, Any]) -> Reply:
        """Replace the whole application; the public key survives."""
        keys = self.applications[application_id].get("keys")
        self._stored(application_id, {"keys": keys, **body})
        return Reply(200, self.applications[application_id])

    def _stored(self, application_id: str, body: dict[str, Any]) -> dict[str, Any]:
        links = {"self": {"href": f"/v2/applications/{application_id}"}}
        self.add({"capabilities": {}, **deepcopy(body), "id": application_id, "_links": links})
        return self.applications[application_id]

    # Numbers

    def _numbers(self, request: Request) -> Reply:
        if request.method == "GET":
            owned = request.path == "/account/numbers"
            if not owned and "country" not in request.query:
                return Reply(400, payload("numbers/error_400_missing_country"))
            return self._found(self.numbers if owned else self.pool, request.query)
        encoded = request.headers.get("content-type") == "application/x-www-form-urlencoded"
        form = request.form if encoded else {}
        for name in ("country", "msisdn"):
            if not form.get(name):
                return Reply(400, {name: "Is required."})
        return self._buy(form) if request.path == "/number/buy" else self._update(form)

    def _found(self, numbers: list[dict[str, Any]], query: dict[str, str]) -> Reply:
        wanted, how = query.get("pattern", ""), query.get("search_pattern", "0")
        fits = {"0": str.startswith, "1": str.__contains__, "2": str.endswith}[how]
        found = [each for each in numbers if fits(each["msisdn"], wanted)]
        for name, member in (("application_id", "app_id"), ("country", "country"), ("type", "type")):
            found = [each for each in found if query.get(name) in (None, each.get(member))]
        asked = set(filter(None, query.get("features", "").split(",")))
        found = [each for each in found if asked <= set(each.get("features") or [])]
        size, index = int(query.get("size", "10")), int(query.get("index", "1"))
        some = found[size * (index - 1) : size * index]
        return Reply(200, {"count": len(found), "numbers": some} if found else self.empty)

    def _buy(self, form: dict[str, str]) -> Reply:
        found = [each for each in self.pool if (each["msisdn"], each["country"]) == (form["msisdn"], form["country"])]
        if not found:
            return Reply(420, payload("numbers/error_420_method_failed"))
        self.pool.remove(found[0])
        self.numbers.append({name: found[0][name] for name in ("country", "msisdn", "type", "features")})
        return Reply(200, DONE)

    def _update(self, form: dict[str, str]) -> Reply:
        """Replace the number's settings: what the form does not hold is gone."""
        number = next((each for each in self.numbers if each["msisdn"] == form["msisdn"]), None)
        if number is None or any(not value for value in form.values()):
            return Reply(420, payload("numbers/error_420_method_failed"))
        if form.get("voiceCallbackType") == "app":
            return Reply(500, b"")
        for name in NUMBER_SETTINGS:
            number.pop(name, None)
        number.update({name: form[name] for name in NUMBER_SETTINGS if name in form})
        if "app_id" in form and "voiceCallbackType" not in form:
            number.update(voiceCallbackType="app", voiceCallbackValue=form["app_id"])
        return Reply(200, DONE)


def invalid(body: dict[str, Any]) -> Reply | None:
    """Return why the Applications API refuses a body."""
    if isinstance(body.get("capabilities"), list):
        return Reply(500, b"")
    keys = body.get("keys") or {}
    for name in ({"_links", "id"} & body.keys()) | ({"private_key"} & keys.keys()):
        return refused(f"{name} is not a known json property")
    if not body.get("name"):
        return refused("The request failed", invalid_parameters=[{"name": "name", "reason": "is required"}])
    voice = (body.get("capabilities") or {}).get("voice") or {}
    for name, hook in voice.get("webhooks", {}).items():
        for member in hook.keys() - set(HOOK_MEMBERS):
            text = payload("applications/error_400_unknown_member")["detail"]
            return refused(text.replace("connection_timeout", member))
        if wrong := bad_value(hook, TIMES[name]):
            where = f"capabilities.voice.webhooks.{name}.{wrong[0]}"
            return refused("The request failed", invalid_parameters=[{"name": where, "reason": wrong[1]}])
    return None


def bad_value(hook: dict[str, Any], most: int) -> tuple[str, str] | None:
    if hook.get("http_method") not in ("GET", "POST"):
        return "http_method", "must be one of: GET, POST"
    if not 300 <= hook.get("connect_timeout", 1000) <= 1000:
        return "connect_timeout", "must be between 300 and 1000"
    if not 1000 <= hook.get("socket_timeout", most) <= most:
        return "socket_timeout", f"must be between 1000 and {most}"
    return None


class Handler(BaseHTTPRequestHandler):
    server: Account

    def answer(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, content))
        if reply.after:
            reply.after.wait(30)
        self.send_response(reply.status)
        for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[Account]:
    account = Account()
    with running(account):
        yield account
