"""`manage.py vonage link`: a number comes to us, and keeps what else it does."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.models import Application, PhoneNumber
from tests.vonage.setup_account import KEY, Account, Reply, number_error, payload
from tests.vonage.setup_desk import Vonage

pytestmark = pytest.mark.django_db
OURS, OTHER = "5b0f3f5e-6f0c-4a1c-9d84-0d7e6c1b2a39", "c81d4e2e-bcf2-41e6-869b-7df92533d2db"
UPDATE = "/number/update"


@pytest.fixture(autouse=True)
def stock(account: Account) -> None:
    account.numbers = payload("numbers/list_owned_200")["numbers"]


@pytest.fixture
def desk() -> Application:
    return Application.objects.create(name="Front desk", application_id=OURS, api_key=KEY)


def number(account: Account, digits: str) -> dict[str, Any]:
    return next(each for each in account.numbers if each["msisdn"] == digits)


def test_free_number_is_linked_without_a_question(vonage: Vonage, account: Account, desk: Application) -> None:
    outcome = vonage.succeeds("link", "447700900102")
    assert account.asked("POST")[0].form == payload("numbers/update_form_link_app")
    assert outcome.out.splitlines() == [
        "Linked 447700900102 to Front desk:",
        f"  app_id: not set -> {OURS}",
        "  voiceCallbackType: not set -> app",
        f"  voiceCallbackValue: not set -> {OURS}",
        "In the admin it is added under Front desk; choose its flow there.",
    ]
    row = PhoneNumber.objects.get()
    assert (row.digits, row.country, row.application) == ("447700900102", "GB", desk)


def test_linked_number_stays_as_it_is(vonage: Vonage, account: Account, desk: Application) -> None:
    outcome = vonage.succeeds("link", "447700900101")
    assert outcome.out.startswith("447700900101 is linked to Front desk already.")
    assert not account.asked("POST")


def test_number_is_asked_for_before_it_is_taken_from_another_application(
    vonage: Vonage, account: Account, desk: Application
) -> None:
    number(account, "447700900105")["app_id"] = OTHER
    outcome = vonage("link", "447700900105", types="n\n")
    assert outcome.err == (
        f"447700900105 is linked to another application, {OTHER}. "
        "Take it from there: its callers get Front desk from now on? [y/N] "
    )
    assert outcome.error == "Nothing was changed."
    assert not account.asked("POST")
    vonage.succeeds("link", "447700900105", types="y\n")
    after = number(account, "447700900105")
    assert (after["app_id"], after["messagesCallbackValue"]) == (OURS, OURS)


def test_forwarding_is_asked_about_and_ends(vonage: Vonage, account: Account, desk: Application) -> None:
    outcome = vonage.succeeds("link", "447700900103", types="y\n")
    assert "447700900103 forwards its calls to tel 447700900199." in outcome.err
    assert account.asked("POST")[0].form == payload("numbers/update_form_link_app_keep_sms")
    assert number(account, "447700900103")["moHttpUrl"] == "https://app.example.com/vonage/sms"
    assert "  voiceCallbackType: tel -> app" in outcome.out


def test_script_takes_a_number_with_yes(vonage: Vonage, account: Account, desk: Application) -> None:
    assert vonage("link", "447700900103", "--json").json["error"].startswith("With --json nothing is asked; add --yes")
    outcome = vonage.succeeds("link", "447700900103", "--json", "--yes").json
    assert (outcome["ok"], outcome["number"], outcome["application"], outcome["confirmed"]) == (
        True,
        "447700900103",
        OURS,
        True,
    )
    assert {"member": "app_id", "was": None, "is": OURS} in outcome["changes"]


def test_forwarding_that_stays_is_told(vonage: Vonage, account: Account, desk: Application) -> None:
    """Sources disagree on whether an update without the pair ends it."""

    def merged() -> Reply:
        number(account, "447700900103")["app_id"] = OURS
        return Reply(200, payload("numbers/success_200"))

    account.next("POST", UPDATE, merged)
    error = vonage("link", "447700900103", "--yes").error
    assert error == (
        "Its calls are forwarded to tel 447700900199 still, which takes precedence: end that in the dashboard."
    )


def test_setting_that_a_link_loses_is_told(vonage: Vonage, account: Account, desk: Application) -> None:
    def lossy() -> Reply:
        account.numbers = [{"country": "GB", "msisdn": "447700900103", "app_id": OURS}]
        return Reply(200, payload("numbers/success_200"))

    account.next("POST", UPDATE, lossy)
    error = vonage("link", "447700900103", "--yes").error
    assert error == "It lost a setting: moHttpUrl: https://app.example.com/vonage/sms -> not set."


def test_link_that_does_not_show_is_read_three_times(vonage: Vonage, account: Account, desk: Application) -> None:
    account.next("POST", UPDATE, Reply(200, payload("numbers/success_200")))
    error = vonage("link", "447700900102").error
    assert error == "Vonage took the link, but shows none still. Look again in a minute."
    assert len(account.asked("GET")) == 4


@pytest.mark.parametrize(
    ("digits", "reply", "text"),
    [
        ("447700900102", number_error(420, "method failed"), "Vonage did not link 447700900102: Vonage answered 420"),
        ("447700900103", number_error(420, "x"), "/vonage/sms must answer 200 to a GET meanwhile."),
        ("447700900102", Reply(500, b""), "It is not known whether 447700900102 was linked"),
    ],
)
def test_refused_link_is_told(
    vonage: Vonage, account: Account, desk: Application, digits: str, reply: Reply, text: str
) -> None:
    account.next("POST", UPDATE, reply)
    assert text in vonage("link", digits, "--yes").error
    assert not PhoneNumber.objects.exists()


@pytest.mark.parametrize(
    ("digits", "text"), [("447700900999", "does not have 447700900999"), ("60777", "60777 takes no calls: it has SMS.")]
)
def test_number_that_cannot_be_linked_is_told(vonage: Vonage, desk: Application, digits: str, text: str) -> None:
    assert text in vonage("link", digits).error


def test_number_that_the_admin_refuses_is_linked_all_the_same(
    vonage: Vonage, account: Account, desk: Application
) -> None:
    account.numbers = [{"country": "GB", "msisdn": "0123456", "features": ["VOICE"]}]
    assert "The admin does not take it: 0123456: Expected 5 to 15 digits" in vonage.succeeds("link", "0123456").out
    assert account.numbers[0]["app_id"] == OURS
