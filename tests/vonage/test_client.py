"""Knows what is tried again and what never, how long anything may take, and how a no sounds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from callflows.vonage import client as module
from callflows.vonage.account import Account, VonageError
from callflows.vonage.calls import create, hang_up, send_digits, switch, transfer
from callflows.vonage.client import Client, kept_connections
from callflows.vonage.pace import Limit
from tests.rest_server import APPLICATION, Reply, RestServer, payload, pem
from tests.stopwatch import Stopwatch

CALL = {"to": [{"type": "phone", "number": "447700900222"}]}


def test_kept_connections_are_used_again(client: Client, api: RestServer) -> None:
    for _ in range(3):
        client.request("GET", "/v1/calls")
    assert len(api.asked) == 3
    assert kept_connections() is kept_connections()


@pytest.mark.parametrize(("method", "attempts"), [("GET", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1)])
@pytest.mark.parametrize("reply", [Reply(500), Reply(503, b"<html>busy</html>"), Reply(broken=True)])
def test_only_what_is_safe_is_repeated(
    client: Client, api: RestServer, method: str, attempts: int, reply: Reply
) -> None:
    api.answer = lambda asked: reply
    with pytest.raises(VonageError) as failed:
        client.request(method, "/v1/calls/leg", json={} if method in ("PUT", "POST") else None)
    assert len(api.asked) == attempts
    assert failed.value.maybe


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_what_succeeds_at_last_is_a_success(client: Client, api: RestServer, method: str) -> None:
    api.replies = [Reply(429), Reply(429, payload("error_429_inferred")), Reply(429)]
    assert client.request(method, "/v1/calls").is_success
    assert len(api.asked) == 4


def test_429_is_given_up_after_four_attempts(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(429)
    with pytest.raises(VonageError, match="too many requests") as failed:
        create(client, CALL)
    assert len(api.asked) == 4
    assert not failed.value.maybe


def test_call_is_never_placed_twice_by_a_time_out(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(201, wait=30)
    with pytest.raises(VonageError, match="did not answer in time") as failed:
        create(replace(client, seconds=0.1), CALL)
    assert len(api.asked) == 1
    assert failed.value.maybe


def test_what_is_in_a_hurry_asks_once_and_ends_within_two_seconds(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(503, wait=0.0 if len(api.asked) == 1 else 30)
    watch = Stopwatch()
    for _ in range(2):
        with pytest.raises(VonageError):
            client.hurried().request("GET", "/v1/calls")
    assert len(api.asked) == 2
    assert watch.seconds() < 2


def test_digits_and_transfers_are_not_sent_twice(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(500)
    with pytest.raises(VonageError, match="trouble"):
        send_digits(client, "leg", "1")
    with pytest.raises(VonageError, match="trouble"):
        transfer(client, "leg", ncco=[])
    assert len(api.asked) == 2


def test_answer_that_comes_drop_by_drop_is_cut_off(
    client: Client, api: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)
    api.replies = [Reply(200, b"x" * 1000, drip=0.02)]
    watch = Stopwatch()
    with pytest.raises(VonageError, match="did not answer in time"):
        client.request("GET", "/v1/calls", repeatable=False)
    assert watch.seconds() < 5


def test_answer_without_end_is_cut_off(client: Client, api: RestServer) -> None:
    api.replies = [Reply(200, b"x" * (2 << 20))]
    with pytest.raises(VonageError, match="not complete"):
        client.request("GET", "/v1/calls", repeatable=False)


def test_nothing_begins_after_a_while(client: Client, api: RestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEGIN_SECONDS", -1.0)
    api.answer = lambda asked: Reply(503)
    with pytest.raises(VonageError):
        client.request("GET", "/v1/calls")
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("after", "slept"), [("", [0.25, 1.0, 2.0]), ("2", [2.0, 2.0, 2.0]), ("60", [3.0] * 3), ("soon", [0.25, 1.0, 2.0])]
)
def test_pauses_grow_and_retry_after_counts_up_to_a_bound(
    api: RestServer, monkeypatch: pytest.MonkeyPatch, after: str, slept: list[float]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    api.answer = lambda asked: Reply(429, headers={"Retry-After": after} if after else {})
    with pytest.raises(VonageError):
        Client(api.account).request("POST", "/v1/calls")
    assert pauses == slept


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_token_is_taken_to_no_other_place(client: Client, api: RestServer, status: int) -> None:
    api.answer = lambda asked: Reply(status, headers={"Location": "https://evil.example/v1/calls?x=1"})
    with pytest.raises(VonageError, match=f"answered {status}, a redirect to evil.example; our token is not taken"):
        client.request("GET", "/v1/calls")
    assert len(api.asked) == 1


@pytest.mark.parametrize("url", ["https://evil-vonage.com/v1", "//evil.example/x", "http://api.nexmo.com/v1/files/1"])
def test_address_elsewhere_is_not_asked(client: Client, api: RestServer, url: str) -> None:
    with pytest.raises(VonageError, match="none of Vonage's hosts"):
        client.request("GET", url)
    assert not api.asked


def test_region_that_may_not_see_the_token_is_not_used(api: RestServer) -> None:
    Client(api.account, region_url="https://evil-vonage.com").request("GET", "/v1/calls/leg")
    Client(api.account).request("GET", "/v1/calls/leg", "http://127.0.0.1:1")
    assert len(api.asked) == 2


def test_region_of_the_call_is_used(api: RestServer) -> None:
    elsewhere = replace(api.account, host="https://api.nexmo.com")
    Client(elsewhere, region_url=api.url).request("GET", "/v1/calls/leg")
    Client(elsewhere).request("GET", "/v1/calls/leg", region_url=api.url + "/")
    assert [each.path for each in api.asked] == ["/v1/calls/leg"] * 2


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(401, payload("error_401")), "check the application's id and private key (Unauthorized)"),
        (Reply(402), "check the account's balance"),
        (Reply(403, {"title": "Forbidden", "detail": "Not  yours\n"}), "to the application (Forbidden: Not yours)"),
        (Reply(404, payload("error_404_inferred")), "or live in another region (Not Found)"),
        (Reply(429, payload("error_429_inferred")), "refused for now: too many requests (Too Many Requests)"),
        (
            Reply(400, payload("error_400_invalid_parameter")),
            "Vonage answered 400 (Bad Request: event_url: Invalid type parameter provided)",
        ),
        (Reply(400, payload("error_400_too_early")), "Vonage answered 400 (Bad Request)"),
        (
            Reply(400, {"type": "https://developer.vonage.com/x", "title": "Bad", "detail": "No", "instance": "1"}),
            "Vonage answered 400 (Bad: No)",
        ),
        (Reply(400, b""), "Vonage answered 400"),
        (Reply(400, b"[1]"), "Vonage answered 400"),
        (Reply(400, {"title": 1, "error_title": ["x"], "invalid_parameters": ["x", {"name": 1}]}), "answered 400"),
        (Reply(400, b"[" * 100_000), "Vonage answered 400"),
        (Reply(500, b"<html>oops</html>"), "Vonage answered 500: its platform has trouble"),
    ],
)
def test_refusals_are_sentences(api: RestServer, reply: Reply, sentence: str) -> None:
    api.answer = lambda asked: reply
    with pytest.raises(VonageError) as failed:
        Client(api.account, pauses=()).request("GET", "/v1/calls/leg")
    assert str(failed.value).endswith(sentence)
    assert failed.value.status == reply.status


def test_nobody_there_is_a_sentence() -> None:
    nowhere = Account(APPLICATION, pem(), "http://127.0.0.1:9", ("http://127.0.0.1:9",))
    with pytest.raises(VonageError, match="could not be reached") as failed:
        hang_up(Client(nowhere, pauses=()), "leg")
    assert not failed.value.maybe


def test_redirect_to_nowhere_is_a_sentence_too(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(302, headers={"Location": "http://[oops"})
    with pytest.raises(VonageError, match="a redirect to elsewhere"):
        client.request("GET", "/v1/calls")


def test_each_attempt_waits_for_its_turn(api: RestServer) -> None:
    taken: list[tuple[str, float]] = []

    def reserve(limit: Limit, most: float) -> float:
        taken.append((limit.name, most))
        return 0.0

    paced = Client(api.account, reserve, most_wait=3.0, pauses=(0.0,))
    api.replies = [Reply(429)]
    create(paced, CALL)
    switch(paced, "leg", "mute")
    assert taken == [("calls", 3.0), ("calls", 3.0), ("requests", 3.0)]


@pytest.mark.parametrize(("call", "sentence"), [(True, "3 calls a second"), (False, "15 requests a second")])
def test_too_many_waiting_is_a_sentence(api: RestServer, call: bool, sentence: str) -> None:
    full: Any = Client(api.account, lambda limit, most: None)
    with pytest.raises(VonageError, match=f"takes {sentence}, and more than 5 s of them wait already"):
        create(full, CALL) if call else hang_up(full, "leg")
    assert not api.asked
