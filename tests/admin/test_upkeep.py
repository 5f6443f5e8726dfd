"""Knows what operators are told above every page: what was refused, what to do, and that nobody checks webhooks."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from callflows.admin.banner import CAUSES
from callflows.models import Refusal, StrayEvent
from tests.admin.forms import someone

pytestmark = pytest.mark.django_db

SEEN = "/admin/callflows/refusal/seen/"


@pytest.fixture(autouse=True)
def checked(settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {"a1b2c3d4": ["x" * 32]}


def text_of(client: Client, path: str = "/admin/") -> str:
    return " ".join(client.get(path).content.decode().split())


@pytest.mark.parametrize("path", ["/admin/", "/admin/callflows/call/", "/admin/callflows/callflow/add/"])
def test_refusals_stand_above_every_page(admin_client: Client, path: str) -> None:
    assert 'class="refusals"' not in text_of(admin_client, path)
    Refusal.objects.count_up("secret", "the signature fits no secret of the API key 'a1b2c3d4'", 12)
    cache.clear()
    page = text_of(admin_client, path)
    assert "<strong>12 webhooks were refused since <time" in page
    assert ": the signature fits no secret. Check SIGNATURE_SECRETS against" in page


def test_one_refusal_is_one(admin_client: Client) -> None:
    Refusal.objects.count_up("authorization")
    page = text_of(admin_client)
    assert "1 socket was refused since" in page
    assert ", the last" not in page


@pytest.mark.parametrize("reason", ["host", "clock", "secret", "hash", "unsigned", "issuer", "algorithm", "token"])
def test_every_class_has_a_remedy(admin_client: Client, reason: str) -> None:
    Refusal.objects.count_up(reason)
    page = text_of(admin_client)
    assert 'class="refusals"' in page
    assert (CAUSES[reason][0] if reason in CAUSES else "signed as Vonage never signs") in page


def test_dismissed_banner_comes_back_with_new_refusals(admin_client: Client) -> None:
    Refusal.objects.count_up("secret", "a", 3)
    text_of(admin_client)
    done = admin_client.post(SEEN, {"seen.secret": "3", "next": "/admin/callflows/call/?q=1"})
    assert (done.status_code, done["Location"]) == (302, "/admin/callflows/call/?q=1")
    assert 'class="refusals"' not in text_of(admin_client)
    Refusal.objects.count_up("secret", "b")
    cache.clear()
    assert "1 webhook was refused" in text_of(admin_client)


def test_what_came_since_the_page_was_drawn_is_not_dismissed(admin_client: Client) -> None:
    Refusal.objects.count_up("secret", "a", 5)
    admin_client.post(SEEN, {"seen.secret": "3"})
    assert "2 webhooks were refused" in text_of(admin_client)


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_dismissing_leads_to_our_own_pages_only(admin_client: Client, back: str) -> None:
    assert admin_client.post(SEEN, {"next": back})["Location"] == "/admin/"


def test_rubbish_dismisses_nothing(admin_client: Client) -> None:
    Refusal.objects.count_up("secret")
    for rubbish in ("", "x", "-1", "²", "9" * 40):
        assert admin_client.post(SEEN, {"seen.secret": rubbish}).status_code == 302
    assert Refusal.objects.unseen().exists()
    assert admin_client.get(SEEN).status_code == 405


def test_staff_are_told_and_strangers_are_not(client: Client) -> None:
    Refusal.objects.count_up("secret")
    staff = someone("view_call")
    page = text_of(staff)
    assert "1 webhook was refused" in page
    assert "Dismiss" not in page
    assert staff.post(SEEN, {"seen.secret": "1"}).status_code == 403
    assert "webhook was refused" not in text_of(client, "/admin/login/")
    assert client.post(SEEN, {"seen.secret": "1"}).status_code == 302
    assert Refusal.objects.unseen().exists()


def test_who_may_only_look_does_not_put_an_alarm_away() -> None:
    Refusal.objects.count_up("secret")
    viewer = someone("view_refusal")
    page = text_of(viewer)
    assert "What they were answered" in page
    assert "Dismiss" not in page
    assert viewer.post(SEEN, {"seen.secret": "1"}).status_code == 403
    assert Refusal.objects.unseen().exists()
    keeper = someone("view_refusal", "change_refusal", name="ben")
    assert "Dismiss" in text_of(keeper)
    assert keeper.post(SEEN, {"seen.secret": "1"}).status_code == 302
    assert not Refusal.objects.unseen().exists()


def test_banner_costs_one_query_in_a_while(admin_client: Client) -> None:
    text_of(admin_client, "/admin/password_change/")
    with CaptureQueriesContext(connection) as found:
        text_of(admin_client, "/admin/password_change/")
    assert not [query for query in found if "callflows_refusal" in query["sql"]]


def test_webhooks_that_are_not_checked_are_told_of(admin_client: Client, settings: Settings) -> None:
    assert "Webhooks are not checked" not in text_of(admin_client)
    settings.SIGNATURE_SECRETS = {}
    assert "<strong>Webhooks are not checked:</strong> anybody who knows" in text_of(admin_client)
    assert "Webhooks are not checked" in text_of(someone("view_call"))


def test_list_shows_the_last_answer(admin_client: Client) -> None:
    Refusal.objects.count_up("clock", "the token was issued 400 s ago", 2)
    page = text_of(admin_client, "/admin/callflows/refusal/")
    assert "the token was issued 400 s ago" in page
    refusal = Refusal.objects.get()
    assert "400 s ago" in text_of(admin_client, f"/admin/callflows/refusal/{refusal.pk}/change/")


def test_stray_events_are_only_shown(admin_client: Client) -> None:
    assert "will be kept here" in text_of(admin_client, "/admin/callflows/strayevent/")
    event = StrayEvent.objects.create(name="surprise", raw={"colour": "green"}, key="k", at=timezone.now())
    assert "surprise" in text_of(admin_client, "/admin/callflows/strayevent/")
    page = text_of(admin_client, f"/admin/callflows/strayevent/{event.pk}/change/")
    assert "green" in page
    assert "_save" not in page
