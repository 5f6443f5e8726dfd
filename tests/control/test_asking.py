"""Knows that calls without news are asked for, and what becomes of them by the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from callflows.control.asking import QUIET, START, Asking
from callflows.models import Application, Call
from tests import dates
from tests.rest_server import Asked, Reply, RestServer, payload, rest_server

pytestmark = pytest.mark.django_db(transaction=True)

UUID = "7d3c5a10-2b4e-4f6a-9c8d-0e1f2a3b4c5d"
NOW = timezone.now()
LONG_AGO = NOW - timedelta(hours=1)
MISSING = Reply(404, {"type": "NOT_FOUND", "error_title": "Not Found"})


@pytest.fixture
def api(application: Application, settings: Settings) -> Iterator[RestServer]:
    with rest_server() as server:
        settings.TRUSTED_ORIGINS = [server.url]
        Application.objects.update(api_host=server.url)
        yield server
        assert not server.refused


def make_call(uuid: str = UUID, news: datetime = LONG_AGO, status: str = "answered", **fields: Any) -> Call:
    application = Application.objects.get()
    call = Call.objects.create(
        **{"uuid": uuid, "application": application, "created": LONG_AGO, "news": news, "status": status, **fields}
    )
    call.legs.create(uuid=uuid or None, room=f"CON-{call.pk}", status=status)
    return call


def ask(started: datetime = LONG_AGO - QUIET, now: datetime = NOW) -> int:
    """Ask as a worker that started then, here before all calls."""
    return Asking(started)(now)


def told(call: Call) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in call.timeline.order_by("id")]


def test_call_that_has_ended_is_ended_as_vonage_says(api: RestServer) -> None:
    call = make_call()
    api.replies = [Reply(200, payload("get_call_200_completed"))]
    assert ask() == 1
    call.refresh_from_db()
    assert (call.status, call.outcome) == ("completed", "")
    assert call.answered == dates.example(4)
    assert call.ended == dates.example(42)
    assert call.seconds == 38
    assert call.legs.get().status == "completed"
    assert told(call) == [("event", "Vonage says: completed, 0:38")]
    assert api.requests() == [("GET", f"/v1/calls/{UUID}", None)]


def test_times_of_the_older_form_are_read_as_well(api: RestServer) -> None:
    call = make_call()
    older = {"start_time": "2026-03-02 09:15:04", "end_time": "2026-03-02 09:16:11", "duration": "67"}
    api.replies = [Reply(200, {**payload("get_call_200_completed"), **older})]
    ask()
    call.refresh_from_db()
    assert call.seconds == 67
    assert told(call) == [("event", "Vonage says: completed, 1:07")]


@pytest.mark.parametrize("status", ["busy", "timeout", "failed", "rejected", "unanswered", "cancelled"])
def test_call_that_nobody_answered_keeps_the_reason(api: RestServer, status: str) -> None:
    call = make_call(status="ringing")
    api.replies = [Reply(200, {"uuid": UUID, "status": status, "duration": "0", "start_time": None, "end_time": None})]
    ask()
    call.refresh_from_db()
    assert (call.status, call.outcome, call.answered) == ("completed", status, None)
    assert told(call) == [("event", f"Vonage says: {status}, 0:00")]


def test_call_that_a_machine_answered_lives(api: RestServer) -> None:
    call = make_call(status="ringing")
    api.replies = [Reply(200, {"uuid": UUID, "status": "machine"})]
    ask()
    call.refresh_from_db()
    assert (call.status, call.outcome) == ("answered", "machine")


def test_call_that_lasts_is_left_and_not_asked_for_again_at_once(api: RestServer) -> None:
    call = make_call()
    assert ask() == 1
    call.refresh_from_db()
    assert (call.status, call.news, told(call)) == ("answered", NOW, [])
    assert ask(now=NOW + QUIET / 2) == 0
    assert ask(now=NOW + QUIET * 1.1) == 1


def test_what_came_later_than_the_answer_is_not_moved_back(api: RestServer) -> None:
    call = make_call()
    api.replies = [Reply(200, {"uuid": UUID, "status": "ringing"})]
    ask()
    call.refresh_from_db()
    assert call.status == "answered"


def test_only_calls_that_are_open_and_silent_are_asked_for(api: RestServer) -> None:
    make_call("ended", status="completed")
    make_call("busy", news=NOW - QUIET / 2)
    assert ask() == 0
    assert api.asked == []


def test_all_open_calls_are_asked_for_when_a_worker_starts_once(api: RestServer) -> None:
    """What was told while nobody listened is missing."""
    for uuid in ("one", "two"):
        make_call(uuid, news=NOW)
    later = Asking(NOW)
    assert later(NOW) == 2
    assert later(NOW + timedelta(seconds=30)) == 0
    assert ask(started=NOW + START / 2, now=NOW + START / 2) == 0
    assert ask(started=NOW + START * 2, now=NOW + START * 2) == 2
    Call.objects.update(created=NOW + START * 4)
    assert ask(started=NOW + START * 4, now=NOW + START * 4) == 0


def test_call_that_vonage_does_not_know_is_ended_as_unknown(api: RestServer) -> None:
    call = make_call()
    api.replies = [MISSING]
    ask()
    call.refresh_from_db()
    assert (call.status, call.outcome, call.ended) == ("completed", "unknown", NOW)
    assert told(call) == [("problem", "Vonage does not know this call any more: it ended, nobody knows when")]


def test_call_that_has_just_begun_is_not_ended_for_being_unknown(api: RestServer) -> None:
    call = make_call(news=NOW)
    api.replies = [MISSING]
    assert ask(started=NOW) == 1
    call.refresh_from_db()
    assert call.live


def test_call_known_by_its_conversation_only_is_looked_for_there(api: RestServer) -> None:
    call = make_call("")
    room = call.legs.get().room
    api.replies = [Reply(200, payload("list_calls_200"))]
    ask()
    call.refresh_from_db()
    assert (call.status, call.seconds) == ("completed", 38)
    assert [(each.path, each.query) for each in api.asked] == [("/v1/calls", {"conversation_uuid": room})]


@pytest.mark.parametrize("room", ["", "CON-1"])
def test_call_of_which_no_leg_was_ever_named_is_ended_as_unknown(api: RestServer, room: str) -> None:
    call = make_call("", status="")
    call.legs.update(room=room)
    api.replies = [Reply(200, {"count": 0, "_embedded": {"calls": []}})]
    ask()
    call.refresh_from_db()
    assert (call.status, call.outcome) == ("completed", "unknown")
    assert told(call) == [("problem", "No event ever named a leg of this call: it ended, nobody knows when")]
    assert len(api.asked) == (1 if room else 0)


def test_trouble_ends_the_round_for_its_application_and_is_one_line(
    api: RestServer, caplog: pytest.LogCaptureFixture
) -> None:
    calls = [make_call(f"call-{number}") for number in range(3)]
    api.answer = lambda asked: Reply(503)
    with caplog.at_level(logging.WARNING):
        assert ask() == 1
    assert len(api.asked) == len(caplog.records) == 1
    assert ask(now=NOW + timedelta(seconds=30)) == 1
    assert {each.path for each in api.asked} == {f"/v1/calls/{each.uuid}" for each in calls[:2]}
    assert all(each.live for each in Call.objects.all())
    assert all(each.news == LONG_AGO for each in Call.objects.all())


def test_call_that_cannot_be_asked_for_does_not_hold_up_others(api: RestServer) -> None:
    for number in range(3):
        make_call(f"call-{number}")
    api.replies = [Reply(400)]
    assert ask() == 3


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null"])
def test_answer_that_is_no_answer_changes_nothing(api: RestServer, body: bytes) -> None:
    call = make_call()
    api.replies = [Reply(200, body)]
    assert ask() == 1
    call.refresh_from_db()
    assert (call.live, call.news, told(call)) == (True, LONG_AGO, [])


def test_without_a_private_key_nothing_is_asked_and_nothing_logged(
    api: RestServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_call()
    monkeypatch.delenv("TEST_PRIVATE_KEY")
    assert ask() == 0
    monkeypatch.setenv("TEST_PRIVATE_KEY_FILE", "/nowhere")
    assert ask() == 0
    assert (api.asked, caplog.records) == ([], [])
    assert Call.objects.get().asked is None


def test_call_without_an_application_is_left_to_its_time_limit(api: RestServer) -> None:
    make_call(application=None)
    assert ask() == 0


def test_call_is_asked_for_at_the_host_that_holds_it(api: RestServer, settings: Settings) -> None:
    with rest_server() as region:
        settings.TRUSTED_ORIGINS = [api.url, region.url]
        make_call(region_url=region.url)
        make_call("other", region_url="https://evil.example")
        assert ask() == 2
        assert region.requests() == [("GET", f"/v1/calls/{UUID}", None)]
        assert api.requests() == [("GET", "/v1/calls/other", None)]


def test_token_of_a_socket_stays_out_of_the_timeline(api: RestServer) -> None:
    call = make_call()
    found = {**payload("get_call_200_completed"), "to": {"type": "websocket", "uri": "wss://us/socket/x/SECRET"}}
    api.replies = [Reply(200, found)]
    ask()
    assert "SECRET" not in str(call.timeline.get().data)


def test_of_many_workers_one_asks(api: RestServer) -> None:
    for number in range(5):
        make_call(f"call-{number}")

    def round_of(_: int) -> int:
        try:
            return ask()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(round_of, range(4)))
    assert sum(counts) == 5
    assert sorted(each.path for each in api.asked) == [f"/v1/calls/call-{number}" for number in range(5)]


def test_uuid_is_asked_for_as_it_is(api: RestServer) -> None:
    make_call("a/b?c d")
    seen: list[str] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked.path)
        return MISSING

    api.answer = answer
    ask()
    assert seen == ["/v1/calls/a%2Fb%3Fc%20d"]
