"""`manage.py vonage check`: what keeps callers out, and the command that puts it right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callflows.models import Application, CallFlow, FlowVersion, PhoneNumber
from callflows.vonage.applications import voice, webhooks, with_ours
from tests.vonage.setup_account import KEY, Account, key_pair, payload
from tests.vonage.setup_desk import BASE, Outcome, Vonage

pytestmark = pytest.mark.django_db
NUMBER = "447700900101"
UPDATE = "python manage.py vonage update-urls"


@pytest.fixture
def ours(account: Account, vonage: Vonage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An application at Vonage with nothing wrong; a change of it is what Vonage has."""
    application = payload("applications/get_200_other_capabilities")
    application["keys"]["public_key"] = key_pair()[1]
    found = {**with_ours(application, BASE, "https://static.example.com/safe.json"), "id": application["id"]}
    account.add(found)
    account.numbers = [{"country": "GB", "msisdn": NUMBER, "features": ["VOICE"], "app_id": found["id"]}]
    monkeypatch.setenv("FRONT_DESK_KEY", key_pair()[0])
    row = Application.objects.create(
        name="Front desk", application_id=found["id"], api_key=KEY, private_key_variable="FRONT_DESK_KEY"
    )
    flow = CallFlow.objects.create(name="Menu")
    flow.live = FlowVersion.objects.create(flow=flow, number=1, document={})
    flow.save()
    PhoneNumber.objects.create(digits=NUMBER, application=row, flow=flow)
    return found


def finding(outcome: Outcome, topic: str, level: str = "wrong") -> dict[str, str]:
    """Return the only finding of a topic that is not OK, of a run with --json."""
    found = [each for each in outcome.json["findings"] if each["level"] != "ok"]
    assert [(each["topic"], each["level"]) for each in found] == [(topic, level)]
    assert outcome.json["ok"] is (level == "warning")
    assert bool(outcome.error) is (level == "wrong")
    return dict(found[0])


def test_application_with_nothing_wrong_is_ok(vonage: Vonage, ours: dict[str, Any]) -> None:
    outcome = vonage.succeeds("check")
    lines = outcome.out.splitlines()
    assert all(line.startswith("OK ") for line in lines)
    assert f"OK       answer URL: {BASE}/webhooks/answer by POST" in lines
    assert f"OK       number {NUMBER}: linked, and answered by the flow Menu" in lines
    assert vonage.succeeds("check", "--json").json["ok"] is True


def test_wrong_thing_is_told_with_the_command_that_mends_it(vonage: Vonage, ours: dict[str, Any]) -> None:
    webhooks(ours)["event_url"]["address"] = "https://old.example.com/events"
    outcome = vonage("check")
    assert outcome.error == "There is 1 thing to put right."
    assert (
        f"WRONG    event URL: expected {BASE}/webhooks/events, got https://old.example.com/events\n"
        f"         To do: {UPDATE}\n"
    ) in outcome.out


@pytest.mark.parametrize("hooks", [{}, []])
def test_address_that_is_missing_is_wrong(vonage: Vonage, ours: dict[str, Any], hooks: Any) -> None:
    voice(ours)["webhooks"] = hooks
    outcome = vonage("check", "--json")
    wrong = [each["text"] for each in outcome.json["findings"] if each["level"] == "wrong"]
    assert wrong == [f"expected {BASE}/webhooks/{name}, got none" for name in ("answer", "fallback", "events")]


def test_address_with_a_slash_at_its_end_is_ours_too(vonage: Vonage, ours: dict[str, Any]) -> None:
    webhooks(ours)["answer_url"]["address"] += "/"
    vonage.succeeds("check")


@pytest.mark.parametrize(("method", "named"), [("GET", "by GET"), (None, "by an unnamed method")])
def test_other_method_works_with_a_catch(vonage: Vonage, ours: dict[str, Any], method: Any, named: str) -> None:
    webhooks(ours)["answer_url"]["http_method"] = method
    found = finding(vonage("check", "--json"), "answer URL", "warning")
    assert named in found["text"]
    assert found["to_do"] == UPDATE


@pytest.mark.parametrize(
    ("hook", "topic", "member", "value", "level"),
    [
        ("answer_url", "answer URL", "connect_timeout", 200, "wrong"),
        ("answer_url", "answer URL", "socket_timeout", 500, "wrong"),
        ("answer_url", "answer URL", "socket_timeout", 10000, "wrong"),
        ("answer_url", "answer URL", "socket_timeout", 1000, "warning"),
        ("event_url", "event URL", "socket_timeout", 10001, "wrong"),
        ("event_url", "event URL", "socket_timeout", "10000", "wrong"),
    ],
)
def test_time_limit_out_of_range_is_told(
    vonage: Vonage, ours: dict[str, Any], hook: str, topic: str, member: str, value: Any, level: str
) -> None:
    webhooks(ours)[hook][member] = value
    text = finding(vonage("check", "--json"), topic, level)["text"]
    assert text.startswith(f"{member} is {value}, expected ")


