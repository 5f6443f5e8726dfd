"""Knows what calls keep and how they end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from callflows.models import Call, CallFlow, Line, PhoneNumber
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


def test_line_whose_worker_did_not_live_to_close_it_is_lost_after_its_call() -> None:
    now = timezone.now()
    calls = {
        "long over": {"status": "completed", "news": now - timedelta(seconds=61)},
        "just over": {"status": "completed", "news": now - timedelta(seconds=59)},
        "goes on": {"status": "answered", "news": now - timedelta(hours=1)},
    }
    for uuid, facts in calls.items():
        call = Call.objects.create(uuid=uuid, **facts)
        for state in ("open", "closed"):
            Line.objects.create(call=call, step="echo", app="echo", expires=now, state=state)
    assert (Line.objects.give_up(now), Line.objects.give_up(now)) == (1, 0)
    lost = Line.objects.get(state="lost")
    assert lost.call.uuid == "long over"
    assert lost.closed is not None
    assert [each.line for each in lost.call.timeline.all()] == [lost]


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
