"""Knows how refusals are counted: each once, and however many come, the database is asked once a second."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from callflows import refusing
from callflows.models import Refusal
from callflows.models.refusals import RefusalQuerySet
from callflows.refusing import SENTENCE_CHARACTERS, TALLY
from tests.services import wait_until
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db(transaction=True)


def times(reason: str) -> int:
    return sum(Refusal.objects.filter(reason=reason).values_list("times", flat=True))


def test_first_refusal_is_written_before_its_answer_leaves(client: Client) -> None:
    client.post("/webhooks/events", b"rubbish", content_type="application/json")
    refusal = Refusal.objects.get()
    assert (refusal.reason, refusal.times, refusal.unseen) == ("body", 1, 1)
    assert refusal.sentence.startswith("expected a JSON object as body, got b'rubbish'")
    assert refusal.since == refusal.last


def test_flood_is_counted_and_written_once_a_second(client: Client) -> None:
    with patch.object(RefusalQuerySet, "count_up", autospec=True, side_effect=RefusalQuerySet.count_up) as written:
        begun = time.monotonic()
        for _ in range(200):
            client.post("/webhooks/events", b"rubbish", content_type="application/json")
        wait_until(lambda: times("body") == 200, "all are counted")
        seconds = time.monotonic() - begun
    assert written.call_count <= seconds + 1


def test_classes_do_not_wait_for_each_other() -> None:
    for reason in ("secret", "clock"):
        assert TALLY.count(reason, "a sentence")
        assert not TALLY.count(reason, "another sentence")
        TALLY.write(reason)
    assert {each.reason: (each.times, each.sentence) for each in Refusal.objects.all()} == {
        "secret": (2, "another sentence"),
        "clock": (2, "another sentence"),
    }


def test_what_the_database_does_not_take_is_kept_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusing, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(refusing, "WRITE_SECONDS", 0.1)
    with patch.object(RefusalQuerySet, "count_up", side_effect=OperationalError("away")) as tried:
        TALLY.count_in_background("secret", "first")
        wait_until(lambda: tried.call_count >= 2, "it is tried again")
        TALLY.count_in_background("secret", "last")
    wait_until(lambda: times("secret") == 2, "both are counted")
    assert Refusal.objects.get().sentence == "last"


def test_locked_database_holds_up_no_refusal(client: Client) -> None:
    other = sqlite3.connect(Path(connection.settings_dict["NAME"]), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        watch = Stopwatch()
        for _ in range(5):
            assert client.put("/webhooks/events", b"").status_code == 405
        assert watch.seconds() < 1.5
        assert not Refusal.objects.exists()
    finally:
        other.execute("ROLLBACK")
        other.close()
    wait_until(lambda: times("method") == 5, "they are counted once the database is free")


def test_long_sentence_is_cut() -> None:
    TALLY.count("body", "x" * 10_000)
    TALLY.write("body")
    assert len(Refusal.objects.get().sentence) == SENTENCE_CHARACTERS


# What somebody saw.


def test_seen_refusals_are_no_longer_shown_and_new_ones_are() -> None:
    Refusal.objects.count_up("secret", "a", 3)
    Refusal.objects.see("secret", 3)
    assert not Refusal.objects.unseen().exists()
    at = timezone.now()
    Refusal.objects.count_up("secret", "b", 2, at)
    Refusal.objects.count_up("secret", "c")
    refusal = Refusal.objects.unseen().get()
    assert (refusal.times, refusal.unseen, refusal.since) == (6, 3, at)


def test_what_came_while_somebody_looked_stays_unseen() -> None:
    Refusal.objects.count_up("secret", "a", 5)
    Refusal.objects.see("secret", 3)
    assert Refusal.objects.unseen().get().unseen == 2
    Refusal.objects.see("secret", 10**30)
    assert not Refusal.objects.unseen().exists()
    Refusal.objects.see("secret", 1)
    assert not Refusal.objects.unseen().exists()
