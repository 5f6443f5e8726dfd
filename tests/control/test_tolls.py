"""Which calls out are placed: to whom, and how many; what is refused is told and counted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.control.outgoing import Order, place
from callflows.control.tolls import COUNTED, Barred
from callflows.keeping import KEEPER
from callflows.models import Call, CallFlow, PhoneNumber, Refusal
from callflows.ncco.problems import InvalidNcco
from tests.make import ask, make_flow, make_number, talk
from tests.outage import texts
from tests.rest_server import RestServer
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def number(vonage: RestServer) -> PhoneNumber:
    return make_number(make_flow(talk("hello"), name="Survey"))


def order(number: PhoneNumber, to: str, by: str = "ada") -> Order:
    assert number.flow is not None
    return Order(number.flow, {"type": "phone", "number": to}, number, by=by)


def see_counted(reason: str) -> None:
    """Wait until one refusal stands in the database: it is written by a thread of its own."""
    wait_until(lambda: Refusal.objects.filter(reason=reason, times=1).exists(), f"{reason} is counted")


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("449012345678", "premium-rate"),
        ("88213300123", "+882 is no country's code"),
        ("15550100222", "it is in US; allowed are those of our own numbers"),
        ("447624123456", "it is in IM"),
    ],
)
def test_number_that_is_not_called_leaves_no_call_and_is_counted(
    number: PhoneNumber, vonage: RestServer, to: str, why: str
) -> None:
    with pytest.raises(Barred, match=f"^{to} is not called: .*{why.replace('+', '[+]')}"):
        place(order(number, to))
    assert not Call.objects.exists()
    assert not vonage.asked
    see_counted(COUNTED)


def test_countries_of_our_numbers_and_allowed_ones_are_called(number: PhoneNumber, vonage: RestServer) -> None:
    assert number.application is not None
    number.application.countries = "IM, FR"
    number.application.save()
    for to in ("447700900222", "442079460222", "447624123456", "33123456789"):
        place(order(number, to))
    make_number(digits="15550100001")
    place(order(number, "15550100222"))
    assert Call.objects.count() == 5


def test_other_endpoints_have_no_country(number: PhoneNumber, vonage: RestServer) -> None:
    assert number.flow is not None
    place(Order(number.flow, {"type": "sip", "uri": "sip:+882@pbx.example.com"}, number))


@pytest.mark.parametrize(
    ("limit", "ages", "what"),
    [
        ("CALLS_OUT_PER_MINUTE", (10, 20, 50), "in the last minute"),
        ("CALLS_OUT_PER_DAY", (100, 40_000, 80_000), "in the last 24 hours"),
        ("CALLS_OUT_PER_USER", (100, 40_000, 80_000), "by ada in the last 24 hours"),
        ("CALLS_OUT_AT_ONCE", (100, 200, 90_000), "are going on"),
    ],
)
def test_no_more_calls_out_than_allowed(
    number: PhoneNumber, vonage: RestServer, settings: Settings, limit: str, ages: tuple[int, ...], what: str
) -> None:
    calls = [place(order(number, "447700900222")) for _ in ages]
    for call, age in zip(calls, ages, strict=True):
        Call.objects.filter(pk=call.pk).update(created=timezone.now() - timedelta(seconds=age))
    setattr(settings, limit, 3)
    with pytest.raises(Barred, match=f"^3 calls out .*{what}, and {limit} allows 3"):
        place(order(number, "447700900222"))
    assert Call.objects.count() == 3
    see_counted(COUNTED)
    # The oldest is over, or long ago.
    ended = {"status": "completed"} if limit == "CALLS_OUT_AT_ONCE" else {"created": timezone.now() - timedelta(days=2)}
    Call.objects.filter(pk=calls[-1].pk).update(**ended)
    place(order(number, "447700900222"))


def test_another_user_has_calls_of_his_own(number: PhoneNumber, vonage: RestServer, settings: Settings) -> None:
    settings.CALLS_OUT_PER_USER = 1
    place(order(number, "447700900222", by="ada"))
    place(order(number, "447700900222", by="ben"))
    with pytest.raises(Barred, match="placed by ben"):
        place(order(number, "447700900222", by="ben"))
    settings.CALLS_OUT_PER_MINUTE = 0
    with pytest.raises(Barred, match="CALLS_OUT_PER_MINUTE allows 0"):
        place(order(number, "447700900222", by="carol"))


def test_barred_call_is_told_before_it_is_confirmed(
    admin_client: Client, number: PhoneNumber, vonage: RestServer
) -> None:
    sent = {"flow": number.flow_id, "to": "+1 900 555 0123", "sender": "", "ring": "30"}
    page = admin_client.post("/admin/callflows/call/place/", sent)
    assert "19005550123 is not called: it is a premium-rate number" in page.content.decode()
    assert "once" not in page.context
    see_counted(COUNTED)
    cache.clear()
    assert "1 call out was refused" in " ".join(admin_client.get("/admin/").content.decode().split())


def test_wrong_countries_and_prefixes_are_told_in_their_forms(admin_client: Client, number: PhoneNumber) -> None:
    assert number.application is not None
    sent = {"name": "A", "application_id": "a", "api_host": "https://api.nexmo.com", "countries": "England"}
    page = admin_client.post("/admin/callflows/application/add/", sent)
    assert "expected countries by two letters" in page.content.decode()


# Callers who choose


def choosing(endpoint: dict[str, Any], prefixes: str) -> CallFlow:
    return make_flow(("dial", "connect", {"endpoint": endpoint}), name="Choose", prefixes=prefixes)


@pytest.mark.parametrize(
    ("endpoint", "prefixes", "good", "bad"),
    [
        ({"type": "phone", "number": "{{ custom_data.u }}"}, "44", "447700900222", "15550100222"),
        ({"type": "phone", "number": "{{ custom_data.u }}"}, "44", "447700900222", "449012345678"),
        ({"type": "sip", "uri": "sip:{{ custom_data.u }}"}, "@pbx.example.com", "pbx.example.com", "evil.example"),
    ],
)
def test_caller_reaches_only_what_the_flow_allows(
    client: Client, endpoint: dict[str, Any], prefixes: str, good: str, bad: str, settings: Settings
) -> None:
    make_number(choosing(endpoint, prefixes))
    (action,) = ask(client, custom_data=json.dumps({"u": good}))
    assert good in action["endpoint"][0].values() or f"sip:{good}" in action["endpoint"][0].values()
    assert (
        ask(client, custom_data=json.dumps({"u": bad}), uuid="other", conversation_uuid="CON-o") == settings.SAFE_NCCO
    )
    KEEPER.store_waiting()
    assert any("step dial: a caller chose" in text for text in texts(Call.objects.get(uuid="other")))
    see_counted("dialled")


def test_published_version_of_before_dials_nobody(client: Client, settings: Settings) -> None:
    flow = choosing({"type": "phone", "number": "{{ custom_data.u }}"}, "44")
    assert flow.live is not None
    del flow.live.document["prefixes"]
    flow.live.save()
    make_number(flow)
    assert ask(client, custom_data=json.dumps({"u": "447700900222"})) == settings.SAFE_NCCO


def test_flow_that_lets_callers_choose_is_not_published(admin_client: Client) -> None:
    flow = make_flow(("dial", "connect", {"endpoint": {"type": "phone", "number": "{{ from }}"}}), publish=False)
    with pytest.raises(InvalidNcco, match="callers choose this number"):
        flow.publish({})
    flow.prefixes = "44"
    flow.save()
    assert flow.publish({}).as_core().flow.prefixes == ("44",)
    flow.prefixes = "everything"
    with pytest.raises(ValidationError, match="expected digits such as 44"):
        flow.full_clean()
