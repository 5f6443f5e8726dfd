"""Knows how the fake signs its webhooks and the handshakes of its sockets."""

from __future__ import annotations

import hashlib
from typing import Any

import jwt
import pytest

from callflows.payloads.signature import of_get, of_handshake, of_post, verify
from callflows.simulator.account import APPLICATION
from callflows.simulator.knobs import Knobs
from tests.simulator.world import STAYS, Series, World, payload, run, socket

TALK = {"action": "talk", "text": "x" * 30}
GOODBYE = [{"action": "talk", "text": "Goodbye."}]
KEYS = {"action": "input", "type": ["dtmf"], "dtmf": {"timeOut": 1}}
SECRET = "fixture-signature-secret-0123456789abcdef"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_webhooks_are_signed_for_exactly_what_is_sent(method: str) -> None:
    world = run(*GOODBYE, secret=SECRET, method=method)
    now, key = world.platform.began.timestamp(), world.platform.account.api_key
    ids = set()
    for fetch in world.requests:
        material = of_get(fetch.query) if fetch.content is None else of_post(fetch.content)
        token = verify(fetch.headers["Authorization"], material, {key: [SECRET]}, now)
        assert (token.application_id, token.notes) == (APPLICATION, ())
        ids.add(token.jti)
    assert len(ids) == len(world.requests)


def test_the_claims_are_those_of_the_contract() -> None:
    fetch = run(*GOODBYE, secret=SECRET).requests[-1]
    token = fetch.headers["Authorization"].removeprefix("Bearer ")
    example = payload("signed/post_vector")["claims"]
    assert jwt.decode(token, SECRET, ["HS256"], options={"verify_iat": False}).keys() == example.keys()
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


def test_without_a_secret_nothing_is_signed() -> None:
    assert not any(fetch.headers for fetch in run(*GOODBYE).requests)


def test_an_unsigned_webhook_that_is_answered_with_503_comes_again_signed() -> None:
    knobs = Knobs(unsigned_rate=1.0)
    world = World(Series([(503, "", b""), GOODBYE]), secret=SECRET, knobs=knobs)
    world.replies = {"started": [(503, "", b""), None]}
    world.call_in(STAYS)
    world.go()
    for word in ("answer", "started"):
        asked = [fetch for fetch in world.requests if word in fetch.url or (fetch.body or {}).get("status") == word]
        assert [bool(fetch.headers) for fetch in asked] == [False, True]


@pytest.mark.parametrize("hash_of_nothing", [False, True])
def test_a_handshake_carries_the_same_kind_of_token(hash_of_nothing: bool) -> None:
    connect = socket()
    connect["endpoint"][0]["authorization"] = {"type": "vonage"}
    world = run(connect, secret=SECRET, knobs=Knobs(ws_payload_hash=hash_of_nothing))
    authorization = world.opens[0].authorization
    verify(authorization, of_handshake(), {world.platform.account.api_key: [SECRET]}, world.platform.began.timestamp())
    claims = jwt.decode(authorization.removeprefix("Bearer "), options={"verify_signature": False})
    assert claims.get("payload_hash") == (hashlib.sha256(b"").hexdigest() if hash_of_nothing else None)


@pytest.mark.parametrize(
    ("authorization", "header"), [(None, ""), ({"type": "custom", "value": "Bearer abc123"}, "Bearer abc123")]
)
def test_a_handshake_carries_a_value_of_ones_own_or_nothing(authorization: Any, header: str) -> None:
    connect = socket()
    if authorization:
        connect["endpoint"][0]["authorization"] = authorization
    assert run(connect, secret=SECRET).opens[0].authorization == header
