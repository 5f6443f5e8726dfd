"""Knows that all our processes together ask no faster than Vonage allows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from callflows.models import Pace
from callflows.models.clock import DbNow
from callflows.vonage.account import VonageError
from callflows.vonage.pace import CALLS, REQUESTS, at_once, limit_of, wait_for_turn


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/v1/calls", CALLS),
        ("POST", "/v1/calls/", CALLS),
        ("GET", "/v1/calls", REQUESTS),
        ("PUT", "/v1/calls/leg", REQUESTS),
        ("POST", "/v1/legs/leg/recording", REQUESTS),
    ],
)
def test_calls_and_other_requests_are_limited_apart(method: str, path: str, limit: object) -> None:
    assert limit_of(method, path) is limit


def test_no_second_holds_more_than_the_limit() -> None:
    assert CALLS.interval * 3 > 1
    assert REQUESTS.interval * 15 > 1


def test_nothing_waits_without_a_reason() -> None:
    assert at_once(CALLS, 0) == 0
    wait_for_turn(at_once, CALLS)
    wait_for_turn(lambda limit, most: 0.001, CALLS)
    with pytest.raises(VonageError, match="more than 2 s of them wait already: try again in a moment"):
        wait_for_turn(lambda limit, most: None, CALLS, 2.0)


@pytest.mark.django_db
def test_places_follow_each_other_and_one_too_far_away_is_not_taken() -> None:
    waits = [Pace.objects.reserve("app:calls", 10.0, 25.0) for _ in range(5)]
    assert waits[:3] == [pytest.approx(0, abs=4), pytest.approx(10, abs=4), pytest.approx(20, abs=4)]
    assert waits[3:] == [None, None]
    assert Pace.objects.reserve("app:requests", 10.0, 25.0) == 0
    assert str(Pace.objects.get(name="app:calls")) == "app:calls"


@pytest.mark.django_db
def test_clock_that_is_set_back_stops_nothing() -> None:
    Pace.objects.create(name="app:calls", free_at=timezone.now().timestamp() + 3600)
    assert Pace.objects.reserve("app:calls", 35.0, 50.0) == 0
    assert Pace.objects.reserve("app:calls", 35.0, 50.0) == pytest.approx(35, abs=20)


@pytest.mark.django_db
def test_place_is_free_again_when_the_databases_clock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Pace.objects.reserve("app:calls", 10.0, 25.0)
    monkeypatch.setattr(DbNow, "ahead", 6.0)
    assert Pace.objects.reserve("app:calls", 10.0, 25.0) == pytest.approx(4, abs=4)


@pytest.mark.django_db(transaction=True)
def test_threads_that_ask_at_once_get_places_of_their_own() -> None:
    def take(_: int) -> float:
        try:
            wait = Pace.objects.reserve("app:calls", 1.0, 100.0)
            assert wait is not None
            return timezone.now().timestamp() + wait
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        places = sorted(threads.map(take, range(24)))
    gaps = [later - sooner for sooner, later in pairwise(places)]
    # The first is free at once; what lies between reading the clock twice blurs the others.
    assert min(gaps) > 0.5
    assert sum(gaps) == pytest.approx(23.0, abs=1.0)
