from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from callflows.models import PhoneNumber
from tests.admin.forms import field_errors, messages
from tests.make import make_number
from tests.rest_server import pem

pytestmark = pytest.mark.django_db

NUMBERS = "/admin/callflows/phonenumber/"


def save(client: Client, page: str = "add/", **fields: Any) -> Any:
    sent = {"digits": "447700900001", "name": "", "time_zone": "UTC", "safe_ncco": "", **fields}
    return client.post(f"{NUMBERS}{page}", sent)


@pytest.mark.parametrize("text", ["447700900001", "+44 7700 900001", "+44 (7700) 900-001"])
def test_number_is_taken_as_people_write_it_and_kept_as_digits(admin_client: Client, text: str) -> None:
    assert save(admin_client, digits=text).status_code == 302
    assert PhoneNumber.objects.get().digits == "447700900001"


@pytest.mark.parametrize("text", ["4477", "0044 call me", "1234567890123456"])
def test_what_is_no_number_is_refused(admin_client: Client, text: str) -> None:
    assert "digits" in field_errors(save(admin_client, digits=text))


def test_time_zone_is_offered_and_checked(admin_client: Client) -> None:
    assert '<option value="Europe/London">' in admin_client.get(f"{NUMBERS}add/").content.decode()
    assert field_errors(save(admin_client, time_zone="London"))["time_zone"] == [
        "expected a time zone such as Europe/London, got 'London'"
    ]


def test_safe_ncco_is_refused_with_all_its_problems(admin_client: Client) -> None:
    document = [{"action": "talk", "text": "", "loop": -1}, {"action": "sing"}]
    found = field_errors(save(admin_client, safe_ncco=json.dumps(document)))["safe_ncco"]
    assert [each.partition(":")[0] for each in found] == ["$[0].text", "$[0].loop", "$[1].action"]


def test_text_that_is_no_json_is_told_with_its_place_and_stays(admin_client: Client) -> None:
    page = save(admin_client, safe_ncco='[{"action": "talk",]')
    (told,) = field_errors(page)["safe_ncco"]
    assert "line 1 column 20" in told
    assert "[{&quot;action&quot;: &quot;talk&quot;,]" in page.content.decode()


def test_safe_ncco_is_shown_on_several_lines(admin_client: Client) -> None:
    number = make_number(safe_ncco=[{"action": "talk", "text": "Grüße"}])
    page = admin_client.get(f"{NUMBERS}{number.pk}/change/").content.decode()
    assert "[\n  {\n    &quot;action&quot;: &quot;talk&quot;,\n    &quot;text&quot;: &quot;Grüße&quot;\n  }\n]" in page


def test_empty_safe_ncco_is_none(admin_client: Client) -> None:
    number = make_number(safe_ncco=[{"action": "talk", "text": "Sorry"}])
    assert save(admin_client, f"{number.pk}/change/").status_code == 302
    number.refresh_from_db()
    assert number.safe_ncco is None


@pytest.mark.parametrize(
    ("variable", "host", "warning"),
    [
        ("", "https://api.nexmo.com", "no private key is configured for the application"),
        ("OUR_KEY", "https://evil-vonage.com", "API host https://evil-vonage.com is none of Vonage's over https"),
        ("OUR_KEY", "https://api-eu-3.vonage.com", ""),
    ],
)
def test_application_that_cannot_control_calls_is_warned_of(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, variable: str, host: str, warning: str
) -> None:
    monkeypatch.setenv("OUR_KEY", pem())
    sent = {"name": "Ours", "application_id": "ours", "api_host": host, "private_key_variable": variable}
    page = admin_client.post("/admin/callflows/application/add/", sent, follow=True)
    found = [each for each in messages(page) if "cannot be controlled or placed" in each]
    assert [warning in each for each in found] == ([True] if warning else [])
