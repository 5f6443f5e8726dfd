"""Knows that callers are answered while the database is away, and that the log tells what they were answered, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.models import Call, Job, PhoneNumber, TimelineEntry
from callflows.threads import Threads
from callflows.webhooks import views
from callflows.webhooks.turn import Turn
from tests.make import CALLER, NUMBER, UUID, ask, event_url, make_flow, make_number, talk
from tests.outage import PRESSED, SAFE, Outage, kept, texts

pytestmark = pytest.mark.django_db(transaction=True)


def test_caller_hears_the_numbers_own_safe_ncco_and_the_call_is_in_the_log(
    client: Client, outage: Outage, menu: PhoneNumber
) -> None:
    ask(client, uuid="before")
    outage.begin()
    before = timezone.now()
    assert ask(client) == SAFE
    after = timezone.now()
    outage.store()
    call = Call.objects.get(uuid=UUID)
    assert (call.number, call.caller, call.outcome) == (menu, CALLER, "not served")
    assert before <= call.created <= after
    assert before <= (call.started or before) <= after
    entry = call.timeline.get()
    assert entry.text == "The safe NCCO was served: the database is away: nobody answers"
    assert entry.data["ncco"] == SAFE
    assert entry.data["raw"]["uuid"] == UUID


def test_caller_of_a_number_that_was_never_met_hears_the_settings_safe_ncco(
    client: Client, outage: Outage, menu: PhoneNumber, settings: Settings
) -> None:
    outage.begin()
    assert ask(client) == settings.SAFE_NCCO


def test_safe_ncco_that_was_taken_away_is_not_remembered(
    client: Client, outage: Outage, menu: PhoneNumber, settings: Settings
) -> None:
    ask(client, uuid="before")
    menu.safe_ncco = None
    menu.save()
    ask(client, uuid="later")
    outage.begin()
    assert ask(client) == settings.SAFE_NCCO


def test_safe_answer_is_told_once_however_often_it_is_stored(client: Client, outage: Outage, folder: Path) -> None:
    make_number()
    outage.begin()
    ask(client)
    content = kept(folder)
    outage.store()
    (folder / "again.journal").write_text(content)
    outage.store()
    assert TimelineEntry.objects.count() == 1


def test_answer_that_was_kept_by_its_thread_and_by_the_clock_is_told_once(
    client: Client, outage: Outage, menu: PhoneNumber
) -> None:
    outage.begin()
    with patch.object(views, "written", keep_twice):
        ask(client)
    outage.store()
    assert TimelineEntry.objects.count() == 1


def test_answer_that_the_database_commits_when_the_safe_one_was_said_is_not_told(
    client: Client, outage: Outage, menu: PhoneNumber
) -> None:
    with patch.object(views, "in_time", committed_too_late):
        assert ask(client) == SAFE
    outage.store()
    (call,) = Call.objects.all()
    assert call.outcome == "not served"
    assert [(each.kind, each.name) for each in call.timeline.exclude(key="")] == [("problem", "answer")]
    assert not [text for text in texts(call) if text.startswith("Served")]
    # Asked anew, the caller gets the flow, which is told beside it.
    assert ask(client) != SAFE
    assert [text for text in texts(call) if text.startswith("Served")]


def test_answer_that_was_never_said_calls_nobody_into_the_room(client: Client, outage: Outage) -> None:
    agent = ("agent", "connect", {"endpoint": {"type": "phone", "number": "447700900333"}})
    make_number(make_flow(agent, talk("bye"), joinable=True), safe_ncco=SAFE)
    with patch.object(views, "in_time", committed_too_late):
        assert ask(client) == SAFE
    assert Job.objects.filter(kind="dial_in").count() == 1
    outage.store()
    assert not Job.objects.exists()


async def committed_too_late(threads: Threads, work: Callable[[Turn], object], seconds: float) -> None:
    """The work takes its turn, and its COMMIT hangs until nobody waits for it."""
    await threads.start(work, Turn())


async def keep_twice(keep: Callable[[], object], seconds: float) -> bool:
    keep()
    keep()
    return True


def test_fallback_tells_the_step_that_failed(client: Client, outage: Outage, folder: Path, menu: PhoneNumber) -> None:
    url = event_url(ask(client)[0])
    outage.begin()
    failed = {"reason": "Invalid response code.", "original_request": {"url": url, "type": "event"}}
    body = json.dumps({"uuid": UUID, "to": NUMBER, "from": CALLER, **PRESSED, **failed})
    response = client.post("/webhooks/fallback", body, content_type="application/json")
    assert json.loads(response.content) == SAFE
    assert url.rpartition("/")[2] not in kept(folder)
    outage.store()
    assert texts(Call.objects.get())[-1].startswith("The safe NCCO was served")
