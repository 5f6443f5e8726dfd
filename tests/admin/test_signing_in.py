"""Wrong passwords are counted by where they come from; a session ends when nobody uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/?next=/admin/"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


def sign_in(client: Client, password: str, user: str = "ada", **headers: str) -> Any:
    return client.post(LOGIN, {"username": user, "password": password}, headers=headers)


def test_sixty_wrong_passwords_are_ten(client: Client, ada: User) -> None:
    replies = [sign_in(client, f"guess {each}").status_code for each in range(60)]
    assert replies == [200] * 9 + [429] * 51
    page = sign_in(client, PASSWORD)
    assert page.status_code == 429
    assert "10 sign-ins from where you are failed" in page.content.decode()
    assert client.get("/admin/").status_code == 302


def test_names_that_nobody_has_count_too(client: Client, ada: User) -> None:
    for each in range(10):
        sign_in(client, "guess", user=f"user{each}")
    assert sign_in(client, PASSWORD).status_code == 429


def test_guesser_locks_nobody_else_out(client: Client, ada: User) -> None:
    for _ in range(12):
        sign_in(client, "guess", x_forwarded_for="192.0.2.1")
    assert sign_in(client, PASSWORD, x_forwarded_for="192.0.2.1").status_code == 429
    assert sign_in(client, PASSWORD, x_forwarded_for="192.0.2.2").status_code == 302


def test_stranger_does_not_choose_where_he_comes_from(client: Client, ada: User) -> None:
    """What stands left of the address that our proxy added is the stranger's own word."""
    replies = [
        sign_in(client, "guess", x_forwarded_for=f"198.51.100.{each}, 192.0.2.1").status_code for each in range(12)
    ]
    assert replies[-3:] == [429, 429, 429]


def test_nobody_but_our_proxies_tells_for_whom_he_asks(client: Client, ada: User) -> None:
    replies = [
        client.post(
            LOGIN,
            {"username": "ada", "password": "guess"},
            REMOTE_ADDR="203.0.113.9",
            headers={"x-forwarded-for": f"198.51.100.{each}"},
        ).status_code
        for each in range(12)
    ]
    assert replies[-3:] == [429, 429, 429]


def test_lock_ends_after_ten_minutes(client: Client, ada: User, settings: Settings) -> None:
    for _ in range(10):
        sign_in(client, "guess")
    assert sign_in(client, PASSWORD).status_code == 429
    settings.AXES_COOLOFF_TIME = timedelta(0)
    assert sign_in(client, PASSWORD).status_code == 302


def test_right_password_forgives_wrong_ones(client: Client, ada: User) -> None:
    for _ in range(3):
        assert [sign_in(client, "guess").status_code for _ in range(9)] == [200] * 9
        assert sign_in(client, PASSWORD).status_code == 302
        client.logout()


# Sessions


def ends_in(client: Client) -> timedelta:
    return Session.objects.get(session_key=client.session.session_key).expire_date - timezone.now()


def leave_alone(client: Client, seconds: float) -> None:
    """Make a session one that was last used so many seconds ago."""
    session = client.session
    session["seen"] -= seconds
    session.save()
    stored = Session.objects.get(session_key=session.session_key)
    stored.expire_date -= timedelta(seconds=seconds)
    stored.save()


def test_session_in_use_moves_on_and_idle_one_ends(client: Client, ada: User) -> None:
    sign_in(client, PASSWORD)
    client.get("/admin/")
    assert timedelta(hours=7, minutes=55) < ends_in(client) <= timedelta(hours=8)
    leave_alone(client, 4 * 3600)
    assert client.get("/admin/").status_code == 200
    assert timedelta(hours=7, minutes=55) < ends_in(client)
    leave_alone(client, 8 * 3600 + 60)
    assert client.get("/admin/").status_code == 302


def test_session_is_not_written_at_each_page(client: Client, ada: User) -> None:
    sign_in(client, PASSWORD)
    client.get("/admin/")
    leave_alone(client, 60)
    before = Session.objects.get().expire_date
    client.get("/admin/")
    assert Session.objects.get().expire_date == before