def test_fallback_on_the_answer_urls_host_is_warned_of(vonage: Vonage, ours: dict[str, Any]) -> None:
    webhooks(ours)["fallback_answer_url"].update(address=f"{BASE}/webhooks/fallback", http_method="POST")
    found = finding(vonage("check", "--json"), "fallback URL", "warning")
    assert "calls.example.com: when that is away, callers are cut off" in found["text"]
    assert "vonage fallback-file" in found["to_do"]


def test_address_over_http_is_wrong(vonage: Vonage, ours: dict[str, Any], settings: Any) -> None:
    settings.PUBLIC_URL = "http://calls.example.com"
    outcome = vonage("check", "--json")
    assert outcome.json["findings"][0]["level"] == "wrong"
    assert "does not use https" in outcome.json["findings"][0]["text"]


# Signatures and keys


@pytest.mark.parametrize("value", [False, None])
def test_signing_that_is_off_is_wrong(vonage: Vonage, ours: dict[str, Any], settings: Any, value: Any) -> None:
    voice(ours)["signed_callbacks"] = value
    found = finding(vonage("check", "--json"), "signing")
    assert found["text"].endswith("this server refuses unsigned ones: every call fails")
    assert found["to_do"] == UPDATE


@pytest.mark.parametrize(
    ("secrets", "text"), [({}, "webhooks are not checked"), ({"other": ["x"]}, f"has none for {KEY}")]
)
def test_signature_secret_of_the_account_must_be_known(
    vonage: Vonage, ours: dict[str, Any], settings: Any, secrets: Any, text: str
) -> None:
    settings.SIGNATURE_SECRETS = secrets
    found = finding(vonage("check", "--json"), "signature secret")
    assert text in found["text"]
    assert f"SIGNATURE_SECRETS={KEY}:SECRET" in found["to_do"]


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("", "", "the admin names no variable"),
        ("FRONT_DESK_KEY", "", "FRONT_DESK_KEY and FRONT_DESK_KEY_FILE are not set here"),
        ("FRONT_DESK_KEY", "no key", "what FRONT_DESK_KEY has is no private RSA key"),
        ("FRONT_DESK_KEY", key_pair(1)[0], "what FRONT_DESK_KEY has does not belong to the public key"),
    ],
)
def test_private_key_must_be_there_and_fit(
    vonage: Vonage,
    ours: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    text: str,
) -> None:
    Application.objects.update(private_key_variable=variable)
    monkeypatch.setenv("FRONT_DESK_KEY", value)
    assert finding(vonage("check", "--json"), "private key")["text"].startswith(text)


