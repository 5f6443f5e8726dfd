"""Whoever set up codes of a phone signs in with them; a stolen password alone opens nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from tests.admin.forms import someone

pytestmark = pytest.mark.django_db
PAGE, LOGIN, PASSWORD = "/admin/second-factor/", "/admin/login/?next=/admin/", "correct horse"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def at_work(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def shown(device: TOTPDevice, steps: int = 0) -> str:
    """Return what the phone shows now, or so many half minutes later."""
    totp = TOTP(device.bin_key)
    totp.time = timezone.now().timestamp() + 30 * steps
    return f"{totp.token():06}"


def set_up(client: Client) -> tuple[TOTPDevice, list[str]]:
    """Set a second factor up; return it, and the recovery codes."""
    client.get(PAGE)
    device = TOTPDevice.objects.get()
    page = client.post(PAGE, {"code": shown(device)})
    return device, list(page.context["codes"])


def sign_in(code: str = "", password: str = PASSWORD, client: Client | None = None) -> Any:
    return (client or Client()).post(LOGIN, {"username": "ada", "password": password, "code": code})


def test_without_one_the_password_is_enough(ada: User) -> None:
    assert sign_in().status_code == 302
    assert sign_in("123456").status_code == 302


def test_key_is_shown_as_a_picture_and_as_text(at_work: Client) -> None:
    page = at_work.get(PAGE).content.decode()
    assert "<svg" in page
    assert "style=" not in page.partition("<svg")[2].partition("</svg>")[0]
    device = TOTPDevice.objects.get()
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert key
    assert f"secret={key[1].replace(' ', '')}&" in device.config_url
    # Looking again makes no other one.
    assert key[0] in at_work.get(PAGE).content.decode()


def test_key_that_was_only_looked_at_demands_nothing(at_work: Client, ada: User) -> None:
    at_work.get(PAGE)
    assert sign_in().status_code == 302


def test_wrong_code_sets_nothing_up(at_work: Client) -> None:
    at_work.get(PAGE)
    page = at_work.post(PAGE, {"code": "000000"})
    assert "type the next one" in page.content.decode()
    assert not TOTPDevice.objects.filter(confirmed=True).exists()


def test_password_alone_opens_nothing_any_more(at_work: Client) -> None:
    device, _ = set_up(at_work)
    for code in ("", "000000", "abcdefgh"):
        page = sign_in(code)
        assert page.status_code == 200
        assert "Each code works once" in page.content.decode()
    assert sign_in(shown(device, 1), password="wrong").status_code == 200
    with time_machine.travel(timezone.now().timestamp() + 90, tick=False):
        assert sign_in(shown(device)).status_code == 302
        # The same code a second time is somebody who looked over a shoulder.
        assert sign_in(shown(device)).status_code == 200


def test_each_recovery_code_opens_once(at_work: Client) -> None:
    _, codes = set_up(at_work)
    assert len(set(codes)) == 8
    assert sign_in(codes[0]).status_code == 302
    with time_machine.travel(timezone.now().timestamp() + 90, tick=False):
        assert sign_in(codes[0]).status_code == 200
    with time_machine.travel(timezone.now().timestamp() + 180, tick=False):
        assert sign_in(f" {codes[1].title()} ").status_code == 302
    assert StaticToken.objects.count() == 6


def test_guessed_codes_lock_out_as_passwords_do(at_work: Client) -> None:
    set_up(at_work)
    assert [sign_in("000000").status_code for _ in range(12)] == [200] * 9 + [429] * 3


def test_it_is_taken_off_with_a_code(at_work: Client) -> None:
    _, codes = set_up(at_work)
    assert "To take it off" in at_work.get(PAGE).content.decode()
    assert "The code was not accepted" in at_work.post(PAGE, {"code": "000000"}).content.decode()
    assert at_work.post(PAGE, {"code": codes[0]}).status_code == 302
    assert sign_in().status_code == 302
    assert not StaticToken.objects.exists()


def test_superuser_helps_who_lost_phone_and_paper(at_work: Client, ada: User) -> None:
    set_up(at_work)
    helper = User.objects.create_superuser("ben", password=PASSWORD)
    client = Client()
    client.force_login(helper)
    asked = {"action": "take_off_all", "_selected_action": ada.pk}
    done = client.post("/admin/auth/user/", asked, follow=True)
    assert "Second factors taken off: 1." in done.content.decode()
    assert sign_in().status_code == 302


def test_keys_of_others_stand_on_no_page(at_work: Client) -> None:
    assert at_work.get("/admin/otp_totp/totpdevice/").status_code == 404


def test_deployment_may_demand_it(ada: User, settings: Settings) -> None:
    settings.SECOND_FACTOR = True
    client = someone("view_call")
    for path in ("/admin/", "/admin/callflows/call/"):
        assert client.get(path)["Location"] == PAGE
    set_up(client)
    assert client.get("/admin/callflows/call/").status_code == 200
    # Whoever is not signed in is led to the login, and webhooks are nobody's.
    assert Client().get("/admin/")["Location"].startswith("/admin/login/")
    assert Client().get("/healthz").status_code == 200


def test_nobody_sees_the_page_without_signing_in(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
