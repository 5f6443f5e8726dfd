"""Knows that what came while the database was away stands in the log, once, with its time and without secrets."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DataError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.journal.files import Journal
from callflows.keeping import KEEPER
from callflows.models import Call, Job, Leg, PhoneNumber, StrayEvent, TimelineEntry
from callflows.refusing import TALLY
from callflows.watch import WATCH
from callflows.webhooks.happening import Happening
from tests.make import ROOM, UUID, ask, event_url, make_number, tell
from tests.outage import PRESSED, Outage, kept, texts
from tests.signing import APPLICATION, KEY, SECRET, bearer
from tests.webhooks.test_rooms import dialled, joinable, moves

pytestmark = pytest.mark.django_db(transaction=True)


# Events


def test_event_is_kept_and_stored_with_the_time_at_which_it_came(client: Client, outage: Outage) -> None:
    outage.begin()
    before = timezone.now()
    assert tell(client, status="ringing", timestamp=None).status_code == 204
    after = timezone.now()
    assert not Call.objects.exists()
    outage.store()
    entry = TimelineEntry.objects.get()
    assert before <= entry.at <= after
    assert (entry.text, Call.objects.get().uuid, Leg.objects.get().status) == (
        "Ringing",
        UUID,
        "ringing",
    )
    assert before <= Call.objects.get().created <= after


def test_events_of_a_call_are_stored_in_their_order_and_each_once(client: Client, outage: Outage, folder: Path) -> None:
    outage.begin()
    for second, status in enumerate(("started", "ringing", "answered", "completed")):
        for _ in range(2):
            tell(
                client,
                status=status,
                direction="inbound",
                timestamp=f"2026-03-02T09:15:0{second}.000Z",
            )
    content = kept(folder)
    assert content.count("\n") == 8
    outage.store()
    call = Call.objects.get()
    assert texts(call) == ["Started", "Ringing", "Answered", "Ended"]
    assert call.status == "completed"
    # As after a crash in between: the same file once more.
    (folder / "again.journal").write_text(content)
    outage.store()
    assert TimelineEntry.objects.count() == 4


def test_event_that_names_nothing_is_kept_by_itself(client: Client, outage: Outage, settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    outage.begin()
    body = json.dumps({"type": "mystery"}).encode()
    headers = {"authorization": bearer(body, application_id=None)}
    response = client.post("/webhooks/events", body, content_type="application/json", headers=headers)
    assert response.status_code == 204
    outage.store()
    assert StrayEvent.objects.get().raw == {"type": "mystery"}


def test_no_secret_stands_in_the_journal(
    client: Client, outage: Outage, folder: Path, menu: PhoneNumber, settings: Settings
) -> None:
    address = event_url(ask(client)[0]).removeprefix("http://testserver")
    token = address.rpartition("/")[2]
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    outage.begin()
    told = {"uuid": UUID, "status": "ringing", "to": f"wss://calls.example.com/socket/abc/{token}"}
    body = json.dumps(told).encode()
    signature = bearer(body, application_id=None)
    response = client.post(address, body, content_type="application/json", headers={"authorization": signature})
    assert response.status_code == 204
    content = kept(folder)
    assert UUID in content
    for secret in (token, token.partition(":")[0], signature.removeprefix("Bearer "), SECRET):
        assert secret not in content
    outage.store()
    assert Call.objects.get().timeline.filter(name="ringing").exists()


def test_webhook_of_a_stranger_leaves_nothing_but_a_count(client: Client, outage: Outage, settings: Settings) -> None:
    make_number()
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    outage.begin()
    body = json.dumps({"uuid": UUID, "status": "ringing"}).encode()
    headers = {"authorization": bearer(body, application_id=APPLICATION)}
    client.post("/webhooks/events", body, content_type="application/json", headers=headers)
    with patch.object(TALLY, "count_in_background") as counted:
        outage.store()
    assert counted.call_args.args[0] == "application"
    assert not Call.objects.exists()


# Keys


def test_key_is_asked_for_again_and_answered_once(client: Client, outage: Outage, menu: PhoneNumber) -> None:
    url = event_url(ask(client)[0])
    outage.begin()
    assert tell(client, url, **PRESSED).status_code == 503
    outage.end()
    # As long as Vonage may send it again, it is not told from the journal.
    outage.store()
    assert not TimelineEntry.objects.filter(name="input").exists()
    again = tell(client, url, **PRESSED)
    assert json.loads(again.content)[0]["action"] == "connect"
    outage.store(timedelta(seconds=20))
    assert TimelineEntry.objects.get(name="input").reply == again.content.decode()
    assert TimelineEntry.objects.filter(kind="branch").count() == 1
    assert KEEPER.journal.empty
    assert tell(client, url, **PRESSED).content == again.content


def test_key_that_came_in_vain_is_told_without_a_branch(client: Client, outage: Outage, menu: PhoneNumber) -> None:
    url = event_url(ask(client)[0])
    outage.begin()
    for _ in range(2):
        assert tell(client, url, **PRESSED).status_code == 503
    outage.store(timedelta(seconds=20))
    call = Call.objects.get()
    assert texts(call)[-1] == "Step menu: 1, but the database was away, and the branch was not taken"
    assert call.timeline.get(name="input").reply == ""
    assert call.lines.count() == 0
    assert call.answers == {"menu": "1"}


def test_return_while_an_event_waits_gets_it_its_branch(
    client: Client, outage: Outage, menu: PhoneNumber, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = event_url(ask(client)[0])
    outage.begin()

    async def back(seconds: float) -> bool:
        outage.end()
        return True

    monkeypatch.setattr(WATCH, "back_within", back)
    assert json.loads(tell(client, url, **PRESSED).content)[0]["action"] == "connect"


def test_caller_who_waits_in_a_room_is_fetched_when_the_database_is_back(client: Client, outage: Outage) -> None:
    url = joinable(client)
    dialled(client, url, status="answered", timestamp="2026-03-02T09:15:06.000Z")
    outage.begin()
    assert dialled(client, url, status="completed", timestamp="2026-03-02T09:15:09.000Z").status_code == 204
    outage.store()
    outage.store()
    assert moves() == ["bye"]


# What goes wrong


def test_what_its_call_cannot_take_is_kept_by_itself(client: Client, outage: Outage) -> None:
    outage.begin()
    tell(client, status="ringing")
    tell(client, status="answered")
    whole = Happening._record

    def picky(self: Happening, now: Any) -> str:
        if self.event.status == "ringing":
            raise DataError("value too long")
        return whole(self, now)

    with patch.object(Happening, "_record", picky):
        outage.store()
    assert StrayEvent.objects.get().raw["status"] == "ringing"
    assert TimelineEntry.objects.get().text == "Answered"


def test_event_that_no_call_can_take_is_kept_at_once_and_not_asked_for_again(
    client: Client,
) -> None:
    with patch.object(Happening, "_record", side_effect=DataError("value too long")) as tried:
        assert tell(client, status="ringing").status_code == 204
    assert tried.call_count == 1
    assert StrayEvent.objects.get().raw["status"] == "ringing"


def test_journal_that_is_full_leaves_the_caller_an_answer_and_vonage_the_event(
    client: Client,
    outage: Outage,
    folder: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(KEEPER, "journal", Journal(folder, 100))
    outage.begin()
    assert ask(client) == settings.SAFE_NCCO
    assert tell(client, status="ringing").status_code == 503


def test_call_that_came_before_is_found_by_what_was_kept(client: Client, outage: Outage, menu: PhoneNumber) -> None:
    ask(client)
    outage.begin()
    tell(client, status="completed", direction="inbound")
    outage.store()
    call = Call.objects.get()
    assert (call.status, call.flow_name, call.legs.get().room) == ("completed", "Echo", ROOM)
    assert not Job.objects.exists()
