"""The fake's Numbers API answers as section 7.12 of the contract says."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from callflows.simulator.account import Number
from tests.simulator.rest_world import APPLICATION, OURS, World
from tests.vonage.setup_account import payload

SALE = "447700900201"
FAILED = (420, payload("numbers/error_420_method_failed"))
DONE = (200, payload("numbers/success_200"))


def post(world: World, what: str, **members: str) -> tuple[int, Any]:
    reply = world.manage("POST", f"/number/{what}", urlencode({"country": "GB", **members}).encode())
    return reply.status, reply.json()


def owned(world: World, **filters: str) -> list[str]:
    found = world.manage("GET", f"/account/numbers?{urlencode(filters)}").json()
    return [each["msisdn"] for each in found.get("numbers", [])]


def number(world: World, msisdn: str = OURS) -> Any:
    return world.manage("GET", f"/account/numbers?pattern={msisdn}").json()["numbers"][0]


def test_a_number_shows_what_it_is_linked_to(world: World) -> None:
    reply = world.manage("GET", "/account/numbers")
    assert dict(reply.headers)["Content-Type"] == "application/json;charset=UTF-8"
    assert reply.json() == {
        "count": 1,
        "numbers": [
            {
                "country": "GB",
                "msisdn": OURS,
                "type": "landline",
                "features": ["VOICE"],
                "app_id": APPLICATION,
                "voiceCallbackType": "app",
                "voiceCallbackValue": APPLICATION,
            }
        ],
    }


def test_key_and_secret_come_by_basic_or_in_the_query(world: World) -> None:
    assert world.manage("GET", "/account/numbers", authorization="").json() == payload("numbers/error_401")
    account = world.platform.account
    pair = urlencode({"api_key": account.api_key, "api_secret": account.api_secret})
    assert world.manage("GET", f"/account/numbers?{pair}", authorization="").status == 200
    form = f"country=GB&msisdn={SALE}&{pair}".encode()
    assert world.manage("POST", "/number/buy", form, authorization="").json() == DONE[1]


def test_nothing_found_looks_as_the_knob_says(world: World) -> None:
    assert world.manage("GET", "/account/numbers?pattern=999").json() == payload("numbers/list_owned_200_empty")
    zero = World(numbers_empty="zero")
    assert zero.manage("GET", "/account/numbers?pattern=999").json() == payload("numbers/list_owned_200_empty_zero")


def test_own_numbers_are_filtered(world: World) -> None:
    numbers = world.platform.account.numbers
    numbers["15550100001"] = Number("15550100001", "US")
    numbers["4420794600001"] = Number("4420794600001")
    assert owned(world, pattern=OURS) == [OURS, "4420794600001"]
    assert owned(world, pattern="550", search_pattern="1") == ["15550100001"]
    assert owned(world, pattern="0001", search_pattern="2") == ["15550100001", "4420794600001"]
    assert owned(world, country="US") == ["15550100001"]
    assert owned(world, application_id=APPLICATION) == [OURS]
    assert owned(world, has_application="true") == [OURS]
    assert owned(world, has_application="false") == ["15550100001", "4420794600001"]
    assert owned(world, size="1", index="2") == ["15550100001"]


def test_numbers_for_sale_have_a_price(world: World) -> None:
    [found] = world.manage("GET", "/number/search?country=GB&features=SMS,VOICE&type=mobile-lvn").json()["numbers"]
    assert (found["msisdn"], found["features"]) == (SALE, ["VOICE", "SMS"])
    assert isinstance(found["cost"], str)
    assert "app_id" not in found
    assert world.manage("GET", "/number/search?country=GB&features=MMS").json() == {}
    assert world.manage("GET", "/number/search?country=GB&features=VOICE,SMS").status == 420


def test_a_country_is_asked_for(world: World) -> None:
    reply = world.manage("GET", "/number/search")
    assert (reply.status, reply.json()) == (400, payload("numbers/error_400_missing_country"))


def test_a_number_is_bought_once_and_given_back(world: World) -> None:
    assert post(world, "buy", msisdn=SALE) == DONE
    assert owned(world) == [OURS, SALE]
    assert post(world, "buy", msisdn=SALE) == FAILED
    assert post(world, "cancel", msisdn=SALE) == DONE
    assert post(world, "cancel", msisdn=SALE) == FAILED
    assert post(world, "buy", msisdn=SALE, country="US") == FAILED
    assert post(world, "buy", msisdn="447700900299") == FAILED


def test_json_is_not_read_as_a_form(world: World) -> None:
    reply = world.manage("POST", "/number/buy", {"country": "GB", "msisdn": SALE})
    assert (reply.status, reply.json()) == (400, payload("numbers/error_400_missing_country"))
    assert post(world, "buy", country="GB") == (400, {"msisdn": "Is required."})


def test_a_form_is_read_whatever_it_is_called(world: World) -> None:
    """The vendor's Python SDK calls its forms JSON once it has sent JSON."""
    form = urlencode({"country": "GB", "msisdn": SALE}).encode()
    assert world.manage("POST", "/number/buy", form, content_type="application/json").json() == DONE[1]


