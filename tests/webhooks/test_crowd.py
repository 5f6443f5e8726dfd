"""Knows when so many wait for an answer that one more would wait in vain, and what it gets."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.conf import settings as live_settings
from django.test import Client

from callflows.models import Call, TimelineEntry
from callflows.webhooks import views
from callflows.webhooks.crowd import Crowd
from tests.make import ask, make_flow, make_number, talk
from tests.services import wait_until


def crowd(waiting: int, each: float, done: int = 40) -> Crowd:
    """Return a crowd of which ``done`` have been answered, ``each`` seconds apart."""
    found = Crowd()
    for _ in range(waiting + done):
        found.enter()
    for place in range(done):
        found.leave(place * each)
    return found


def test_who_would_wait_twice_too_long_is_one_too_many() -> None:
    assert crowd(250, 0.01).too_many(1.2)
    assert not crowd(230, 0.01).too_many(1.2)


def test_two_hundred_at_once_are_not_too_many_for_a_slow_machine() -> None:
    assert not crowd(200, 0.01).too_many(1.2)


def test_few_are_never_too_many() -> None:
    assert not crowd(31, 1.0).too_many(1.2)
    assert crowd(32, 1.0).too_many(1.2)


def test_nobody_is_sent_away_before_the_first_are_done() -> None:
    assert not crowd(10_000, 0.01, done=0).too_many(1.2)
    assert not crowd(10_000, 0.01, done=1).too_many(1.2)


def test_a_slow_beginning_says_nothing_of_the_rest() -> None:
    assert not crowd(200, 0.1, done=16).too_many(1.2)
    assert crowd(200, 0.1, done=17).too_many(1.2)
    found = crowd(200, 0.04, done=3)
    for place in range(14):
        found.leave(0.08 + place * 0.005)
    assert not found.too_many(1.2)


def test_a_slow_crowd_is_forgotten_when_nobody_waits_any_more() -> None:
    found = crowd(40, 1.0)
    for place in range(40):
        found.leave(40.0 + place)
    for _ in range(100):
        found.enter()
    assert not found.too_many(1.2)


@pytest.mark.django_db(transaction=True)
def test_one_too_many_gets_the_safe_ncco_at_once_and_is_written_down(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    with patch.object(views, "_CROWD", crowd(250, 0.01)), patch.object(views, "in_time", side_effect=AssertionError):
        assert ask(client) == live_settings.SAFE_NCCO
    wait_until(TimelineEntry.objects.exists, "the call is written down")
    assert Call.objects.get().outcome == "not served"
    text = TimelineEntry.objects.get().text
    assert text == "The safe NCCO was served: 250 others were waiting for an answer"
    assert ask(client, uuid="c" * 32, conversation_uuid="CON-2") == [{"action": "talk", "text": "Hello"}]
