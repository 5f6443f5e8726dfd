"""Knows that our requests have the form of the fixtures, and that answers of every form are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from callflows.vonage import calls
from callflows.vonage.account import VonageError
from callflows.vonage.client import Client
from tests.rest_server import CREATED, Reply, RestServer, payload

LEG = "0A0000000123ABCD1"
PATH = "/socket/line1/"
Act = Callable[[Client], object]


@pytest.mark.parametrize(
    ("act", "method", "path", "body"),
    [
        (lambda c: calls.hang_up(c, LEG), "PUT", "", "modify_hangup"),
        (lambda c: calls.switch(c, LEG, "mute"), "PUT", "", "modify_mute"),
        (lambda c: calls.switch(c, LEG, "unmute"), "PUT", "", "modify_unmute"),
        (lambda c: calls.switch(c, LEG, "earmuff"), "PUT", "", "modify_earmuff"),
        (lambda c: calls.switch(c, LEG, "unearmuff"), "PUT", "", "modify_unearmuff"),
        (
            lambda c: calls.transfer(c, LEG, ncco=[{"action": "talk", "text": "Moved."}]),
            "PUT",
            "",
            "modify_transfer_ncco",
        ),
        (lambda c: calls.transfer(c, LEG, url="https://app.example.com/hooks/next"), "PUT", "", "modify_transfer_url"),
        (
            lambda c: calls.play(c, LEG, "https://cdn.example.com/hold.mp3", 0, 0.4),
            "PUT",
            "/stream",
            "stream_start_request",
        ),
        (lambda c: calls.stop_playing(c, LEG), "DELETE", "/stream", None),
        (lambda c: calls.talk(c, LEG, "One moment", "en-GB"), "PUT", "/talk", "talk_start_request"),
        (lambda c: calls.stop_talking(c, LEG), "DELETE", "/talk", None),
        (lambda c: calls.send_digits(c, LEG, "17p13#"), "PUT", "/dtmf", "dtmf_request"),
        (
            lambda c: calls.subscribe_digits(c, LEG, "https://app.example.com/hooks/event"),
            "PUT",
            "/input/dtmf",
            "input_dtmf_subscribe_request",
        ),
        (lambda c: calls.unsubscribe_digits(c, LEG), "DELETE", "/input/dtmf", None),
    ],
)
def test_request_has_the_form_of_the_fixture(
    client: Client, api: RestServer, act: Act, method: str, path: str, body: str | None
) -> None:
    act(client)
    assert api.requests() == [(method, f"/v1/calls/{LEG}{path}", payload(body) if body else None)]


@pytest.mark.parametrize("name", ["ncco", "answer_url", "websocket"])
def test_call_is_placed_with_what_it_was_told(client: Client, api: RestServer, name: str) -> None:
    body = payload(f"create_call_request_{name}")
    assert calls.create(client, body) == CREATED == payload("create_call_201")
    assert api.requests() == [("POST", "/v1/calls", body)]


def test_leg_goes_back_byte_for_byte(client: Client, api: RestServer) -> None:
    calls.hang_up(client, "a/b ?c")
    assert api.asked[0].path == "/v1/calls/a%2Fb%20%3Fc"


@pytest.mark.parametrize("leg", ["", ".", ".."])
def test_leg_that_would_be_another_address_is_refused(client: Client, api: RestServer, leg: str) -> None:
    with pytest.raises(VonageError, match="no event has named the leg yet"):
        calls.hang_up(client, leg)
    assert not api.asked


def test_hang_up_that_comes_too_early_is_asked_again(client: Client, api: RestServer) -> None:
    early = Reply(400, payload("error_400_too_early"))
    api.replies = [early, early]
    calls.hang_up(client, LEG, pauses=(0.0, 0.0, 0.0))
    assert len(api.asked) == 3
    api.answer = lambda asked: early
    with pytest.raises(VonageError, match="400"):
        calls.hang_up(client, LEG, pauses=(0.0, 0.0, 0.0))
    assert len(api.asked) == 3 + 4
    assert sum(calls.EARLY_SECONDS) > 2


def test_leg_that_is_gone_is_not_asked_again(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: Reply(404, payload("error_404_inferred"))
    with pytest.raises(VonageError, match="does not know this leg"):
        calls.hang_up(client, LEG)
    assert len(api.asked) == 1


def test_transfer_goes_to_one_place(client: Client) -> None:
    with pytest.raises(ValueError, match="either ncco or url"):
        calls.transfer(client, LEG)
    with pytest.raises(ValueError, match="either ncco or url"):
        calls.transfer(client, LEG, ncco=[], url="https://app.example.com/x")


@pytest.mark.parametrize("name", ["in_progress", "completed"])
def test_call_is_asked_for(client: Client, api: RestServer, name: str) -> None:
    api.replies = [Reply(200, payload(f"get_call_200_{name}"))]
    assert calls.get(client, LEG) == payload(f"get_call_200_{name}")
    assert api.requests() == [("GET", f"/v1/calls/{LEG}", None)]


@pytest.mark.parametrize("body", [b"", b"oops", b"[]", b"null", b"[" * 100_000])
def test_answer_of_another_form_is_a_sentence(client: Client, api: RestServer, body: bytes) -> None:
    api.replies = [Reply(200, body)]
    with pytest.raises(VonageError, match="something else than the JSON object"):
        calls.get(client, LEG)


def page(count: int, *uuids: str) -> Reply:
    found = [{"uuid": each, "to": {"type": "websocket", "uri": f"wss://us/socket/{each}/token"}} for each in uuids]
    return Reply(200, {"count": count, "_embedded": {"calls": found}})


def test_list_is_read_page_after_page(client: Client, api: RestServer) -> None:
    api.replies = [page(3, "a", "b"), page(3, "c")]
    assert [each["uuid"] for each in calls.listed(client, status="answered")] == ["a", "b", "c"]
    assert [each.query for each in api.asked] == [
        {"page_size": "100", "record_index": "0", "status": "answered"},
        {"page_size": "100", "record_index": "2", "status": "answered"},
    ]


def test_list_of_the_fixture_is_read(client: Client, api: RestServer) -> None:
    api.replies = [Reply(200, payload("list_calls_200")), page(21)]
    (call,) = calls.listed(client)
    assert call == payload("get_call_200_completed")


@pytest.mark.parametrize("body", [{}, {"_embedded": []}, {"_embedded": {"calls": None}}, {"count": "x"}])
def test_list_of_another_form_is_empty(client: Client, api: RestServer, body: Any) -> None:
    api.answer = lambda asked: Reply(200, {"count": 1, **body})
    assert list(calls.listed(client)) == []


def test_list_without_end_ends(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: page(10**9, "a")
    assert len(list(calls.listed(client))) == calls.PAGES


def test_leg_of_a_socket_is_found_by_its_address(client: Client, api: RestServer) -> None:
    api.answer = lambda asked: page(2, "line1", "line2")
    assert calls.find_leg(client, "CON-1", PATH) == "line1"
    assert api.asked[0].query["conversation_uuid"] == "CON-1"
    with pytest.raises(VonageError, match="lists no leg"):
        calls.find_leg(client, "CON-1", "/socket/other/")
