"""The vendor's two command line tools set an account up at the fake, by requests as they send them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest

from callflows.simulator.rest.messages import Reply, Request
from tests.simulator.rest_world import APPLICATION, OURS, World
from tests.vonage.setup_account import payload

SALE = "447700900201"
FORM = "application/x-www-form-urlencoded"
ANSWER, EVENTS = "https://calls.example.com/webhooks/answer", "https://calls.example.com/webhooks/events"


class Tool:
    """A command line tool: it pauses nowhere, 20 ms lie between two of its requests."""

    def __init__(self, world: World, secret: str = "") -> None:
        self.world = world
        self.key, self.secret = world.platform.account.api_key, secret or world.platform.account.api_secret
        world.apart = 0.02

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        self.world.now += self.world.apart
        return self.world.api.answer(Request.at(method, target, headers, body), self.world.now)

    @property
    def basic(self) -> str:
        return f"Basic {b64encode(f'{self.key}:{self.secret}'.encode()).decode()}"


class Nexmo(Tool):
    """The old one (0.3.17): everything in the query, of a POST too, whose body is empty; key and secret as well."""

    def send(self, method: str, path: str, members: list[tuple[str, str]]) -> Reply:
        query = urlencode([*members, ("api_key", self.key), ("api_secret", self.secret)])
        return self.ask(method, f"{path}?{query}", {"content-type": FORM, "accept": "application/json"})

    def country(self, number: str) -> str:
        return str(self.send("GET", "/ni/basic/json", [("number", number)]).json()["country_code"])

    def create(self, name: str) -> Any:
        hooks = {
            "answer_url": {"address": ANSWER, "http_method": "GET"},
            "event_url": {"address": EVENTS, "http_method": "POST"},
        }
        body = {"name": name, "capabilities": {"voice": {"webhooks": hooks}}}
        return self.world.manage("POST", "/v2/applications", body).json()


class Vonage(Tool):
    """The new one with its SDK (1.25): Basic, and forms; it looks before it changes something."""

    def get(self, path: str, **members: str) -> Any:
        return self.ask("GET", f"{path}?{urlencode(members)}", {"authorization": self.basic, "accept": "*/*"}).json()

    def form(self, path: str, **members: str) -> Any:
        headers = {"authorization": self.basic, "content-type": FORM, "accept": "application/json"}
        return self.ask("POST", path, headers, urlencode(members).encode()).json()

    def create(self, name: str) -> Any:
        return self.world.manage("POST", "/v2/applications", {"name": name, "privacy": {}, "keys": {}}).json()


@pytest.fixture
def nexmo(world: World) -> Nexmo:
    return Nexmo(world)


def test_nexmo_setup_sees_whether_key_and_secret_hold(world: World, nexmo: Nexmo) -> None:
    reply = nexmo.send("GET", "/account/get-balance", [])
    assert (reply.status, reply.json()) == (200, {"value": 10.0, "autoReload": False})
    refused = Nexmo(world, "another").send("GET", "/account/get-balance", [])
    assert (refused.status, refused.json()) == (401, payload("numbers/error_401"))


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        [("features", "VOICE"), ("features", "SMS")],
        [("features", "")],
        [("pattern", "*201"), ("search_pattern", "2")],
        [("pattern", "447700*"), ("search_pattern", "0")],
    ],
)
def test_nexmo_number_search_finds(nexmo: Nexmo, wanted: list[tuple[str, str]]) -> None:
    members = [("country", "GB"), ("size", "100"), ("index", "1"), *wanted]
    assert [each["msisdn"] for each in nexmo.send("GET", "/number/search", members).json()["numbers"]] == [SALE]


def test_nexmo_buys_creates_links_and_unlinks(world: World, nexmo: Nexmo) -> None:
    number = [("country", nexmo.country(SALE)), ("msisdn", SALE)]
    assert nexmo.send("POST", "/number/buy", number).json() == payload("numbers/success_200")
    made = nexmo.create("Front desk")
    assert made["keys"]["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    pair = [("voiceCallbackType", "app"), ("voiceCallbackValue", made["id"])]
    linked = nexmo.send("POST", "/number/update", [*pair, ("country", nexmo.country(SALE)), ("msisdn", SALE)])
    assert linked.json() == payload("numbers/success_200")
    reached = world.platform.account.answers(SALE)
    assert reached is not None
    hook = reached.hook("answer_url")
    assert hook is not None
    assert (hook.address, hook.method) == (ANSWER, "GET")
    assert nexmo.send("POST", "/number/update", number).status == 200
    assert world.platform.account.answers(SALE) is None


def test_vonage_searches_buys_creates_and_links(world: World) -> None:
    vonage = Vonage(world)
    paging = {"country": "GB", "size": "100", "index": "1"}
    found = vonage.get("/number/search", **paging, features="SMS,VOICE")["numbers"]
    assert [each["msisdn"] for each in found] == [SALE]
    # It makes sure that the number is still there.
    again = vonage.get("/number/search", **{**paging, "size": "1"}, search_pattern="1", pattern=SALE)
    assert again["numbers"] == found
    assert vonage.form("/number/buy", country="GB", msisdn=SALE) == payload("numbers/success_200")
    made = vonage.create("Front desk")
    assert vonage.get(f"/v2/applications/{made['id']}")["name"] == "Front desk"
    [owned] = vonage.get("/account/numbers", pattern=SALE, size="100", index="1")["numbers"]
    # It sends back all that it knows of the number.
    known = {**owned, "features": ",".join(owned["features"]), "app_id": made["id"]}
    assert vonage.form("/number/update", **known) == payload("numbers/success_200")
    linked = vonage.get("/account/numbers", application_id=made["id"], size="100", index="1")
    assert [each["msisdn"] for each in linked["numbers"]] == [SALE]


def test_the_form_counts_where_the_query_says_something_else(world: World) -> None:
    form = urlencode({"country": "GB", "msisdn": SALE}).encode()
    assert world.manage("POST", f"/number/buy?country=US&msisdn={OURS}", form).json() == payload("numbers/success_200")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("447700900201", ("07700 900201", "GB", "GBR", "United Kingdom", "44")),
        ("+442079460000", ("020 7946 0000", "GB", "GBR", "United Kingdom", "44")),
        ("15550100201", ("(555) 010-0201", "US", "USA", "United States of America", "1")),
        ("4915112345678", ("01511 2345678", "DE", None, None, "49")),
    ],
)
def test_insight_tells_where_a_number_is(nexmo: Nexmo, number: str, told: tuple[str | None, ...]) -> None:
    found = nexmo.send("GET", "/ni/basic/json", [("number", number)]).json()
    names = ("national_format_number", "country_code", "country_code_iso3", "country_name", "country_prefix")
    assert tuple(found.get(name) for name in names) == told
    assert (found["status"], found["status_message"]) == (0, "Success")
    assert found["international_format_number"] == number.lstrip("+")
    assert found["request_id"]


def test_insight_reads_a_national_number_with_its_country_also_from_a_form(world: World) -> None:
    form = urlencode({"number": "07700900201", "country": "gb"}).encode()
    assert world.manage("POST", "/ni/basic/json", form).json()["international_format_number"] == SALE


@pytest.mark.parametrize("number", ["", "12", "999999", "abc"])
def test_insight_tells_what_is_no_number(nexmo: Nexmo, number: str) -> None:
    found = nexmo.send("GET", "/ni/basic/json", [("number", number)])
    text = f"Invalid request :: Not valid number format detected [ {number} ]"
    assert found.status == 200
    assert (found.json()["status"], found.json()["status_message"]) == (3, text)


def test_lookups_refuse_strangers_and_other_verbs(world: World) -> None:
    stranger = Nexmo(world, "another")
    refused = stranger.send("GET", "/ni/basic/json", [("number", SALE)])
    assert (refused.status, refused.json()["status"]) == (401, 4)
    assert Nexmo(world).send("DELETE", "/ni/basic/json", []).status == 405
    assert Nexmo(world).send("POST", "/account/get-balance", []).status == 405


def test_a_second_number_in_the_same_second_is_not_refused(world: World) -> None:
    """A script sets two numbers up: five requests to the Numbers API for each."""
    vonage = Vonage(world)
    asked = [vonage.get("/account/numbers", pattern=OURS) for _ in range(10)]
    assert [each["numbers"][0]["app_id"] for each in asked] == [APPLICATION] * 10
    assert vonage.get("/account/numbers") == payload("numbers/error_429_inferred")
