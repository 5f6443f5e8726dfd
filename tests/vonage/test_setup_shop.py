"""`manage.py vonage numbers`, `search`, `buy` and `fallback-file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callflows.models import Application, CallFlow, PhoneNumber
from callflows.ncco.document import errors
from tests.vonage.setup_account import KEY, Account, Reply, number_error, payload
from tests.vonage.setup_desk import BASE, Vonage

pytestmark = pytest.mark.django_db
OURS, OTHER = "5b0f3f5e-6f0c-4a1c-9d84-0d7e6c1b2a39", "c81d4e2e-bcf2-41e6-869b-7df92533d2db"
BUY, UPDATE = "/number/buy", "/number/update"


@pytest.fixture(autouse=True)
def stock(account: Account) -> None:
    account.numbers = payload("numbers/list_owned_200")["numbers"]
    account.pool = payload("numbers/search_200")["numbers"]


@pytest.fixture
def desk() -> Application:
    return Application.objects.create(name="Front desk", application_id=OURS, api_key=KEY)


# Listing, and bringing into the admin


def test_numbers_are_listed_with_where_their_calls_go(vonage: Vonage, desk: Application) -> None:
    PhoneNumber.objects.create(digits="447700900101", flow=CallFlow.objects.create(name="Menu"))
    lines = vonage.succeeds("numbers").out.splitlines()
    assert lines[0].split("  ")[0] == "number"
    assert lines[1].split() == ["447700900101", "GB", "mobile-lvn", "VOICE", "SMS", "Front", "desk", "Menu"]
    assert lines[2].split() == ["447700900102", "GB", "mobile-lvn", "SMS", "VOICE", "-", "-"]
    assert lines[3].split() == ["447700900103", "GB", "landline", "VOICE", "tel", "447700900199", "-"]
    assert len(lines) == 7


def test_numbers_of_one_application_are_listed(vonage: Vonage, desk: Application) -> None:
    outcome = vonage.succeeds("numbers", "--application", "Front desk", "--json").json
    assert [each["number"] for each in outcome["numbers"]] == ["447700900101", "447700900105"]
    assert outcome["numbers"][0] == {
        "number": "447700900101",
        "country": "GB",
        "type": "mobile-lvn",
        "features": ["VOICE", "SMS"],
        "application_id": OURS,
        "goes_to": "Front desk",
        "in_admin": False,
        "flow": "-",
    }


@pytest.mark.parametrize("empty", ["numbers/list_owned_200_empty", "numbers/list_owned_200_empty_zero"])
def test_account_without_numbers_is_told(vonage: Vonage, account: Account, empty: str) -> None:
    account.numbers, account.empty = [], payload(empty)
    assert vonage.succeeds("numbers").out == "The account has no numbers.\n"
    assert vonage.succeeds("numbers", "--json").json == {"ok": True, "count": 0, "numbers": [], "not_owned": []}


def test_listing_changes_nothing(vonage: Vonage, account: Account, desk: Application) -> None:
    vonage.succeeds("numbers")
    assert not PhoneNumber.objects.exists()
    assert not account.asked("POST")


def test_sync_brings_numbers_that_take_calls_into_the_admin(vonage: Vonage, desk: Application) -> None:
    outcome = vonage.succeeds("numbers", "--sync")
    assert [(each.digits, each.country, each.application) for each in PhoneNumber.objects.all()] == [
        ("447700900101", "GB", desk),
        ("447700900102", "GB", None),
        ("447700900103", "GB", None),
        ("447700900104", "GB", None),
        ("447700900105", "GB", desk),
    ]
    assert "In the admin: 5 added, 0 changed, 0 unchanged.\nLeft out: 60777: it takes no calls.\n" in outcome.out


def test_sync_keeps_flows_and_tells_what_changed(vonage: Vonage, desk: Application) -> None:
    flow = CallFlow.objects.create(name="Menu")
    PhoneNumber.objects.create(digits="447700900101", name="Desk", flow=flow, time_zone="Europe/London")
    PhoneNumber.objects.create(digits="447700900102", country="GB", application=None)
    result = vonage.succeeds("numbers", "--sync", "--json").json["sync"]
    assert (result["changed"], result["unchanged"]) == (["447700900101"], ["447700900102"])
    row = PhoneNumber.objects.get(digits="447700900101")
    assert (row.name, row.flow, row.time_zone) == ("Desk", flow, "Europe/London")
    assert (row.country, row.application) == ("GB", desk)
    again = vonage.succeeds("numbers", "--sync", "--json").json["sync"]
    assert (again["added"], again["changed"], len(again["unchanged"])) == ([], [], 5)


def test_sync_leaves_numbers_of_applications_that_the_admin_does_not_have(vonage: Vonage) -> None:
    result = vonage.succeeds("numbers", "--sync", "--json").json["sync"]
    text = f"it is linked to the application {OURS}, which the admin does not have"
    assert result["left_out"][:2] == [f"447700900101: {text}", f"447700900105: {text}"]


def test_sync_leaves_out_what_the_admin_refuses(vonage: Vonage, account: Account) -> None:
    account.numbers = [{"msisdn": "0123", "country": "GB", "features": ["VOICE"]}]
    result = vonage.succeeds("numbers", "--sync", "--json").json["sync"]
    assert result["left_out"][0].startswith("0123: Expected 5 to 15 digits")


def test_numbers_of_the_admin_that_the_account_does_not_have_are_told_and_kept(
    vonage: Vonage, desk: Application
) -> None:
    foreign = Application.objects.create(name="Abroad", application_id="x", api_key="other")
    PhoneNumber.objects.create(digits="447700900900", application=desk)
    PhoneNumber.objects.create(digits="447700900901", application=foreign)
    assert vonage.succeeds("numbers", "--sync", "--json").json["not_owned"] == ["447700900900"]
    assert "In the admin, but not in the account, and kept: 447700900900." in vonage.succeeds("numbers").out
    assert PhoneNumber.objects.filter(digits="447700900900").exists()


# Searching


def test_numbers_for_sale_are_shown_with_their_prices(vonage: Vonage, account: Account) -> None:
    lines = vonage.succeeds("search", "gb").out.splitlines()
    assert lines[1].split() == ["447700900201", "mobile-lvn", "VOICE", "SMS", "1.25", "?"]
    assert lines[2].split() == ["447700900202", "mobile-lvn", "VOICE", "SMS", "1.25", "0.00"]
    assert lines[3] == "Next: python manage.py vonage buy NUMBER --country GB"
    assert account.seen[0].query == {"country": "GB", "size": "10", "index": "1", "features": "VOICE"}


def test_search_passes_on_what_is_asked(vonage: Vonage, account: Account) -> None:
    words = ("--pattern", "*9002*", "--type", "mobile-lvn", "--features", "voice,sms", "--limit", "1")
    outcome = vonage.succeeds("search", "GB", *words)
    assert account.seen[0].query == {
        **{"country": "GB", "size": "1", "index": "1", "pattern": "9002", "search_pattern": "1"},
        **{"features": "SMS,VOICE", "type": "mobile-lvn"},
    }
    assert "2 fit; the first 1 are shown." in outcome.out


def test_search_answers_as_json(vonage: Vonage) -> None:
    found = vonage.succeeds("search", "GB", "--json").json
    assert (found["ok"], found["country"], found["count"]) == (True, "GB", 2)
    assert found["numbers"][1]["initial_price"] == "0.00"


def test_nothing_for_sale_is_told(vonage: Vonage, account: Account) -> None:
    account.pool = []
    assert vonage.succeeds("search", "GB").out == "GB has no such number for sale.\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("Britain",), "Expected a country as two letters, such as GB, got 'Britain'."),
        (("GB", "--pattern", "abc"), "--pattern: expected digits"),
        (("GB", "--features", "fax"), "--features: expected VOICE, SMS, MMS"),
    ],
)
def test_search_for_nonsense_is_refused(vonage: Vonage, account: Account, words: Any, text: str) -> None:
    assert text in vonage("search", *words).error
    assert not account.seen


# Buying


def test_price_is_asked_before_a_number_is_bought(vonage: Vonage, account: Account) -> None:
    outcome = vonage("buy", "+44 7700 900202", types="n\n")
    assert outcome.err == "Buy 447700900202 (GB, mobile-lvn, VOICE SMS) for 1.25 EUR a month, 0.00 EUR once? [y/N] "
    assert outcome.error == "Nothing was bought."
    assert not account.asked("POST")


@pytest.mark.parametrize("types", ["", "\n", "maybe\n"])
def test_only_yes_is_yes(vonage: Vonage, account: Account, types: str) -> None:
    assert vonage("buy", "447700900201", types=types).error == "Nothing was bought."
    assert not account.asked("POST")


def test_number_is_bought_when_the_person_agrees(vonage: Vonage, account: Account) -> None:
    outcome = vonage.succeeds("buy", "447700900201", types="y\n")
    assert outcome.out == "Bought 447700900201 (GB).\nNext: python manage.py vonage link 447700900201\n"
    assert account.asked("POST")[0].form == payload("numbers/buy_form")


def test_script_agrees_beforehand(vonage: Vonage, account: Account) -> None:
    refused = vonage("buy", "447700900201", "--json")
    assert refused.json["error"].startswith(
        "With --json nothing is asked; add --yes to agree to this: Buy 447700900201"
    )
    bought = vonage.succeeds("buy", "447700900201", "--json", "--yes")
    assert (bought.json["bought"], bought.json["cost"], bought.err) == (True, "1.25", "")


def test_country_is_tried_in_turn(vonage: Vonage, account: Account) -> None:
    account.pool = [{"country": "CA", "msisdn": "15550100001", "type": "landline", "features": ["VOICE"]}]
    outcome = vonage.succeeds("buy", "15550100001", types="yes\n")
    assert "(CA, landline, VOICE) for a monthly rent that Vonage does not name?" in outcome.err
    assert [each.query["country"] for each in account.asked("GET")] == ["US", "CA"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("447700900999",), "447700900999 is not for sale in GB or JE or GG or IM."),
        (("44770090020", "--country", "GB"), "44770090020 is not for sale in GB."),
        (("447700900101", "--country", "GB"), "The account has 447700900101 already. Next: "),
        (("999123456",), "name the country with --country"),
        (("007",), "Expected a number with its country code"),
        (("sip:desk",), "Expected a number with its country code"),
    ],
)
def test_number_that_cannot_be_bought_is_told(vonage: Vonage, account: Account, words: Any, text: str) -> None:
    assert text in vonage("buy", *words, "--yes").error
    assert not account.asked("POST")


def test_number_without_voice_is_not_bought(vonage: Vonage, account: Account) -> None:
    account.pool[0]["features"] = ["SMS"]
    assert vonage("buy", "447700900201", "--yes").error == (
        "447700900201 takes no calls: it has SMS. Nothing was bought."
    )


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(420, payload("numbers/error_420_method_failed")), "method failed. That comes without credit"),
        (Reply(420, payload("numbers/error_420_address_required")), "require a valid local address"),
        (Reply(200, payload("numbers/error_420_method_failed")), "That comes without credit"),
        (Reply(400, payload("numbers/error_400_missing_country")), "country: Is required. Nothing was bought."),
        (number_error(401, "authentication failed"), "check VONAGE_API_KEY and VONAGE_API_SECRET. Nothing was bought."),
    ],
)
def test_refused_purchase_is_told_in_words(vonage: Vonage, account: Account, reply: Reply, text: str) -> None:
    account.next("POST", BUY, reply)
    assert text in vonage("buy", "447700900201", "--yes").error


def test_purchase_with_an_unclear_end_says_where_to_look(vonage: Vonage, account: Account) -> None:
    account.next("POST", BUY, Reply(500, b""), Reply(500, b""))
    assert "Look whether the account has 447700900201" in vonage("buy", "447700900201", "--yes").error


# The fallback file


def test_fallback_file_is_an_ncco(vonage: Vonage, tmp_path: Path) -> None:
    path = tmp_path / "safe.json"
    outcome = vonage.succeeds("fallback-file", str(path))
    assert errors(json.loads(path.read_text())) == []
    assert outcome.out.startswith(f"Wrote {path}\n")
    assert "update-urls --fallback-url https://elsewhere.example.com/safe.json" in outcome.out
    assert vonage.succeeds("fallback-file", str(path), "--json").json["file"] == str(path)


def test_fallback_file_needs_no_account(vonage: Vonage, settings: Any) -> None:
    settings.VONAGE_API_KEY = settings.VONAGE_API_SECRET = settings.PUBLIC_URL = ""
    assert json.loads(vonage.succeeds("fallback-file").out) == settings.SAFE_NCCO
    assert vonage.succeeds("fallback-file", "--json").json["ncco"] == settings.SAFE_NCCO


def test_fallback_file_overwrites_nothing(vonage: Vonage, tmp_path: Path) -> None:
    for content in (b"mine", b"\xff"):
        (tmp_path / "safe.json").write_bytes(content)
        assert "exists and holds something else" in vonage("fallback-file", str(tmp_path / "safe.json")).error
        assert (tmp_path / "safe.json").read_bytes() == content
    assert "cannot be written" in vonage("fallback-file", str(tmp_path / "missing" / "safe.json")).error


def test_fallback_file_that_needs_this_server_is_warned_of(vonage: Vonage, settings: Any, tmp_path: Path) -> None:
    settings.SAFE_NCCO = [
        {"action": "stream", "streamUrl": [f"{BASE}/away.wav"]},
        {"action": "talk", "text": "Sorry, {{ from }}"},
    ]
    out = vonage.succeeds("fallback-file", str(tmp_path / "safe.json")).out
    assert "Careful: it names calls.example.com" in out
    assert "Careful: it has variables" in out


def test_fallback_file_is_not_written_from_what_vonage_would_refuse(vonage: Vonage, settings: Any) -> None:
    settings.SAFE_NCCO = [{"action": "sing"}]
    assert "SAFE_NCCO is no NCCO that Vonage takes" in vonage("fallback-file").error