def test_an_update_replaces_what_it_leaves_out(world: World) -> None:
    post(world, "update", msisdn=OURS, app_id=APPLICATION, moHttpUrl="https://app.example.com/sms")
    assert number(world)["moHttpUrl"] == "https://app.example.com/sms"
    assert post(world, "update", msisdn=OURS) == DONE
    assert set(number(world)) == {"country", "msisdn", "type", "features"}


def test_an_update_may_keep_what_it_leaves_out_by_a_knob() -> None:
    world = World(number_update="merge")
    post(world, "update", msisdn=OURS, moHttpUrl="https://app.example.com/sms")
    assert number(world)["app_id"] == APPLICATION


def test_forwarding_takes_precedence_over_the_application(world: World) -> None:
    form = {"app_id": APPLICATION, "voiceCallbackType": "tel", "voiceCallbackValue": "447700900199"}
    assert post(world, "update", msisdn=OURS, **form) == DONE
    assert number(world)["voiceCallbackType"] == "tel"
    assert world.platform.account.answers(OURS) is None


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"app_id": "11111111-1111-4111-8111-111111111111"}, 420),
        ({"app_id": ""}, 420),
        ({"voiceCallbackType": "tel"}, 420),
        ({"voiceCallbackType": "fax", "voiceCallbackValue": "x"}, 420),
        ({"voiceCallbackType": "app", "voiceCallbackValue": APPLICATION}, 200),
        ({"voiceCallbackType": "app", "voiceCallbackValue": "nobody"}, 420),
        ({"app_id": APPLICATION, "voiceCallbackType": "app", "voiceCallbackValue": APPLICATION}, 200),
        ({"moHttpUrl": ""}, 200),
        ({"voice_callback_type": "ignored"}, 200),
        ({"msisdn": "447700900299"}, 420),
        ({"country": "US"}, 420),
    ],
)
def test_an_update_is_checked(world: World, form: dict[str, str], status: int) -> None:
    assert post(world, "update", **{"msisdn": OURS, **form})[0] == status


def test_the_deprecated_pair_alone_fails_by_a_knob() -> None:
    pair = {"voiceCallbackType": "app", "voiceCallbackValue": APPLICATION}
    assert post(World(number_app_pair="error"), "update", msisdn=OURS, **pair)[0] == 500


def test_a_second_request_in_a_second_is_refused_by_a_knob() -> None:
    world = World(numbers_rps=1)
    world.apart = 0.4
    replies = [world.manage("GET", "/account/numbers") for _ in range(4)]
    assert [each.status for each in replies] == [200, 429, 429, 200]
    assert replies[1].json() == payload("numbers/error_429_inferred")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/account/numbers", 405), ("GET", "/number/buy", 405), ("GET", "/account/balance", 404)],
)
def test_what_is_not_there_is_told(world: World, method: str, path: str, status: int) -> None:
    assert world.manage(method, path).status == status
