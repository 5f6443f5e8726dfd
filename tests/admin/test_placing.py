"""Knows how operators place a call from the admin: only with the permission, only after being asked, only once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.models import Call, PhoneNumber, SeenToken
from tests.admin.forms import messages, someone
from tests.make import NUMBER, make_flow, make_number, talk
from tests.rest_server import CREATED, Reply, RestServer, payload

pytestmark = pytest.mark.django_db
PLACE = "/admin/callflows/call/place/"
CALLEE = "447700900222"


@pytest.fixture(autouse=True)
def number(vonage: RestServer) -> PhoneNumber:
    return make_number(make_flow(talk("hello"), name="Survey"))


def asked(number: PhoneNumber, **changed: Any) -> dict[str, Any]:
    return {"flow": number.flow_id, "to": "+44 7700 900222", "sender": "", "ring": "30", **changed}


def confirmed(client: Client, number: PhoneNumber, **changed: Any) -> dict[str, Any]:
    """Ask for a call; return what the page that asks back would send."""
    page = client.post(PLACE, asked(number, **changed))
    return {**asked(number, **changed), "once": page.context["once"]}


def test_list_leads_to_the_page_for_those_who_may(admin_client: Client) -> None:
    assert PLACE in admin_client.get("/admin/callflows/call/").content.decode()
    assert PLACE not in someone("view_call").get("/admin/callflows/call/").content.decode()


def test_only_those_who_may_place_calls_do(number: PhoneNumber, vonage: RestServer) -> None:
    reader = someone("view_call", "change_call", "control_call")
    assert reader.get(PLACE).status_code == 403
    assert reader.post(PLACE, asked(number)).status_code == 403
    assert someone("view_call", "place_call", name="ben").get(PLACE).status_code == 200
    assert Client().get(PLACE).status_code == 302
    assert not vonage.asked


def test_page_says_who_is_called_and_that_it_costs_money(
    admin_client: Client, number: PhoneNumber, vonage: RestServer
) -> None:
    page = admin_client.post(PLACE, asked(number))
    text = " ".join(page.content.decode().split())
    assert "+44 7700 900222 rings for up to 30 s, and sees +44 7700 900001." in text
    assert "meets the flow Survey (version 1)" in text
    assert "This costs money" in text
    assert not vonage.asked
    assert not Call.objects.exists()


def test_call_is_placed_and_shown(admin_client: Client, number: PhoneNumber, vonage: RestServer) -> None:
    page = admin_client.post(PLACE, confirmed(admin_client, number), follow=True)
    call = Call.objects.get()
    assert page.redirect_chain[-1][0] == f"/admin/callflows/call/{call.pk}/change/"
    assert messages(page) == ["Vonage calls +44 7700 900222. What happens stands on the timeline."]
    ((_, _, body),) = vonage.requests()
    assert body["to"] == [{"type": "phone", "number": CALLEE}]
    assert (body["from"]["number"], body["ringing_timer"]) == (NUMBER, 30)
    assert call.uuid == CREATED["uuid"]
    assert call.timeline.filter(text="Call out for admin: Survey from step hello").exists()


def test_second_click_places_no_second_call(admin_client: Client, number: PhoneNumber, vonage: RestServer) -> None:
    sent = confirmed(admin_client, number)
    admin_client.post(PLACE, sent)
    page = admin_client.post(PLACE, sent, follow=True)
    assert messages(page)[-1] == "This call was placed already: it was not placed again."
    assert len(vonage.asked) == 1


@pytest.mark.parametrize("once", ["", "forged"])
def test_nobody_is_called_without_being_asked(
    admin_client: Client, number: PhoneNumber, vonage: RestServer, once: str
) -> None:
    page = admin_client.post(PLACE, asked(number, once=once))
    assert "Nobody was called" in page.context["problem"]
    assert not vonage.asked


def test_question_stands_open_no_longer_than_its_answer_is_remembered(
    admin_client: Client, number: PhoneNumber, vonage: RestServer
) -> None:
    sent = confirmed(admin_client, number)
    with time_machine.travel(timezone.now() + timedelta(minutes=9), tick=False):
        admin_client.post(PLACE, sent)
    for minutes in (10, 19):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes, seconds=5), tick=False):
            SeenToken.objects.forget(timezone.now())
            page = admin_client.post(PLACE, sent)
            assert "stood open for too long" in page.context["problem"]
    assert 'value="+44 7700 900222"' in page.content.decode()
    assert len(vonage.asked) == 1


def test_one_can_change_ones_mind(admin_client: Client, number: PhoneNumber, vonage: RestServer) -> None:
    page = admin_client.post(PLACE, {**confirmed(admin_client, number), "back": "Change"})
    assert 'value="+44 7700 900222"' in page.content.decode()
    assert not vonage.asked


@pytest.mark.parametrize(
    ("changed", "field", "error"),
    [
        ({"to": "bob"}, "to", "Expected a number such as 447700900123, sip:..., wss://..., or user:NAME, got 'bob'."),
        ({"flow": "77"}, "flow", "Select a valid choice. That choice is not one of the available choices."),
        ({"ring": "121"}, "ring", "Ensure this value is less than or equal to 120."),
    ],
)
def test_mistakes_stand_at_their_fields(
    admin_client: Client, number: PhoneNumber, vonage: RestServer, changed: dict[str, str], field: str, error: str
) -> None:
    page = admin_client.post(PLACE, asked(number, **changed))
    assert page.context["form"].errors == {field: [error]}
    assert not vonage.asked


def test_refusal_of_vonage_is_told_and_nothing_typed_is_lost(
    admin_client: Client, number: PhoneNumber, vonage: RestServer
) -> None:
    vonage.answer = lambda asked: Reply(401, payload("error_401"))
    sender = make_number(make_flow(talk("hello"), name="Other"), "447700900002", name="Desk")
    sent = {"ring": "45", "sender": sender.pk}
    page = admin_client.post(PLACE, confirmed(admin_client, number, **sent))
    assert page.context["problem"].startswith("The call was not placed. Vonage refused our token")
    text = page.content.decode()
    for typed in ('value="+44 7700 900222"', 'value="45"', f'<option value="{sender.pk}" selected>+44 7700 900002'):
        assert typed in text
    assert Call.objects.get().outcome == "failed"


def test_call_of_which_nobody_knows_is_not_called_unplaced(
    admin_client: Client, number: PhoneNumber, vonage: RestServer
) -> None:
    vonage.answer = lambda asked: Reply(broken=True)
    page = admin_client.post(PLACE, confirmed(admin_client, number))
    assert page.context["problem"].startswith("The connection to Vonage broke: ")
    assert "It may ring all the same" in page.context["problem"]
    assert Call.objects.get().live


def test_page_says_when_no_call_can_be_placed(admin_client: Client, settings: Settings) -> None:
    assert "No call can be placed" not in admin_client.get(PLACE).content.decode()
    settings.PUBLIC_URL = ""
    assert "No call can be placed now. PUBLIC_URL is not set" in admin_client.get(PLACE).content.decode()
