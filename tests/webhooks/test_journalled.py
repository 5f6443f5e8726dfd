"""Knows that what came while the database was away stands in the log, once, with its time and without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from callflows.keeping import KEEPER, Keeper
from callflows.models import Call, Job, Leg, PhoneNumber, StrayEvent, TimelineEntry
from callflows.refusing import TALLY
from callflows.threads import Threads
from callflows.watch import WATCH
from callflows.webhooks import views
from callflows.webhooks.happening import Happening
from callflows.webhooks.turn import Turn
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, ask, event_url, make_flow, make_number, talk, tell
from tests.outage import Outage
from tests.signing import APPLICATION, KEY, SECRET, bearer
from tests.webhooks.test_rooms import dialled, joinable, moves

pytestmark = pytest.mark.django_db(transaction=True)

SAFE = [{"action": "talk", "text": "We are closed."}]
PRESSED: Any = {"dtmf": {"digits": "1", "timed_out": False}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def outage(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Outage]:
    """One that a test begins and ends; nothing is stored but when the test says so."""
    # What is asked before it gets its answer, however busy the machine is.
    settings.ANSWER_SECONDS = 5
    monkeypatch.setattr(Keeper, "start", lambda self: None)
    monkeypatch.setattr(Keeper, "soon", lambda self: None)
    monkeypatch.setattr(KEEPER, "journal", Journal(folder, 1024 * 1024))
    # An event that may be answered would wait for the return.
    monkeypatch.setattr(views, "HOPE_SECONDS", 0.0)
    yield Outage(monkeypatch)
    KEEPER.journal.close()


@pytest.fixture
def menu() -> PhoneNumber:
    step = ("menu", "input", {"dtmf": {"maxDigits": 1}})
    flow = make_flow(step, talk("bye", "Bye"), ECHO, branches=(("menu", "1", "echo"),), then={"bye": "end"})
    return make_number(flow, safe_ncco=SAFE)


def kept(folder: Path) -> str:
    return "".join(each.read_text() for each in folder.glob("*.journal"))


def texts(call: Call) -> list[str]:
    return [entry.text for entry in call.timeline.all()]


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


# Answers


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
