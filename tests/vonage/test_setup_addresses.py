"""`manage.py vonage update-urls`: our addresses go in, and everything else stays."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.models import Application
from callflows.vonage import applications
from callflows.vonage.applications import voice, webhooks
from tests.vonage.setup_account import KEY, WITH_MORE, Account, Reply, key_pair, payload
from tests.vonage.setup_desk import BASE, Vonage
from tests.vonage.setup_rows import application_in

pytestmark = pytest.mark.django_db
PATH = "/v2/applications"


@pytest.fixture
def there(account: Account, vonage: Vonage) -> dict[str, Any]:
    return application_in(account)


def test_addresses_are_changed_and_the_difference_is_shown(
    vonage: Vonage, account: Account, there: dict[str, Any]
) -> None:
    hook = "capabilities.voice.webhooks"
    outcome = vonage.succeeds("update-urls")
    assert outcome.out.splitlines() == [
        f"Changed the application Front desk and messages ({there['id']}):",
        f"  {hook}.answer_url.address: https://app.example.com/vonage/answer -> {BASE}/webhooks/answer",
        f"  {hook}.fallback_answer_url.address: https://app.example.com/vonage/fallback -> {BASE}/webhooks/fallback",
        f"  {hook}.event_url.address: https://app.example.com/vonage/event -> {BASE}/webhooks/events",
    ]
    now = account.applications[there["id"]]
    for name in ("name", "keys", "privacy"):
        assert now[name] == there[name]
    for name in ("messages", "vbc", "video"):
        assert now["capabilities"][name] == there["capabilities"][name]
    assert [each.method for each in account.seen] == ["GET", "PUT", "GET"]


def test_second_time_there_is_nothing_to_change(vonage: Vonage, account: Account, there: dict[str, Any]) -> None:
    vonage.succeeds("update-urls")
    outcome = vonage.succeeds("update-urls", "--json")
    assert outcome.json == {"ok": True, "application": there["id"], "changes": [], "confirmed": True}
    assert len(account.asked("PUT")) == 1


def test_changes_are_told_as_json(vonage: Vonage, there: dict[str, Any]) -> None:
    voice(there)["signed_callbacks"] = False
    changes = vonage.succeeds("update-urls", "--json").json["changes"]
    assert {"member": "capabilities.voice.signed_callbacks", "was": False, "is": True} in changes


def test_fallback_goes_where_it_is_said_and_stays_there(
    vonage: Vonage, account: Account, there: dict[str, Any]
) -> None:
    address = "https://static.example.com/safe.json"
    vonage.succeeds("update-urls", "--fallback-url", address)
    vonage.succeeds("update-urls")
    hook = webhooks(account.applications[there["id"]])["fallback_answer_url"]
    assert (hook["address"], hook["http_method"]) == (address, "GET")
    assert "expected https://host/path" in vonage("update-urls", "--fallback-url", "safe.json").error


def test_application_that_was_made_elsewhere_comes_into_the_admin(vonage: Vonage, account: Account) -> None:
    application_id = account.add(payload(WITH_MORE))
    outcome = vonage.succeeds("update-urls", "--application", application_id)
    row = Application.objects.get()
    assert (row.name, row.application_id, row.api_key) == ("Front desk and messages", application_id, KEY)
    assert "The admin has it now as Front desk and messages" in outcome.out


def test_application_whose_name_is_taken_comes_into_the_admin_under_its_id_too(
    vonage: Vonage, account: Account
) -> None:
    application_id = account.add(payload(WITH_MORE))
    Application.objects.create(name="Front desk and messages", application_id="other")
    vonage.succeeds("update-urls", "--application", application_id)
    assert Application.objects.get(application_id=application_id).name == f"Front desk and messages {application_id}"


def test_missing_api_key_is_put_into_the_admin(vonage: Vonage, there: dict[str, Any]) -> None:
    Application.objects.update(api_key="")
    assert f"The admin has its API key now: {KEY}." in vonage.succeeds("update-urls").out
    assert Application.objects.get().api_key == KEY


def test_what_vonage_did_not_keep_is_told(vonage: Vonage, account: Account, there: dict[str, Any]) -> None:
    account.next("PUT", f"{PATH}/{there['id']}", Reply(200, there))
    outcome = vonage("update-urls", "--json")
    assert outcome.error.startswith("Vonage did not keep this: capabilities.voice.webhooks.answer_url.address: ")
    assert outcome.json["confirmed"] is False


def test_capabilities_that_a_change_loses_are_told(vonage: Vonage, account: Account, there: dict[str, Any]) -> None:
    def put() -> Reply:
        account.applications[there["id"]] = {**account.asked("PUT")[0].json, "id": there["id"], "capabilities": {}}
        return Reply(200, {})

    account.next("PUT", f"{PATH}/{there['id']}", put)
    assert "capabilities.messages.version: v1 -> not set" in vonage("update-urls").error


def test_change_whose_answer_is_lost_is_unclear(vonage: Vonage, account: Account, there: dict[str, Any]) -> None:
    account.next("PUT", f"{PATH}/{there['id']}", Reply(503, b""))
    error = vonage("update-urls").error
    assert error.endswith("It is not known whether the change was stored: python manage.py vonage check")
    assert len(account.asked("PUT")) == 1


def test_change_that_cannot_be_read_again_is_told(vonage: Vonage, account: Account, there: dict[str, Any]) -> None:
    account.next("GET", f"{PATH}/{there['id']}", Reply(200, there), *[Reply(500, b"")] * 4)
    assert vonage("update-urls").error.startswith("Vonage took the change, but it could not be read again")


def test_refused_change_names_the_member(
    vonage: Vonage, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live API's text for a member that it does not know."""
    monkeypatch.setattr(applications, "_NOT_SENT", ("id",))
    assert "_links is not a known json property" in vonage("update-urls").error


def test_unasked_private_key_of_a_change_is_kept(
    vonage: Vonage, account: Account, there: dict[str, Any], settings: Any
) -> None:
    answer = {**there, "keys": {"public_key": "x", "private_key": key_pair()[0]}}
    account.next("PUT", f"{PATH}/{there['id']}", Reply(200, answer))
    outcome = vonage("update-urls")
    (path,) = (settings.DATA_DIR / "keys").iterdir()
    assert path.read_text() == key_pair()[0]
    assert not outcome.shows_key()


def test_unknown_application_is_told(vonage: Vonage) -> None:
    Application.objects.create(name="Front desk", application_id="0f9a6c1d-3e57-4b8a-a2c4-96d1e5f70b33")
    assert "Vonage answered 404: Not Found" in vonage("update-urls").error
