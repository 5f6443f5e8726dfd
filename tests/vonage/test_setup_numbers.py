"""Numbers at Vonage: found exactly, bought once, and linked without loss."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.vonage.account import VonageError
from callflows.vonage.countries import countries
from callflows.vonage.numbers import Numbers, application_of, feature_list, forwarded, linking, pattern, takes_calls
from tests.vonage.setup_account import Account, Reply, payload
from tests.vonage.setup_desk import CREDENTIALS, Clock

APPLICATION = "5b0f3f5e-6f0c-4a1c-9d84-0d7e6c1b2a39"
BUY = "/number/buy"


@pytest.fixture
def numbers(account: Account, clock: Clock) -> Numbers:
    account.numbers = payload("numbers/list_owned_200")["numbers"]
    account.pool = payload("numbers/search_200")["numbers"]
    return Numbers(CREDENTIALS, account.url)


def named(digits: str) -> dict[str, Any]:
    return next(each for each in payload("numbers/list_owned_200")["numbers"] if each["msisdn"] == digits)


def test_number_is_found_exactly_among_longer_ones(account: Account, numbers: Numbers) -> None:
    account.numbers = payload("numbers/list_owned_200_prefix_trap")["numbers"]
    found = numbers.own("447700900101")
    assert found
    assert found["app_id"] == APPLICATION
    assert numbers.own("44770090010") is None


@pytest.mark.parametrize("empty", ["numbers/list_owned_200_empty", "numbers/list_owned_200_empty_zero"])
def test_no_number_is_no_error(account: Account, numbers: Numbers, empty: str) -> None:
    account.numbers, account.pool, account.empty = [], [], payload(empty)
    assert [*numbers.owned()] == []
    assert numbers.search("GB", 10) == (0, [])


def test_all_pages_are_read(account: Account, numbers: Numbers) -> None:
    account.numbers = [{"msisdn": f"447700900{each:03}", "country": "GB"} for each in range(205)]
    assert [*numbers.owned()] == account.numbers
    assert [each.query["index"] for each in account.seen] == ["1", "2", "3"]
    assert {each.query["size"] for each in account.seen} == {"100"}


def test_numbers_of_an_application_are_asked_for(account: Account, numbers: Numbers) -> None:
    assert [each["msisdn"] for each in numbers.linked(APPLICATION)] == ["447700900101", "447700900105"]


def test_number_for_sale_is_found_in_its_country(numbers: Numbers) -> None:
    found = numbers.for_sale("GB", "447700900202")
    assert found
    assert found["initialPrice"] == "0.00"
    assert numbers.for_sale("GB", "44770090020") is None


# Buying


def test_number_is_bought_with_a_form(account: Account, numbers: Numbers) -> None:
    numbers.buy("GB", "447700900201")
    assert account.asked("POST")[0].form == payload("numbers/buy_form")
    assert account.numbers[-1]["msisdn"] == "447700900201"


def test_refused_purchase_is_not_tried_again(account: Account, numbers: Numbers) -> None:
    with pytest.raises(VonageError, match="Vonage answered 420: method failed"):
        numbers.buy("US", "447700900201")
    assert len(account.seen) == 1


def test_error_in_an_answer_of_200_is_one(account: Account, numbers: Numbers) -> None:
    account.next("POST", BUY, Reply(200, payload("numbers/error_420_method_failed")))
    with pytest.raises(VonageError, match="420: method failed"):
        numbers.buy("GB", "447700900201")


def bought_but_unclear(account: Account, reply: Reply) -> None:
    """Let the next purchase work, and its answer say otherwise."""

    def answer() -> Reply:
        account.numbers.append({"country": "GB", "msisdn": "447700900201"})
        return reply

    account.next("POST", BUY, answer)


@pytest.mark.parametrize("reply", [Reply(500, b""), Reply(200, b""), Reply(504, b"<html>", "text/html")])
def test_unclear_purchase_is_looked_up_before_it_is_repeated(account: Account, numbers: Numbers, reply: Reply) -> None:
    bought_but_unclear(account, reply)
    numbers.buy("GB", "447700900201")
    assert [each.method for each in account.seen] == ["POST", "GET"]


def test_purchase_that_did_not_happen_is_repeated_once(account: Account, numbers: Numbers) -> None:
    account.next("POST", BUY, Reply(500, b""))
    numbers.buy("GB", "447700900201")
    assert [each.method for each in account.seen] == ["POST", "GET", "POST"]


def test_purchase_that_shows_late_counts(account: Account, numbers: Numbers) -> None:
    account.next("POST", BUY, Reply(500, b""))
    bought_but_unclear(account, Reply(420, payload("numbers/error_420_method_failed")))
    numbers.buy("GB", "447700900201")
    assert [each.method for each in account.seen] == ["POST", "GET", "POST", "GET"]


def test_purchase_that_fails_twice_is_told(account: Account, numbers: Numbers) -> None:
    account.next("POST", BUY, Reply(500, b""), Reply(503, b""))
    with pytest.raises(VonageError, match="503"):
        numbers.buy("GB", "447700900201")


def test_purchase_that_cannot_be_looked_up_is_unclear(account: Account, numbers: Numbers) -> None:
    account.next("POST", BUY, Reply(500, b""))
    account.next("GET", "/account/numbers", *[Reply(500, b"")] * 4)
    with pytest.raises(VonageError, match="it is not known whether the number was bought") as raised:
        numbers.buy("GB", "447700900201")
    assert raised.value.maybe


# Linking


@pytest.mark.parametrize(
    ("digits", "form"), [("447700900102", "update_form_link_app"), ("447700900103", "update_form_link_app_keep_sms")]
)
def test_link_sends_back_what_is_to_stay(digits: str, form: str) -> None:
    assert linking(named(digits), APPLICATION) == payload(f"numbers/{form}")


def test_link_keeps_the_messages_application_and_turns_the_app_pair_into_its_id() -> None:
    form = linking(named("447700900105"), "another")
    assert form == {
        "country": "GB",
        "msisdn": "447700900105",
        "app_id": "another",
        "messagesCallbackType": "app",
        "messagesCallbackValue": APPLICATION,
    }


@pytest.mark.parametrize("name", ["voiceStatusCallback", "voiceStatusCallbackUrl", "voiceStatusCallbackValue"])
def test_status_callback_is_written_under_the_name_that_works(name: str) -> None:
    number = {"country": "GB", "msisdn": "447700900102", name: "https://app.example.com/ended", "moHttpUrl": ""}
    form = linking(number, APPLICATION)
    assert form == {**payload("numbers/update_form_link_app"), "voiceStatusCallback": "https://app.example.com/ended"}


def test_update_is_a_form(account: Account, numbers: Numbers) -> None:
    numbers.update(linking(named("447700900103"), APPLICATION))
    assert account.asked("POST")[0].headers["content-type"] == "application/x-www-form-urlencoded"
    changed = next(each for each in account.numbers if each["msisdn"] == "447700900103")
    assert (changed["app_id"], changed["moHttpUrl"]) == (APPLICATION, "https://app.example.com/vonage/sms")
    assert not forwarded(changed)


def test_forwarding_is_told_as_it_takes_precedence() -> None:
    assert forwarded(named("447700900103")) == "tel 447700900199"
    assert forwarded(named("447700900104")) == "sip sip:desk@sip.example.com"
    assert forwarded(named("447700900101")) == ""


def test_application_is_read_from_either_member() -> None:
    pair = {"voiceCallbackType": "app", "voiceCallbackValue": "one"}
    assert application_of(pair) == "one"
    assert application_of({**pair, "app_id": "two"}) == "two"
    assert application_of(named("447700900103")) == ""


@pytest.mark.parametrize(
    ("features", "calls"), [(["VOICE"], True), (["SMS"], False), (None, True), ([], True), (["SMS", "VOICE"], True)]
)
def test_number_without_a_list_of_features_may_take_calls(features: Any, calls: bool) -> None:
    assert takes_calls({"features": features}) is calls


# Words


@pytest.mark.parametrize(("text", "how"), [("4420", "0"), ("4420*", "0"), ("*4420*", "1"), ("*4420", "2")])
def test_stars_say_where_digits_stand(text: str, how: str) -> None:
    assert pattern(text) == {"pattern": "4420", "search_pattern": how}


def test_features_are_put_into_vonages_order() -> None:
    assert feature_list("voice, sms") == "SMS,VOICE"
    assert feature_list("MMS,VOICE,SMS") == "SMS,MMS,VOICE"
    with pytest.raises(ValueError, match="expected VOICE, SMS, MMS"):
        feature_list("fax")


@pytest.mark.parametrize(
    ("digits", "found"),
    [
        ("447700900201", ("GB", "JE", "GG", "IM")),
        ("15550100001", ("US", "CA")),
        ("18765550100", ("JM",)),
        ("35315550100", ("IE",)),
        ("999", ()),
        ("", ()),
    ],
)
def test_country_follows_from_the_calling_code(digits: str, found: tuple[str, ...]) -> None:
    assert countries(digits) == found
