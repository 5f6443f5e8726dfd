"""Who may ask the fake's Voice API, and which calls it places."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from callflows.simulator.account import Application
from tests.rest_server import payload
from tests.simulator.rest_world import APPLICATION, BEGAN, LEG, OURS, World, other_pair, pair

CALL = f"/v1/calls/{LEG}"
DEFAULTS = {"length_timer": 7200, "ringing_timer": 60}


# Who asks


def test_a_good_token_may_ask(world: World) -> None:
    assert world.ask("GET", "/v1/calls").status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"application_id": None},
        {"application_id": "11111111-1111-4111-8111-111111111111"},
        {"exp": int(BEGAN.timestamp()) - 1},
        {"exp": "soon"},
        {"iat": int(BEGAN.timestamp()) + 3600, "exp": int(BEGAN.timestamp()) + 7200},
        {"nbf": int(BEGAN.timestamp()) + 3600},
    ],
)
def test_a_token_without_what_it_needs_is_refused(world: World, claims: dict[str, Any]) -> None:
    reply = world.ask("GET", "/v1/calls", token=world.token(**claims))
    assert (reply.status, reply.json()) == (401, payload("error_401"))


def test_a_token_of_another_key_or_kind_is_refused(world: World) -> None:
    claims = jwt.decode(world.token(), options={"verify_signature": False})
    wrong = [
        world.token(key=other_pair()[0]),
        jwt.encode(claims, "a secret of thirty-two bytes or more", algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        "",
        "no.token.atall",
    ]
    assert [world.ask("GET", "/v1/calls", token=token).status for token in wrong] == [401] * len(wrong)


def test_one_token_serves_many_requests(world: World) -> None:
    token = world.token()
    assert [world.ask("GET", "/v1/calls", token=token).status for _ in range(3)] == [200] * 3


def test_key_and_secret_do_not_open_the_voice_api(live: World) -> None:
    assert live.manage("GET", CALL).status == 401
    assert live.manage("GET", "/v1/files/file").status == 401


def test_a_call_of_another_application_is_not_found(live: World) -> None:
    other = "11111111-1111-4111-8111-111111111111"
    account = live.platform.account
    account.applications[other] = Application.at(other, "Other", "https://x.example.com", pair()[1])
    token = live.token(application_id=other)
    assert live.ask("GET", CALL, token=token).json() == payload("error_404_inferred")
    assert live.ask("GET", "/v1/calls", token=token).json()["count"] == 0
    assert live.ask("GET", "/v1/files/file", token=token).status == 404


def test_a_deleted_application_has_no_tokens(live: World) -> None:
    assert live.manage("DELETE", f"/v2/applications/{APPLICATION}").status == 204
    assert live.ask("GET", CALL).status == 401


# Create


def test_create_places_a_call_and_answers_with_its_ids(world: World) -> None:
    body = payload("create_call_request_ncco")
    reply = world.ask("POST", "/v1/calls", body)
    assert (reply.status, reply.json()) == (201, payload("create_call_201"))
    assert world.platform.asked == [("create", {**body, **DEFAULTS}, APPLICATION)]


def test_create_tells_the_platform_the_number_that_is_shown(world: World) -> None:
    world.ask("POST", "/v1/calls", payload("create_call_request_answer_url"))
    [(_, body, _)] = world.platform.asked
    assert body["from"] == {"type": "phone", "number": OURS}
    assert (body["length_timer"], body["ringing_timer"], body["answer_method"]) == (3600, 30, "POST")
    assert body["advanced_machine_detection"] == {"behavior": "continue", "mode": "detect", "beep_timeout": 45}


def test_create_takes_an_audio_socket(world: World) -> None:
    body = payload("create_call_request_websocket")
    assert world.ask("POST", "/v1/calls", body).status == 201
    assert world.platform.asked[0][1]["to"] == body["to"]


def refused(world: World, **changes: Any) -> Any:
    """Return what is told to be wrong with a good body after these changes; None takes a member out."""
    body = {**payload("create_call_request_ncco"), **changes}
    reply = world.ask("POST", "/v1/calls", {name: value for name, value in body.items() if value is not None})
    assert reply.status == 400
    assert not world.platform.asked
    return reply.json()


def test_a_bare_string_as_address_is_refused_as_vonage_did(world: World) -> None:
    assert refused(world, event_url="https://app.example.com/events") == payload("error_400_invalid_parameter")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"to": None}, "to"),
        ({"to": []}, "to"),
        ({"to": [{"type": "phone", "number": "447700900222"}] * 2}, "to"),
        ({"to": [{"type": "phone", "number": "12"}]}, "to[0].number"),
        ({"to": [{"type": "fax", "number": "447700900222"}]}, "to[0].type"),
        ({"to": [{"type": "websocket", "uri": "wss://x.example.com/"}]}, "to[0].content-type"),
        ({"from": None}, "from"),
        ({"random_from_number": True}, "from"),
        ({"from": "442079460000"}, "from"),
        ({"from": {"type": "phone", "number": "me"}}, "from.number"),
        ({"ncco": None}, "ncco"),
        ({"answer_url": ["https://app.example.com/"]}, "ncco"),
        ({"ncco": [{"action": "talk"}]}, "ncco[0].text"),
        ({"ncco": {"action": "talk", "text": "Hello"}}, "ncco"),
        ({"ncco": None, "answer_url": ["ftp://app.example.com/"]}, "answer_url"),
        ({"ncco": None, "answer_url": ["https://x.example.com/"], "answer_method": "PUT"}, "answer_method"),
        ({"event_url": ["https://x.example.com/", "https://y.example.com/"]}, "event_url"),
        ({"event_url": ["https://x.example.com/"], "event_method": "get"}, "event_method"),
        ({"machine_detection": "listen"}, "machine_detection"),
        ({"advanced_machine_detection": {"beep_timeout": 20}}, "advanced_machine_detection.beep_timeout"),
        ({"advanced_machine_detection": {"mode": "guess"}}, "advanced_machine_detection.mode"),
        ({"length_timer": 0}, "length_timer"),
        ({"length_timer": 86401}, "length_timer"),
        ({"ringing_timer": 121}, "ringing_timer"),
        ({"ringing_timer": "60"}, "ringing_timer"),
        ({"ringing_timer": True}, "ringing_timer"),
    ],
)
def test_create_names_the_member_that_is_wrong(world: World, changes: dict[str, Any], name: str) -> None:
    said = refused(world, **changes)
    assert (said["type"], said["title"]) == (400, "Bad Request")
    assert [each["name"] for each in said["invalid_parameters"]] == [name]


def test_create_needs_an_event_address_where_the_application_has_none(world: World) -> None:
    application = world.platform.account.applications[APPLICATION]
    application.document = {"name": "Bare", "keys": {"public_key": pair()[1]}, "capabilities": {"voice": {}}}
    assert refused(world)["invalid_parameters"] == [{"reason": "is required", "name": "event_url"}]
    assert world.ask(
        "POST", "/v1/calls", payload("create_call_request_ncco") | {"event_url": ["https://x.example.com"]}
    )


def test_a_random_number_needs_one_that_is_linked(world: World) -> None:
    world.platform.account.numbers[OURS].application = ""
    said = refused(world, **{"from": None, "random_from_number": True})
    assert said["invalid_parameters"][0]["name"] == "random_from_number"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"NaN", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_a_bad_request(live: World, body: bytes) -> None:
    for method, path in (("POST", "/v1/calls"), ("PUT", CALL), ("PUT", f"{CALL}/talk"), ("PUT", f"{CALL}/dtmf")):
        reply = live.ask(method, path, body)
        assert (reply.status, reply.json()) == (400, payload("error_400_too_early"))


def test_the_other_shape_of_errors_is_a_knob() -> None:
    world = World(error_form="title")
    assert world.ask("GET", "/v1/calls/none").json()["title"] == "Not Found"
    said = world.ask("POST", "/v1/calls", {}).json()
    assert said["detail"] == "The request failed due to validation errors"
    assert {each["name"] for each in said["invalid_parameters"]} == {"to", "from", "ncco"}
