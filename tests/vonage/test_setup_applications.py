"""Applications at Vonage: what ours looks like, and how one is changed without loss."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.vonage import keys
from callflows.vonage.account import VonageError
from callflows.vonage.applications import Applications, new, same_id, sendable, voice, wanted, webhooks, with_ours
from callflows.vonage.difference import Difference, differences, lost
from callflows.vonage.setup import Sender
from tests.vonage.setup_account import WITH_MORE, Account, Reply, key_pair, payload
from tests.vonage.setup_desk import BASE, CREDENTIALS, Clock


@pytest.fixture
def applications(account: Account, clock: Clock) -> Applications:
    return Applications(Sender(CREDENTIALS, account.url))


def test_all_pages_are_read(account: Account, applications: Applications) -> None:
    for number in range(205):
        account.add({"id": f"id-{number}", "name": str(number)})
    assert [each["name"] for each in applications.all()] == [str(number) for number in range(205)]
    assert [each.query for each in account.seen] == [{"page_size": "100", "page": str(page)} for page in (1, 2, 3)]


def test_documented_pages_are_read_to_their_end(account: Account, applications: Applications) -> None:
    pages = [payload(f"applications/list_200_page{number}") for number in (1, 2)]
    account.next("GET", "/v2/applications", *(Reply(200, page) for page in pages))
    assert [each["name"] for each in applications.all()] == [
        "Front desk",
        "Front desk and messages",
        "Old application",
    ]


def test_what_is_sent_is_what_was_read_without_what_is_vonages() -> None:
    assert sendable(payload("applications/update_200")) == payload("applications/update_request")


def test_local_account_replaces_as_the_real_one_does(account: Account, applications: Applications) -> None:
    before = payload("applications/create_201_voice_own_key")
    applications.update(account.add(before), payload("applications/update_request_name_only_destructive"))
    after = payload("applications/update_200_name_only_destructive_inferred")
    assert account.applications[before["id"]].keys() == after.keys()
    assert account.applications[before["id"]]["capabilities"] == {}


def test_no_application_is_no_error(applications: Applications) -> None:
    assert [*applications.all()] == []


def test_unknown_application_is_none(applications: Applications) -> None:
    assert applications.find("0f9a6c1d-3e57-4b8a-a2c4-96d1e5f70b33") is None
    with pytest.raises(VonageError, match="Vonage answered 404: Not Found: ID '0f9a6c1d"):
        applications.get("0f9a6c1d-3e57-4b8a-a2c4-96d1e5f70b33")


def test_id_cannot_leave_its_place_in_the_address(account: Account, applications: Applications) -> None:
    assert applications.find("../../number/buy?a=") is None
    assert account.seen[0].path == "/v2/applications/..%2F..%2Fnumber%2Fbuy%3Fa%3D"


def test_new_application_is_what_the_api_documents() -> None:
    found = new("Front desk", "https://app.example.com", region="eu-west")
    documented = payload("applications/create_request_voice")
    assert found["privacy"] == documented["privacy"]
    assert voice(found)["signed_callbacks"] is True
    assert voice(found)["region"] == "eu-west"
    for name, hook in webhooks(documented).items():
        assert {**hook, "address": ""} == {**webhooks(found)[name], "address": ""}
    assert [each["address"] for each in webhooks(found).values()] == [
        f"https://app.example.com/webhooks/{name}" for name in ("answer", "fallback", "events")
    ]


def test_application_with_a_key_of_its_own_sends_the_public_one() -> None:
    assert new("Front desk", BASE, own_key="PEM")["keys"] == {"public_key": "PEM"}
    assert "keys" not in new("Front desk", BASE)


@pytest.mark.parametrize(
    "name", [WITH_MORE, "applications/get_200_sparse_voice", "applications/create_201_voice_generated_keys"]
)
def test_change_touches_only_what_is_ours(name: str) -> None:
    before = payload(name)
    changed = {each.member for each in differences(sendable(before), with_ours(before, BASE))}
    ours = {
        f"capabilities.voice.webhooks.{hook}.{member}" for hook in webhooks({}) for member in ("address", "http_method")
    }
    assert changed <= ours


def test_change_sends_back_neither_links_nor_id_nor_private_key() -> None:
    sent = with_ours(payload("applications/create_201_voice_generated_keys"), BASE)
    assert sent.keys() == {"name", "keys", "privacy", "capabilities"}
    assert sent["keys"].keys() == {"public_key"}


def test_change_does_not_alter_what_was_read() -> None:
    before = payload(WITH_MORE)
    with_ours(before, BASE)
    assert before == payload(WITH_MORE)


@pytest.mark.parametrize(
    "capabilities", [[], None, {"voice": []}, {"voice": {"webhooks": []}}, {"voice": {"webhooks": {"answer_url": []}}}]
)
def test_empty_lists_in_place_of_objects_do_not_go_back(capabilities: Any) -> None:
    sent = with_ours({"name": "Bare", "capabilities": capabilities}, BASE)
    assert webhooks(sent) == wanted({}, BASE)


def test_old_spelling_of_a_time_limit_does_not_go_back() -> None:
    sent = with_ours(payload("applications/create_request_wrong_timeout_name"), BASE)
    assert all("connection_timeout" not in each for each in webhooks(sent).values())


def test_privacy_that_was_not_read_is_said() -> None:
    assert with_ours({"name": "Bare"}, BASE)["privacy"] == {"improve_ai": False}
    assert with_ours({"privacy": {"improve_ai": True}}, BASE)["privacy"] == {"improve_ai": True}


@pytest.mark.parametrize(
    ("member", "value", "sent"),
    [
        *[("connect_timeout", value, value) for value in (300, 1000)],
        *[("connect_timeout", value, 1000) for value in (299, 1001, "800")],
        *[("socket_timeout", value, value) for value in (2000, 5000)],
        *[("socket_timeout", value, 5000) for value in (500, 1000, 5001)],
    ],
)
def test_time_limit_is_changed_only_when_it_does_not_do(member: str, value: Any, sent: Any) -> None:
    hook = {"address": "https://old.example.com/a", "http_method": "GET", member: value}
    found = with_ours({"capabilities": {"voice": {"webhooks": {"answer_url": hook}}}}, BASE)
    assert webhooks(found)["answer_url"][member] == sent


def elsewhere(fallback: str, answer: str = "https://old.example.com/answer") -> dict[str, Any]:
    hooks = {"answer_url": {"address": answer}, "fallback_answer_url": {"address": fallback, "http_method": "POST"}}
    return {"capabilities": {"voice": {"webhooks": hooks}}}


def test_fallback_on_a_host_of_its_own_stays() -> None:
    found = wanted(elsewhere("https://static.example.com/safe.json"), BASE)["fallback_answer_url"]
    assert found == {"address": "https://static.example.com/safe.json", "http_method": "POST"}


@pytest.mark.parametrize("fallback", ["https://old.example.com/f", f"{BASE}/f", "", "https://[broken"])
def test_fallback_that_goes_down_with_the_server_becomes_ours(fallback: str) -> None:
    found = wanted(elsewhere(fallback), BASE)["fallback_answer_url"]
    assert found == {"address": f"{BASE}/webhooks/fallback", "http_method": "POST"}


def test_new_fallback_elsewhere_is_fetched_by_get() -> None:
    found = wanted({}, BASE, "https://static.example.com/safe.json")["fallback_answer_url"]
    assert found == {"address": "https://static.example.com/safe.json", "http_method": "GET"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0F9A6C1D-3E57-4B8A-A2C4-96D1E5F70B33", "0f9a6c1d3e574b8aa2c496d1e5f70b33", True),
        ("a", "b", False),
        ("", None, False),
    ],
)
def test_ids_are_the_same_with_and_without_dashes(one: str, other: str | None, same: bool) -> None:
    assert same_id(one, other) is same


# Differences


def test_differences_are_told_member_by_member() -> None:
    was = {"a": {"b": 1, "c": "x"}, "d": [1], "gone": {"e": True}}
    now = {"a": {"b": 2, "c": "x"}, "d": [1], "come": {"f": None, "g": 3}}
    assert [str(each) for each in differences(was, now)] == [
        "a.b: 1 -> 2",
        "gone.e: true -> not set",
        "come.g: not set -> 3",
    ]


def test_line_ends_around_a_key_are_no_difference() -> None:
    assert differences({"key": "PEM\n"}, {"key": "PEM"}) == []


def test_what_vonage_adds_is_not_lost() -> None:
    assert lost({"a": 1}, {"a": 1, "b": 2}) == []
    assert lost({"a": 1, "c": {"d": 2}}, {"a": 3}) == [Difference("a", 1, 3), Difference("c.d", 2, None)]


# Keys


def test_private_key_fits_its_public_key() -> None:
    assert keys.problem(*key_pair()) == ""


@pytest.mark.parametrize(
    ("private", "problem"),
    [
        (key_pair(1)[0], "does not belong to the public key"),
        (key_pair()[1], "is no private RSA key in PEM form"),
        ("secret", "is no private RSA key in PEM form"),
    ],
)
def test_private_key_that_does_not_do_is_told_without_showing_it(private: str, problem: str) -> None:
    found = keys.problem(private, key_pair()[1])
    assert found.startswith(problem)
    assert private not in found


def test_public_key_that_cannot_be_read_is_told() -> None:
    public = payload(WITH_MORE)["keys"]["public_key"]
    assert keys.problem(key_pair()[0], public).startswith("cannot be compared")