def test_private_key_may_stand_in_a_file(
    vonage: Vonage, ours: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FRONT_DESK_KEY")
    monkeypatch.setenv("FRONT_DESK_KEY_FILE", str(tmp_path / "front.pem"))
    assert "front.pem" in finding(vonage("check", "--json"), "private key")["text"]
    (tmp_path / "front.pem").write_text(key_pair()[0])
    vonage.succeeds("check")


def test_application_of_another_account_in_the_admin_is_told(vonage: Vonage, ours: dict[str, Any]) -> None:
    Application.objects.update(api_key="other")
    assert f"change the application's API key to {KEY}" in finding(vonage("check", "--json"), "API key")["to_do"]


# Numbers


def test_application_without_numbers_is_told(vonage: Vonage, account: Account, ours: dict[str, Any]) -> None:
    account.numbers = []
    PhoneNumber.objects.all().delete()
    assert finding(vonage("check", "--json"), "numbers")["to_do"] == "python manage.py vonage link NUMBER"


@pytest.mark.parametrize(
    ("change", "level", "text", "to_do"),
    [
        (
            {"voiceCallbackType": "tel", "voiceCallbackValue": "447700900199"},
            "wrong",
            "forwarded to tel 447700900199",
            "link",
        ),
        ({"features": ["SMS"]}, "warning", "it has no VOICE feature", ""),
    ],
)
def test_linked_number_that_does_not_reach_us_is_told(
    vonage: Vonage, account: Account, ours: dict[str, Any], change: Any, level: str, text: str, to_do: str
) -> None:
    account.numbers[0].update(change)
    found = finding(vonage("check", "--json"), f"number {NUMBER}", level)
    assert text in found["text"]
    assert to_do in found["to_do"]


@pytest.mark.parametrize(
    ("change", "text", "to_do"),
    [
        ({"application": None}, "stands in the admin under another application, or none", "numbers --sync"),
        ({"flow": None}, "no flow answers it: callers get the safe NCCO", "choose a flow"),
    ],
)
def test_linked_number_must_stand_in_the_admin(
    vonage: Vonage, ours: dict[str, Any], change: Any, text: str, to_do: str
) -> None:
    PhoneNumber.objects.update(**change)
    found = finding(vonage("check", "--json"), f"number {NUMBER}")
    assert text in found["text"]
    assert to_do in found["to_do"]


def test_linked_number_unknown_to_the_admin_is_told(vonage: Vonage, ours: dict[str, Any]) -> None:
    PhoneNumber.objects.all().delete()
    assert "is unknown to the admin" in finding(vonage("check", "--json"), f"number {NUMBER}")["text"]


def test_flow_of_a_linked_number_must_be_published(vonage: Vonage, ours: dict[str, Any]) -> None:
    CallFlow.objects.update(live=None)
    assert "its flow Menu is not published" in finding(vonage("check", "--json"), f"number {NUMBER}")["text"]


@pytest.mark.parametrize(
    ("number", "text", "to_do"),
    [
        (None, "the account does not have it", "buy 447700900102"),
        ({}, "Vonage links it to no application", "link 447700900102"),
        ({"app_id": "other"}, "Vonage links it to another application, other", "link 447700900102"),
    ],
)
def test_number_of_the_admin_that_is_not_linked_is_told(
    vonage: Vonage, account: Account, ours: dict[str, Any], number: Any, text: str, to_do: str
) -> None:
    PhoneNumber.objects.create(digits="447700900102", application=Application.objects.get())
    if number is not None:
        account.numbers.append({"country": "GB", "msisdn": "447700900102", **number})
    found = finding(vonage("check", "--json"), "number 447700900102")
    assert text in found["text"]
    assert to_do in found["to_do"]


def test_only_so_many_numbers_are_looked_up(vonage: Vonage, account: Account, ours: dict[str, Any]) -> None:
    row = Application.objects.get()
    PhoneNumber.objects.bulk_create(PhoneNumber(digits=f"4477009002{each:02}", application=row) for each in range(25))
    outcome = vonage("check", "--json")
    assert outcome.json["findings"][-1]["text"].startswith("5 more stand in the admin")
    assert len(account.asked("GET", "/account/numbers")) == 21


# Which application


def test_application_that_vonage_does_not_know_is_told(vonage: Vonage, ours: dict[str, Any]) -> None:
    Application.objects.update(application_id="00000000-0000-4000-8000-000000000000")
    found = finding(vonage("check", "--json"), "application")
    assert found["text"] == f"the account of {KEY} has none with the id 00000000-0000-4000-8000-000000000000"


def test_application_that_the_admin_does_not_have_can_be_checked(vonage: Vonage, ours: dict[str, Any]) -> None:
    PhoneNumber.objects.update(application=None)
    Application.objects.all().delete()
    outcome = vonage("check", "--json", "--application", ours["id"])
    wrong = [each for each in outcome.json["findings"] if each["level"] == "wrong"]
    assert [each["topic"] for each in wrong] == ["admin", f"number {NUMBER}"]
    assert wrong[0]["to_do"] == f"{UPDATE} --application {ours['id']}"


def test_one_of_several_applications_must_be_named(vonage: Vonage, ours: dict[str, Any]) -> None:
    Application.objects.create(name="Back door", application_id="other")
    assert vonage("check").error == (
        "There are several applications: choose one with --application, of 'Back door', 'Front desk'."
    )
    outcome = vonage("check", "--application", "Front desk")
    assert not outcome.error
    webhooks(ours)["event_url"]["address"] = ""
    assert f"To do: {UPDATE} --application 'Front desk'" in vonage("check", "--application", "Front desk").out


def test_admin_without_applications_says_how_to_make_one(vonage: Vonage) -> None:
    assert vonage("check").error == (
        "The admin has no application yet: python manage.py vonage create-application NAME"
    )
    assert "has no application 'Lobby'" in vonage("check", "--application", "Lobby").error


# What is not set, and what fails


def test_all_missing_settings_are_named_at_once(vonage: Vonage, settings: Any) -> None:
    settings.VONAGE_API_KEY = settings.VONAGE_API_SECRET = settings.PUBLIC_URL = ""
    error = vonage("check").error
    assert all(name in error for name in ("VONAGE_API_KEY", "VONAGE_API_SECRET", "PUBLIC_URL"))
    assert "PUBLIC_URL" not in vonage("numbers").error


def test_wrong_secret_is_told_as_json(vonage: Vonage, ours: dict[str, Any], settings: Any) -> None:
    settings.VONAGE_API_SECRET = "wrong"
    outcome = vonage("check", "--json")
    assert outcome.json == {"ok": False, "error": outcome.error}
    assert "check VONAGE_API_KEY and VONAGE_API_SECRET" in outcome.error
