"""The fake's Applications API answers as section 7.11 of the contract says."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.simulator.account import Application
from tests.rest_server import payload as of_calls
from tests.simulator.rest_world import APPLICATION, World, other_pair, pair
from tests.vonage.setup_account import payload

ALL = "/v2/applications"
ONE = f"{ALL}/{APPLICATION}"
HOOK = {"address": "https://calls.example.com/webhooks/answer", "http_method": "POST"}


def voice(**members: Any) -> dict[str, Any]:
    return {"name": "Front desk", "capabilities": {"voice": members}}


def hooks(**members: Any) -> dict[str, Any]:
    return voice(webhooks={"answer_url": {**HOOK, **members}})


def test_key_and_secret_are_asked_for(world: World) -> None:
    for headers in ({"authorization": "Basic bm86bm8="}, {"authorization": ""}, {"authorization": "Basic %"}):
        reply = world.manage("GET", ALL, **headers)
        expected = payload("applications/error_401")
        assert (reply.status, {**reply.json(), "instance": expected["instance"]}) == (401, expected)
    assert world.ask("GET", ALL).status == 401


def test_an_application_is_made_with_keys_that_are_shown_once(world: World) -> None:
    request = payload("applications/create_request_voice")
    request.pop("keys", None)
    reply = world.manage("POST", ALL, request)
    made = reply.json()
    assert reply.status == 201
    assert made["keys"] == {"private_key": other_pair()[0], "public_key": other_pair()[1]}
    expected = payload("applications/create_201_voice_generated_keys")
    identity = {"id": made["id"], "keys": made["keys"], "_links": {"self": {"href": f"{ALL}/{made['id']}"}}}
    assert made == {**expected, **identity}
    again = world.manage("GET", f"{ALL}/{made['id']}").json()
    assert again == {**made, "keys": {"public_key": other_pair()[1]}}


def test_an_application_is_made_with_a_key_of_ones_own(world: World) -> None:
    made = world.manage("POST", ALL, {**voice(), "keys": {"public_key": pair()[1]}}).json()
    assert made["keys"] == {"public_key": pair()[1]}
    assert world.ask("GET", "/v1/calls", token=world.token(application_id=made["id"])).status == 200


def test_an_update_replaces_all_but_the_key(world: World) -> None:
    before = world.manage("GET", ONE).json()
    reply = world.manage("PUT", ONE, {"name": "Renamed"})
    assert (reply.status, reply.json()) == (
        200,
        {
            "id": APPLICATION,
            "name": "Renamed",
            "keys": before["keys"],
            "capabilities": {},
            "_links": before["_links"],
        },
    )
    assert world.ask("GET", "/v1/calls").status == 200


def test_an_update_takes_a_new_key_and_forgets_the_old_one(world: World) -> None:
    world.manage("PUT", ONE, {**voice(), "keys": {"public_key": other_pair()[1]}})
    assert world.ask("GET", "/v1/calls").json() == of_calls("error_401")
    assert world.ask("GET", "/v1/calls", token=world.token(key=other_pair()[0])).status == 200


def test_what_becomes_of_keys_that_an_update_leaves_out_is_a_knob() -> None:
    world = World(put_keys_omitted="regenerate")
    assert world.manage("PUT", ONE, {"name": "Renamed"}).json()["keys"]["private_key"] == other_pair()[0]


def test_other_capabilities_come_back_as_they_were(world: World) -> None:
    sent = payload("applications/get_200_other_capabilities")
    for name in ("id", "_links", "keys"):
        sent.pop(name, None)
    assert world.manage("PUT", ONE, sent).json()["capabilities"] == sent["capabilities"]


def test_defaults_are_filled_in(world: World) -> None:
    made = world.manage("POST", ALL, voice()).json()
    assert made["capabilities"]["voice"] == {
        "signed_callbacks": True,
        "conversations_ttl": 48,
        "leg_persistence_time": 7,
    }
    assert made["privacy"] == {"improve_ai": False}
    other = World(leg_persistence_default=2).manage("POST", ALL, voice()).json()
    assert other["capabilities"]["voice"]["leg_persistence_time"] == 2


def test_the_old_spelling_of_a_timeout_is_refused_as_the_real_one_did(world: World) -> None:
    reply = world.manage("POST", ALL, payload("applications/create_request_wrong_timeout_name"))
    expected = payload("applications/error_400_unknown_member")
    assert (reply.status, {**reply.json(), "instance": expected["instance"]}) == (400, expected)


def test_a_wrong_method_is_named(world: World) -> None:
    reply = world.manage("POST", ALL, hooks(http_method="PUT"))
    expected = payload("applications/error_400_invalid_parameter")
    assert (reply.status, {**reply.json(), "instance": expected["instance"]}) == (400, expected)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ([], ""),
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x", "capabilities": 5}, "capabilities"),
        ({"name": "x", "capabilities": {"voice": []}}, "capabilities.voice"),
        ({"name": "x", "keys": {"public_key": "PEM"}}, "keys.public_key"),
        ({"name": "x", "privacy": {"improve_ai": "no"}}, "privacy.improve_ai"),
        (hooks(address="calls.example.com"), "capabilities.voice.webhooks.answer_url.address"),
        (hooks(connect_timeout=200), "capabilities.voice.webhooks.answer_url.connect_timeout"),
        (hooks(socket_timeout=5001), "capabilities.voice.webhooks.answer_url.socket_timeout"),
        (
            voice(webhooks={"event_url": {**HOOK, "socket_timeout": 999}}),
            "capabilities.voice.webhooks.event_url.socket_timeout",
        ),
        (voice(signed_callbacks=1), "capabilities.voice.signed_callbacks"),
        (voice(region="moon"), "capabilities.voice.region"),
        (voice(leg_persistence_time=32), "capabilities.voice.leg_persistence_time"),
        (
            {"name": "x", "capabilities": {"rtc": {"webhooks": {"answer_url": HOOK}}}},
            "capabilities.rtc.webhooks.answer_url",
        ),
    ],
)
def test_a_body_that_cannot_be_is_refused_by_name(world: World, body: Any, name: str) -> None:
    reply = world.manage("POST", ALL, body)
    assert (reply.status, [each["name"] for each in reply.json()["invalid_parameters"]]) == (400, [name])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"name": "x", "_links": {}}, "_links"),
        ({"name": "x", "id": APPLICATION}, "id"),
        ({"name": "x", "keys": {"private_key": "x"}}, "private_key"),
        ({"name": "x", "capabilities": {"fax": {}}}, "fax"),
        (voice(encrypted=True), "encrypted"),
    ],
)
def test_a_member_that_nobody_knows_is_refused_in_a_sentence(world: World, body: Any, name: str) -> None:
    reply = world.manage("POST", ALL, body)
    assert reply.status == 400
    assert reply.json()["detail"].startswith(f"{name} is not a known json property")
    assert "invalid_parameters" not in reply.json()


def test_an_id_in_an_update_changes_nothing(world: World) -> None:
    assert world.manage("PUT", ONE, {**voice(), "id": "another"}).json()["id"] == APPLICATION


def test_a_list_for_an_object_breaks_the_api(world: World) -> None:
    assert world.manage("POST", ALL, {"name": "x", "capabilities": []}).status == 500


def test_a_deleted_application_lets_go_of_its_numbers(world: World) -> None:
    assert (reply := world.manage("DELETE", ONE)).status == 204
    assert reply.body == b""
    assert [each.application for each in world.platform.account.numbers.values()] == [""]
    assert world.manage("GET", ONE).status == 404


def test_an_unknown_application_is_told_by_its_id(world: World) -> None:
    expected = payload("applications/error_404")
    unknown = expected["detail"].split("'")[1]
    reply = world.manage("PUT", f"{ALL}/{unknown}", {"name": "x"})
    assert {**reply.json(), "instance": expected["instance"]} == expected


def test_an_old_id_without_dashes_finds_its_application(world: World) -> None:
    assert world.manage("GET", f"{ALL}/{APPLICATION.replace('-', '')}").json()["id"] == APPLICATION


def test_applications_are_listed_in_pages(world: World) -> None:
    for number in (1, 2):
        world.platform.account.applications[f"id-{number}"] = Application(f"id-{number}", {"name": str(number)})
    pages = [world.manage("GET", f"{ALL}?page_size=2&page={number}").json() for number in (1, 2)]
    for number, found in enumerate(pages, 1):
        expected = payload(f"applications/list_200_page{number}")
        assert {**found, "_embedded": None} == {**expected, "_embedded": None}
    ids = [[each["id"] for each in found["_embedded"]["applications"]] for found in pages]
    assert ids == [[APPLICATION, "id-1"], ["id-2"]]


@pytest.mark.parametrize("query", ["page_size=0", "page_size=101", "page=0", "page_size=many"])
def test_a_page_that_cannot_be_is_refused(world: World, query: str) -> None:
    reply = world.manage("GET", f"{ALL}?{query}")
    assert (reply.status, reply.json()["type"].rpartition("/")[2]) == (400, "application#list-validation")


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", ALL, {"accept": "text/html"}, 406),
        ("GET", ALL, {"accept": "text/html, application/json;q=0.9"}, 200),
        ("POST", ALL, {"content_type": "text/plain"}, 415),
        ("PUT", ONE, {"content_type": "application/x-www-form-urlencoded"}, 415),
        ("PATCH", ONE, {}, 405),
        ("DELETE", ALL, {}, 405),
        ("POST", f"{ALL}/", {}, 404),
    ],
)
def test_verbs_and_content_types_are_checked(
    world: World, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    assert world.manage(method, target, {}, **headers).status == status
