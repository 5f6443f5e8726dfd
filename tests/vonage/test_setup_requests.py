"""Requests that set an account up: signed with Basic auth, bounded, sent again only where that is safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx2
import pytest

from callflows.vonage import setup
from callflows.vonage.account import VonageError
from callflows.vonage.numbers import Numbers
from callflows.vonage.setup import Credentials, Sender, plain
from tests.vonage.setup_account import SECRET, Account, Reply, payload
from tests.vonage.setup_desk import CREDENTIALS, Clock

PATH = "/v2/applications"
TOO_MANY = Reply(429, payload("numbers/error_429_inferred"))


@pytest.fixture
def sender(account: Account, clock: Clock) -> Sender:
    return Sender(CREDENTIALS, account.url)


@pytest.fixture
def held_back(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reply]:
    """An answer that comes too late."""
    monkeypatch.setattr(setup, "TIMEOUT", httpx2.Timeout(0.1))
    reply = Reply(200, {}, after=threading.Event())
    yield reply
    assert reply.after
    reply.after.set()


def failure(sender: Sender, method: str = "GET") -> VonageError:
    with pytest.raises(VonageError) as raised:
        sender.json(method, PATH)
    assert SECRET not in str(raised.value)
    return raised.value


def test_request_has_basic_auth_and_asks_for_json(account: Account, sender: Sender) -> None:
    sender.json("GET", PATH)
    assert account.seen[0].headers["authorization"].startswith("Basic ")
    assert account.seen[0].headers["accept"] == "application/json"


def test_wrong_credentials_are_told_by_the_names_of_their_variables(account: Account, clock: Clock) -> None:
    error = failure(Sender(Credentials("abcd1234", "wrong"), account.url))
    assert str(error) == "Vonage refused the API key and secret: check VONAGE_API_KEY and VONAGE_API_SECRET"
    assert error.status == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_too_many_requests_are_sent_again_with_growing_pauses(
    account: Account, sender: Sender, clock: Clock, method: str
) -> None:
    account.next(method, PATH, TOO_MANY, TOO_MANY, TOO_MANY, Reply(200, {"ok": True}))
    assert sender.json(method, PATH) == {"ok": True}
    assert clock.slept == [1.0, 3.0, 6.0]


def test_pause_that_vonage_asks_for_is_kept_up_to_half_a_minute(account: Account, sender: Sender, clock: Clock) -> None:
    account.next("GET", PATH, *(Reply(429, headers={"Retry-After": each}) for each in ("9", "3600", "soon")))
    sender.json("GET", PATH)
    assert clock.slept == [9.0, 30.0, 6.0]


def test_four_refusals_in_a_row_are_told(account: Account, sender: Sender) -> None:
    account.next("GET", PATH, *[TOO_MANY] * 4)
    assert "too many requests; try again in a minute" in str(failure(sender))
    assert len(account.seen) == 4


def test_failed_read_is_sent_again(account: Account, sender: Sender) -> None:
    account.next("GET", PATH, Reply(503, b""), Reply(200, {}))
    assert sender.json("GET", PATH) == {}


def test_failed_write_is_sent_once_and_known_to_be_unclear(account: Account, sender: Sender) -> None:
    account.next("POST", PATH, Reply(500, b""))
    error = failure(sender, "POST")
    assert str(error) == "Vonage answered 500: it gave no reason"
    assert (error.status, error.maybe, len(account.seen)) == (500, True, 1)


@pytest.mark.parametrize(("method", "unclear"), [("GET", False), ("POST", True)])
def test_slow_answer_is_given_up(
    account: Account, sender: Sender, held_back: Reply, method: str, unclear: bool
) -> None:
    account.next(method, PATH, held_back)
    error = failure(sender, method)
    assert "did not answer in time" in str(error)
    assert error.maybe is unclear


def test_host_that_is_away_is_named(clock: Clock) -> None:
    error = failure(Sender(CREDENTIALS, "http://127.0.0.1:1"), "POST")
    assert str(error).startswith("http://127.0.0.1:1: Vonage could not be reached")
    assert not error.maybe


@pytest.mark.parametrize(
    ("reply", "got"),
    [
        (Reply(200, b""), "0 bytes of application/json"),
        (Reply(200, b"<html>", "text/html"), "6 bytes of text/html"),
        (Reply(200, []), "2 bytes of application/json"),
        (Reply(200, b"\xff{"), "2 bytes of application/json"),
        (Reply(200, b"[" * 100_000), "100000 bytes of application/json"),
    ],
)
def test_answer_that_is_no_json_object_is_told(account: Account, sender: Sender, reply: Reply, got: str) -> None:
    account.next("GET", PATH, reply)
    assert str(failure(sender)) == f"Vonage answered 200: expected a JSON object, got {got}"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            Reply(400, payload("applications/error_400_invalid_parameter")),
            "Bad Request: The request failed due to validation errors: "
            "capabilities.voice.webhooks.answer_url.http_method: must be one of: GET, POST",
        ),
        (Reply(400, payload("numbers/error_400_missing_country")), "country: Is required."),
        (Reply(420, payload("numbers/error_420_method_failed")), "method failed"),
        (Reply(502, b"<html>Bad gateway</html>", "text/html"), "it gave no reason"),
        (Reply(400, {"title": "one\x1b[2J\ntwo"}), "one [2J two"),
    ],
)
def test_reason_is_read_in_every_shape(account: Account, sender: Sender, reply: Reply, text: str) -> None:
    account.next("POST", PATH, reply)
    assert str(failure(sender, "POST")) == f"Vonage answered {reply.status}: {text}"


def test_redirect_is_not_followed(account: Account, sender: Sender) -> None:
    account.next("GET", PATH, Reply(302, headers={"Location": f"{account.url}/elsewhere"}))
    assert "a redirect to" in str(failure(sender))
    assert len(account.seen) == 1


def test_secret_is_not_sent_unencrypted() -> None:
    with pytest.raises(VonageError, match="unencrypted: expected https://host"):
        Sender(CREDENTIALS, "http://fake.example.com")
    Sender(Credentials("abcd1234", SECRET, trusted=("http://fake.example.com",)), "http://fake.example.com")
    assert SECRET not in repr(CREDENTIALS)


def test_numbers_are_asked_once_a_second(account: Account, clock: Clock) -> None:
    numbers = Numbers(CREDENTIALS, account.url)
    for _ in range(3):
        numbers.own("447700900101")
    assert clock.slept == [1.0, 1.0]


def test_text_for_a_terminal_is_one_bounded_line() -> None:
    assert plain(" a\tb\u202e ") == "a b"
    assert plain("x" * 500) == "x" * 400 + "..."
