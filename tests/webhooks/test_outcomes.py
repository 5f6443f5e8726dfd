"""Knows what an event is known by, what is kept of it, which may choose a branch, and what it costs."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client

from callflows.models import Call, Line, TimelineEntry
from callflows.ncco.flow import Place
from callflows.webhooks import happening
from callflows.webhooks.addresses import StepRef
from callflows.webhooks.addresses import event_url as address_of
from tests.dates import stamp
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, Step, ask, event_url, make_flow, make_number, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)

PRESSED: Any = {"dtmf": {"digits": "1", "timed_out": False}}
CALLEE = "447700900444"


def keys(name: str, **options: Any) -> Step:
    return (name, "input", {"dtmf": {"maxDigits": 1}, **options})


def texts(response: Any) -> list[str]:
    assert response.status_code == 200, response.status_code
    return [action.get("text", action["action"]) for action in json.loads(response.content)]


# What an event is known by


def test_same_body_at_two_addresses_is_two_events(client: Client) -> None:
    steps = (keys("first"), keys("second"), talk("one", "One"), talk("two", "Two"))
    branches = (("first", "1", "one"), ("second", "1", "two"))
    make_number(make_flow(*steps, branches=branches, then={"one": "end", "two": "end"}))
    first, second = (event_url(action) for action in ask(client)[:2])
    told = [texts(tell(client, url, **PRESSED)) for url in (first, second, first, second)]
    assert told == [["One"], ["Two"], ["One"], ["Two"]]
    assert tell(client, **PRESSED).status_code == 204
    assert TimelineEntry.objects.filter(name="input").count() == 3
    assert TimelineEntry.objects.filter(kind="branch").count() == 2


def test_repeat_in_another_order_is_the_same_event(client: Client) -> None:
    make_number(make_flow(keys("first"), talk("one", "One"), branches=(("first", "1", "one"),)))
    path = event_url(ask(client)[0]).removeprefix("http://testserver")
    told = {"uuid": UUID, "conversation_uuid": ROOM, "dtmf": PRESSED["dtmf"]}
    first = client.post(path, json.dumps(told), content_type="application/json")
    again = json.dumps(dict(reversed(told.items())))
    assert client.post(path, again, content_type="application/json").content == first.content
    assert TimelineEntry.objects.filter(name="input").count() == 1


# What is kept


def test_broken_json_in_a_query_is_kept_as_text_and_told(client: Client) -> None:
    query = {"uuid": UUID, "conversation_uuid": ROOM, "dtmf": '{"digits": "3", '}
    assert client.get("/webhooks/events", query).status_code == 204
    entry = TimelineEntry.objects.get()
    note = "dtmf: expected JSON, got text, which is kept as it came"
    assert entry.data == {"raw": query, "notes": [note]}
    assert entry.text.endswith(f". {note}")


def test_broken_json_in_an_answer_request_is_told_and_the_caller_served(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    assert ask(client, custom_data='{"tier": ')[0]["text"] == "Hello"
    entry = TimelineEntry.objects.get()
    assert "custom_data: expected JSON, got text" in entry.text
    assert entry.data["raw"]["custom_data"] == '{"tier": '


def test_keys_of_an_asynchronous_input_are_kept_and_never_answered(client: Client) -> None:
    flow = make_flow(keys("keys"), talk("bye"), talk("one"), branches=(("keys", "1", "one"),), publish=False)
    flow.publish({})
    # Its branch stands in the version all the same: published before, or by an import.
    assert flow.live is not None
    document = flow.live.document
    document["steps"][0]["options"] = {"type": ["dtmf"], "mode": "asynchronous"}
    flow.live.save()
    make_number(flow)
    action = ask(client)[0]
    assert action["mode"] == "asynchronous"
    assert tell(client, event_url(action), **PRESSED).status_code == 204
    assert Call.objects.get().timeline.get(name="input").text == "Caller pressed 1"
    assert not TimelineEntry.objects.filter(kind="branch").exists()


def test_event_of_a_call_that_is_not_there_any_more_is_kept(client: Client) -> None:
    make_number(make_flow(keys("first"), talk("one"), branches=(("first", "1", "one"),)))
    url = event_url(ask(client)[0])
    Call.objects.all().delete()
    assert tell(client, url, **PRESSED).status_code == 204
    assert Call.objects.get().timeline.get().text == "Caller pressed 1"


# A call out


def call_out(*branches: tuple[str, str, str]) -> tuple[Call, StepRef, str]:
    """Open a call out as it is before Vonage is asked; return it, its step, and the path of its events."""
    steps = (talk("hello", "Hello {{ to }}"), talk("person", "Person"), talk("robot", "Robot"), talk("tone", "Tone"))
    flow = make_flow(*steps, branches=branches, then=dict.fromkeys(("hello", "person", "robot", "tone"), "end"))
    make_number(flow)
    call = Call.objects.create(flow=flow, flow_name=flow.name, direction="outbound", caller=NUMBER, called=CALLEE)
    version = call.version_of(flow.pk)
    assert version is not None
    place = Place(version, version.flow.steps[0])
    return call, StepRef(call.pk, version.id, "hello", 1), address_of("", call.pk, place)


def test_call_out_is_served_its_flow_and_never_looked_up_by_number(client: Client) -> None:
    call, ref, url = call_out()
    parties = {"to": CALLEE, "from": NUMBER, "uuid": UUID, "conversation_uuid": ROOM}
    tell(client, url, status="ringing", direction="outbound", **parties)
    document = client.post(f"/webhooks/answer/{ref}", parties, "application/json").json()
    assert document == [{"action": "talk", "text": f"Hello {CALLEE}"}]
    call = Call.objects.get()
    assert (call.uuid, call.status, call.direction) == (UUID, "ringing", "outbound")
    assert call.legs.get().bound
    assert call.timeline.get(kind="answer").text == "Served Echo from step hello"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"status": "human"}, ["Person"]),
        ({"status": "machine"}, ["Robot"]),
        ({"status": "machine", "sub_state": "beep_start"}, ["Tone"]),
    ],
)
def test_who_picks_up_chooses_a_branch_of_a_call_out(client: Client, event: dict[str, Any], said: list[str]) -> None:
    *_, url = call_out(("hello", "human", "person"), ("hello", "machine", "robot"), ("hello", "beep", "tone"))
    # As these events do, it names the leg by another member.
    response = tell(client, url, uuid=None, call_uuid=UUID, **event)
    assert texts(response) == said
    assert Call.objects.get().uuid == UUID


def test_beep_after_the_machine_takes_no_branch_of_the_machine_again(client: Client) -> None:
    *_, url = call_out(("hello", "machine", "robot"))
    assert texts(tell(client, url, status="machine")) == ["Robot"]
    beep = tell(client, url, status="machine", sub_state="beep_start", timestamp=stamp(9))
    assert beep.status_code == 204


def test_callee_who_is_busy_ends_the_call_out(client: Client) -> None:
    *_, url = call_out(("hello", "human", "person"))
    assert tell(client, url, status="busy", to=CALLEE, **{"from": NUMBER}).status_code == 204
    call = Call.objects.get()
    assert (call.status, call.outcome, call.called) == ("completed", "busy", CALLEE)


# What an event costs


def queries_of(client: Client, url: str = "/webhooks/events", **event: Any) -> list[str]:
    """Tell an event; return what its work asked the database, in its own thread."""
    queries = list[str]()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "PRAGMA")):
            queries.append(sql)
        return execute(sql, params, many, context)

    original = happening.Happening.store

    def counted(self: happening.Happening) -> str:
        with connection.execute_wrapper(count):
            return original(self)

    with patch.object(happening.Happening, "store", counted):
        assert tell(client, url, **event).status_code in (200, 204)
    return queries


def test_event_takes_few_queries(client: Client) -> None:
    parties = {"from": CALLER, "to": NUMBER, "direction": "inbound"}
    new = queries_of(client, status="started", **parties)
    known = queries_of(client, status="ringing", **parties)
    repeated = queries_of(client, status="ringing", **parties)
    of_room = queries_of(client, uuid=None, reason="noise")
    assert len(new) <= 5, new
    assert len(known) <= 5, known
    assert len(repeated) <= 2, repeated
    assert len(of_room) <= 4, of_room


def test_event_that_takes_a_branch_takes_few_queries(client: Client) -> None:
    make_number(make_flow(keys("first"), ECHO, branches=(("first", "1", "echo"),)))
    url = event_url(ask(client)[0])
    queries = queries_of(client, url, **PRESSED)
    assert Line.objects.count() == 2
    assert len(queries) <= 10, queries
