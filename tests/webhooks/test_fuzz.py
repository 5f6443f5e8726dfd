"""Knows that nothing that anybody sends breaks a webhook: it gets an answer, and leaves no traceback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callflows.models import Call, CallFlow
from callflows.webhooks.addresses import StepRef
from project.asgi import application as http
from project.logs import OneLine
from tests.lasting import lasting
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, make_flow, make_number, talk
from tests.signing import KEY, SECRET, bearer, compact

pytestmark = pytest.mark.django_db(transaction=True)

# 405, 413, 503 and 401, 400: what is refused in the order of the checks. 404: no webhook has this address.
KNOWN = {200, 204, 400, 401, 404, 405, 413, 503}
# It has no types of its own.
COMMUNICATOR: Any = ApplicationCommunicator
FUZZ = settings(max_examples=lasting(40, 800), suppress_health_check=list(HealthCheck))


@contextmanager
def no_traceback() -> Iterator[None]:
    """Fail when anything is logged with a traceback: an answer says the safe NCCO then, and hides the mistake."""
    found: list[str] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                found.append(logging.Formatter().format(record))

    watch = Watch()
    # As the settings' own handler: Django's tracebacks of refused requests become one line.
    watch.addFilter(OneLine())
    logging.getLogger().addHandler(watch)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(watch)
    assert not found, found[0]


def ask(method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Ask as a server hands a request on: bytes, decoded nowhere but in the path. Return the status."""

    async def run() -> int:
        scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": query}
        talk = COMMUNICATOR(http, {**scope, "headers": headers})
        await talk.send_input({"type": "http.request", "body": body, "more_body": False})
        status = int((await talk.receive_output(10))["status"])
        await talk.receive_output(10)
        await talk.wait(10)
        return status

    with no_traceback():
        return async_to_sync(run)()


# What Vonage's members may hold, and what they never do.

TEXTS = st.text(max_size=20) | st.sampled_from([NUMBER, CALLER, UUID, ROOM, "x" * 10_000, "a\0b", "{{ from }}", "{"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("uuid", "call_uuid", "conversation_uuid", "conversation_uuid_from", "conversation_uuid_to", "type"),
        *("to", "from", "from_user", "direction", "status", "sub_state", "detail", "sip_code", "disconnected_by"),
        *("timestamp", "start_time", "end_time", "duration", "rate", "price", "network", "headers", "custom_data"),
        *("dtmf", "speech", "payload", "reason", "original_request", "region_url", "endpoint_type", "SipHeader_X-A"),
        *("recording_url", "recording_uuid", "size", "transcription_url"),
    ]
)
WORDS = st.sampled_from(
    [
        *("started", "ringing", "answered", "completed", "busy", "cancelled", "timeout", "unanswered", "rejected"),
        *("failed", "disconnected", "human", "machine", "input", "record", "transcribed", "transfer", "beep_start"),
    ]
)
TIMES = st.sampled_from(["2026-03-02T09:15:05.000Z", "2026-03-02 09:15:05", "0001-01-01T00:00:00Z", "9999-12-31", ""])
MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, JSON | WORDS | TIMES, max_size=8)
IDS = st.sampled_from([{}, {"uuid": UUID}, {"conversation_uuid": ROOM}, {"uuid": UUID, "conversation_uuid": ROOM}])
DTMF = st.fixed_dictionaries({}, optional={"digits": JSON | st.sampled_from(["1", "9"]), "timed_out": JSON})
SPEECH = st.dictionaries(st.sampled_from(["results", "error", "timeout_reason", "recording_url"]), JSON)
INPUT = st.fixed_dictionaries({}, optional={"dtmf": DTMF, "speech": SPEECH, "original_request": JSON})
EVENTS = st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, MEMBERS, INPUT, IDS)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bodies that are nearly webhooks, and some that are nothing."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    return json.dumps(draw(EVENTS | JSON), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def values(event: dict[str, Any]) -> dict[str, str]:
    """Return an event as a query: nested members are JSON text."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in event.items()}


@pytest.fixture(autouse=True)
def served() -> None:
    menu = ("menu", "input", {"dtmf": {"maxDigits": 1}})
    branches = (("menu", "1", "bye"), ("menu", "nothing", "menu"), ("menu", "wrong", "echo"), ("echo", "failed", "bye"))
    make_number(make_flow(talk("hello", "Hello {{ from }}"), menu, ECHO, talk("bye"), branches=branches))


@pytest.fixture
def addresses() -> list[str]:
    """The webhooks' addresses, with those of steps of a call of ours."""
    flow = CallFlow.objects.get()
    call = Call.objects.create(uuid=UUID, number=flow.numbers.get(), flow=flow)
    refs = [StepRef(call.pk, flow.live_id or 0, step, 1) for step in ("hello", "menu", "echo", "gone")]
    own = [f"/webhooks/{kind}/{ref}" for ref in refs for kind in ("events", "answer")]
    return [*own, "/webhooks/answer", "/webhooks/events", "/webhooks/fallback"]


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@FUZZ
@given(body=bodies(), data=st.data())
def test_no_body_breaks_a_webhook(addresses: list[str], signed: bool, body: bytes, data: st.DataObject) -> None:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    with override_settings(SIGNATURE_SECRETS={KEY: [SECRET]} if signed else {}):
        if signed:
            headers.append((b"authorization", bearer(body, application_id=None).encode()))
        assert ask("POST", data.draw(st.sampled_from(addresses)), b"", headers, body) in KNOWN - {401, 404, 405, 503}


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@FUZZ
@given(event=EVENTS, data=st.data())
def test_no_query_breaks_a_webhook(
    addresses: list[str], signed: bool, event: dict[str, Any], data: st.DataObject
) -> None:
    query, headers = values(event), [(b"host", b"localhost")]
    with override_settings(SIGNATURE_SECRETS={KEY: [SECRET]} if signed else {}):
        if signed:
            headers.append((b"authorization", bearer(compact(query), application_id=None).encode()))
        text = urlencode(query, errors="surrogatepass").encode()
        address = data.draw(st.sampled_from(addresses))
        # Those of steps take POST alone.
        left = {405} if address.count("/") > 2 else KNOWN - {401, 404, 405, 503}
        assert ask("GET", address, text, headers, b"") in left


# As a server lets them through: a method is a token, a header has no control characters, a path was decoded.
METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]) | st.text("ABCXYZ-!#", min_size=1, max_size=10)
PATHS = st.sampled_from(["answer", "events", "fallback", "answer/", "events/x", ""]) | st.text(max_size=30)
HEADER = st.binary(max_size=40).map(lambda text: bytes(each for each in text if each >= 32 and each != 127))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"content-type", b"content-length", b"host", b"cookie", b"x-a", b"accept"]),
        HEADER | st.sampled_from([b"localhost", b"Bearer a.b.c", b"Bearer", b"text/plain; charset=x", b"5", b"-1"]),
    ),
    max_size=4,
)


@pytest.mark.parametrize("checked", [False, True], ids=["unchecked", "checked"])
@FUZZ
@given(method=METHODS, path=PATHS, query=st.binary(max_size=60), headers=HEADERS, body=bodies())
def test_no_request_breaks_a_webhook(
    checked: bool, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    with override_settings(SIGNATURE_SECRETS={KEY: [SECRET]} if checked else {}):
        named = headers if any(name == b"host" for name, _ in headers) else [(b"host", b"localhost"), *headers]
        assert ask(method, f"/webhooks/{path}", query, named, body) in KNOWN
