"""The fake's Voice API answers as the contract's section 7 says, body for body."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from callflows.simulator.platform import Kind
from tests.rest_server import payload
from tests.simulator.rest_world import BEGAN, CONVERSATION, LEG, OURS, World

CALL = f"/v1/calls/{LEG}"
DEFAULTS = {"length_timer": 7200, "ringing_timer": 60}


# Read


def test_slash_at_the_end_leads_nowhere_unless_the_knob_drops_it() -> None:
    """Contract 11.5."""
    body = payload("create_call_request_ncco")
    for path in ("/v1/calls/", f"{CALL}/", "/v2/applications/"):
        assert World().ask("GET", path).status == 404
    assert World().ask("POST", "/v1/calls/", body).status == 404
    before = World(trailing_slash="dropped")
    assert before.ask("GET", "/v1/calls/").status == 200
    assert before.ask("POST", "/v1/calls/", body).status == 201


def test_a_live_call_shows_no_cost(live: World) -> None:
    assert live.ask("GET", CALL).json() == payload("get_call_200_in_progress")


def test_a_finished_call_shows_what_it_cost_as_text(live: World) -> None:
    leg = live.platform.legs[LEG]
    leg.status, leg.answered, leg.ended = "completed", BEGAN + timedelta(seconds=4), BEGAN + timedelta(seconds=42)
    expected = payload("get_call_200_completed")
    found = live.ask("GET", CALL).json()
    # What a minute costs is Vonage's own affair.
    assert found == {**expected, "rate": found["rate"], "price": found["price"]}
    assert all(isinstance(found[name], str) for name in ("rate", "price", "duration"))


def test_a_call_that_nobody_answered_has_no_start(live: World) -> None:
    leg = live.platform.legs[LEG]
    leg.status, leg.ended = "busy", BEGAN + timedelta(seconds=3)
    found = live.ask("GET", CALL).json()
    assert (found["status"], found["duration"]) == ("busy", "0")
    assert "start_time" not in found


@pytest.mark.parametrize(
    ("kind", "to", "party"),
    [
        ("phone", "447700900222", {"type": "phone", "number": "447700900222"}),
        ("sip", "sip:bob@example.com", {"type": "sip", "uri": "sip:bob@example.com"}),
        ("websocket", "wss://x.example.com/s", {"type": "websocket", "uri": "wss://x.example.com/s"}),
        ("app", "alice", {"type": "app", "user": "alice"}),
        ("vbc", "123", {"type": "vbc", "extension": "123"}),
    ],
)
def test_each_kind_of_endpoint_is_shown_by_its_own_member(world: World, kind: str, to: str, party: Any) -> None:
    world.platform.add(kind=kind, to=to)
    shown = world.ask("GET", CALL).json()
    assert (shown["to"], shown["from"]) == (party, {"type": "phone", "number": OURS})


def test_a_uuid_with_other_dashes_is_another_leg(world: World) -> None:
    world.platform.add(LEG.replace("-", ""))
    assert world.ask("GET", CALL).status == 404
    assert world.ask("GET", CALL.replace("-", "")).status == 200


def many(world: World, count: int) -> None:
    for number in range(count):
        world.platform.add(f"leg-{number}", created=BEGAN + timedelta(seconds=number))


def test_a_list_is_cut_into_pages_with_links_to_the_others(world: World) -> None:
    many(world, 21)
    found = world.ask("GET", "/v1/calls?record_index=10").json()
    expected = payload("list_calls_200")
    assert {**found, "_embedded": None} == {**expected, "_embedded": None}
    assert [each["uuid"] for each in found["_embedded"]["calls"]] == [f"leg-{number}" for number in range(10, 20)]
    links = world.ask("GET", "/v1/calls").json()["_links"]
    assert set(links) == {"self", "first", "last", "next"}
    assert set(world.ask("GET", f"{links['last']['href']}").json()["_links"]) == {"self", "first", "last", "prev"}


def test_links_of_a_list_keep_its_filters(world: World) -> None:
    many(world, 3)
    found = world.ask("GET", f"/v1/calls?page_size=2&status=answered&conversation_uuid={CONVERSATION}").json()
    assert found["_links"]["next"]["href"] == (
        f"/v1/calls?page_size=2&record_index=2&status=answered&conversation_uuid={CONVERSATION}"
    )


def test_a_list_is_filtered(world: World) -> None:
    many(world, 5)
    world.platform.legs["leg-1"].status = "completed"
    world.platform.legs["leg-3"].conversation = "CON-other"

    def listed(query: str) -> list[str]:
        return [each["uuid"] for each in world.ask("GET", f"/v1/calls?{query}").json()["_embedded"]["calls"]]

    assert listed("status=completed") == ["leg-1"]
    assert listed("conversation_uuid=CON-other") == ["leg-3"]
    assert listed("order=desc&page_size=2") == ["leg-4", "leg-3"]
    assert listed("date_start=2026-03-02T09:15:03Z") == ["leg-3", "leg-4"]
    assert listed("date_end=2026-03-02T09:15:00") == ["leg-0"]
    assert listed("record_index=99") == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("record_index=-1", "record_index"),
        ("status=human", "status"),
        ("order=up", "order"),
        ("date_start=yesterday", "date_start"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(world: World, query: str, name: str) -> None:
    reply = world.ask("GET", f"/v1/calls?{query}")
    assert reply.status == 400
    assert [each["name"] for each in reply.json()["invalid_parameters"]] == [name]


# Steer


@pytest.mark.parametrize(
    ("action", "method"),
    [
        ("hangup", "hang_up"),
        ("mute", "mute"),
        ("unmute", "unmute"),
        ("earmuff", "earmuff"),
        ("unearmuff", "unearmuff"),
    ],
)
def test_each_action_reaches_the_leg_and_says_nothing(live: World, action: str, method: str) -> None:
    reply = live.ask("PUT", CALL, payload(f"modify_{action}"))
    assert (reply.status, reply.body) == (204, b"")
    assert live.platform.asked == [(method, LEG)]


def test_a_transfer_runs_a_document_or_an_address(live: World) -> None:
    for name in ("modify_transfer_ncco", "modify_transfer_url"):
        assert live.ask("PUT", CALL, payload(name)).status == 204
    assert live.platform.asked == [
        ("transfer", LEG, [{"action": "talk", "text": "Moved."}], ""),
        ("transfer", LEG, None, "https://app.example.com/hooks/next"),
    ]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "action"),
        ({"action": "dance"}, "action"),
        ({"action": ["mute"]}, "action"),
        ({"action": "transfer"}, "destination"),
        ({"action": "transfer", "destination": {"type": "ncco"}}, "destination"),
        ({"action": "transfer", "destination": {"type": "ncco", "url": "https://x.example.com"}}, "destination.url"),
        ({"action": "transfer", "destination": {"type": "x", "url": ["https://x.example.com"]}}, "destination.type"),
        (
            {"action": "transfer", "destination": {"type": "ncco", "ncco": [{"action": "talk", "text": ""}]}},
            "destination.ncco[0].text",
        ),
    ],
)
def test_a_change_that_cannot_be_is_refused(live: World, body: Any, name: str) -> None:
    reply = live.ask("PUT", CALL, body)
    assert (reply.status, [each["name"] for each in reply.json()["invalid_parameters"]]) == (400, [name])
    assert not live.platform.asked


def test_sound_is_started_and_stopped(live: World) -> None:
    for what in ("stream", "talk"):
        started = live.ask("PUT", f"{CALL}/{what}", payload(f"{what}_start_request"))
        assert (started.status, started.json()) == (200, payload(f"{what}_start_200"))
        assert live.ask("DELETE", f"{CALL}/{what}").json() == payload(f"{what}_stop_200")
    stream = {"stream_url": ["https://cdn.example.com/hold.mp3"], "loop": 0, "level": 0.4}
    talk = {**payload("talk_start_request"), "level": 0.0}
    assert live.platform.asked == [
        ("stream", LEG, stream),
        ("stop_stream", LEG),
        ("talk", LEG, talk),
        ("stop_talk", LEG),
    ]


@pytest.mark.parametrize(
    ("what", "body", "name"),
    [
        ("stream", {}, "stream_url"),
        ("stream", {"stream_url": "https://x.example.com/a.mp3"}, "stream_url"),
        ("stream", {"stream_url": ["https://x.example.com/a.mp3"], "loop": -1}, "loop"),
        ("stream", {"stream_url": ["https://x.example.com/a.mp3"], "level": "2"}, "level"),
        ("stream", {"stream_url": ["https://x.example.com/a.mp3"], "level": "loud"}, "level"),
        ("stream", {"stream_url": ["https://x.example.com/a.mp3"], "level": "nan"}, "level"),
        ("talk", {}, "text"),
        ("talk", {"text": ""}, "text"),
        ("talk", {"text": 5}, "text"),
        ("talk", {"text": "x" * 1501}, "text"),
        ("talk", {"text": "Hi", "level": []}, "level"),
        ("dtmf", {}, "digits"),
        ("dtmf", {"digits": "12x"}, "digits"),
        ("dtmf", {"digits": 12}, "digits"),
        ("input/dtmf", {}, "event_url"),
        ("input/dtmf", {"event_url": "https://x.example.com"}, "event_url"),
    ],
)
def test_sound_and_keys_that_cannot_be_are_refused(live: World, what: str, body: Any, name: str) -> None:
    reply = live.ask("PUT", f"{CALL}/{what}", body)
    assert (reply.status, [each["name"] for each in reply.json()["invalid_parameters"]]) == (400, [name])


def test_keys_are_sent_and_subscribed_to(live: World) -> None:
    assert live.ask("PUT", f"{CALL}/dtmf", payload("dtmf_request")).json() == payload("dtmf_200")
    for method, body in (("PUT", payload("input_dtmf_subscribe_request")), ("DELETE", None)):
        reply = live.ask(method, f"{CALL}/input/dtmf", body)
        assert (reply.status, reply.body) == (200, b"")
    assert live.platform.asked == [
        ("dtmf", LEG, "17p13#"),
        ("subscribe_dtmf", LEG, "https://app.example.com/hooks/event"),
        ("unsubscribe_dtmf", LEG),
    ]


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("too early", 400, "error_400_too_early"),
        ("over", 404, "error_404_inferred"),
        ("not found", 404, "error_404_inferred"),
    ],
)
def test_what_the_platform_forbids_has_its_error(live: World, kind: Kind, status: int, body: str) -> None:
    live.platform.refuses = kind
    reply = live.ask("PUT", CALL, {"action": "hangup"})
    assert (reply.status, reply.json()) == (status, payload(body))


def test_a_finished_leg_can_be_read_and_not_steered(live: World) -> None:
    live.platform.legs[LEG].ended = BEGAN
    assert live.ask("GET", CALL).status == 200
    for method, path in (("PUT", CALL), ("PUT", f"{CALL}/talk"), ("DELETE", f"{CALL}/stream")):
        assert live.ask(method, path, {"action": "mute"}).json() == payload("error_404_inferred")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/v1/calls", 405),
        ("POST", CALL, 405),
        ("GET", f"{CALL}/stream", 405),
        ("DELETE", f"{CALL}/dtmf", 405),
        ("GET", "/v1/calls/nobody", 404),
        ("PUT", f"{CALL}/dance", 404),
        ("GET", "/v1/conversations", 404),
        ("GET", "/", 404),
    ],
)
def test_what_is_not_there_is_told(live: World, method: str, path: str, status: int) -> None:
    assert live.ask(method, path, {}).status == status


# Files


def test_a_recording_is_downloaded_with_a_token(world: World) -> None:
    reply = world.ask("GET", "/v1/files/file")
    assert (reply.status, reply.body, dict(reply.headers)) == (200, b"RIFF", {"Content-Type": "audio/wav"})
    assert world.ask("GET", "/v1/files/none").json() == payload("error_404_inferred")


# Rates


def test_a_sixteenth_request_in_a_second_is_refused(live: World) -> None:
    live.apart = 0.01
    replies = [live.ask("GET", CALL) for _ in range(16)]
    assert [each.status for each in replies] == [200] * 15 + [429]
    assert json.loads(replies[-1].body) == payload("error_429_inferred")
    live.apart = 1.0
    assert live.ask("GET", CALL).status == 200


def test_the_platform_counts_what_begins_a_call(world: World) -> None:
    world.platform.refuses = "too many calls"
    reply = world.ask("POST", "/v1/calls", payload("create_call_request_ncco"))
    assert (reply.status, reply.json()) == (429, payload("error_429_inferred"))
