"""Knows what calls keep and how they end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from callflows.models import Call, CallFlow, PhoneNumber
from tests.make import ECHO, NUMBER, make_flow, make_number

pytestmark = pytest.mark.django_db


def test_call_that_nobody_ended_is_given_up_as_unknown() -> None:
    old = Call.objects.create(uuid="a", created=timezone.now() - timedelta(hours=3))
    young = Call.objects.create(uuid="b", created=timezone.now() - timedelta(hours=1))
    assert Call.objects.give_up(timezone.now()) == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.status, old.outcome) == ("completed", "unknown")
    assert young.live


def test_call_keeps_its_names_when_number_and_flow_are_deleted() -> None:
    number = make_number(make_flow(ECHO))
    call = Call.objects.create(uuid="a", **Call.facts(number.entrance, NUMBER))
    PhoneNumber.objects.all().delete()
    CallFlow.objects.all().delete()
    call.refresh_from_db()
    assert (call.number, call.flow) == (None, None)
    assert (call.number_text, call.flow_name) == (NUMBER, "Echo")


def test_rollback_is_a_newer_version() -> None:
    flow = make_flow(ECHO)
    first = flow.live
    flow.steps.update(name="other")
    flow.publish({})
    flow.steps.update(name="echo")
    again = flow.publish({})
    assert first is not None
    assert (again.number, again.document) == (3, first.document)
