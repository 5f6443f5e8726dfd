"""What a call is served: its values in it, within Vonage's limits, with its line or its room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from callflows.models import Call, CallFlow, Job, Line
from callflows.models.jobs import KINDS
from callflows.ncco.flow import Place
from callflows.ncco.problems import InvalidNcco
from callflows.ncco.served import Served
from callflows.webhooks.documents import dial, entry, serve
from tests import dates
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, make_flow, make_prompt, talk

pytestmark = pytest.mark.django_db

BASE = "https://calls.example"
AT = dates.EXAMPLE
SIP = {"type": "sip", "uri": "sip:bob@pbx.example.com"}


@pytest.fixture(autouse=True)
def dialling() -> Iterator[None]:
    """A kind of job that does nothing, where the real one is not loaded."""
    before = dict(KINDS)
    KINDS.setdefault("dial_in", lambda **arguments: None)
    yield
    KINDS.clear()
    KINDS.update(before)


def call(flow: CallFlow, **fields: Any) -> Call:
    return Call.objects.create(uuid=UUID, caller=CALLER, called=NUMBER, flow=flow, flow_name=flow.name, **fields)


def place(flow: CallFlow, step: str = "") -> Place:
    assert flow.live is not None
    version = flow.live.as_core()
    found = version.flow.step(step) if step else version.flow.steps[0]
    assert found is not None
    return Place(version, found)


def served(flow: CallFlow, more: dict[str, str] | None = None, **fields: Any) -> Served:
    return serve(call(flow, **fields), ROOM, place(flow), BASE, AT, more=more)


def connect(endpoint: dict[str, Any], name: str = "call", **options: Any) -> tuple[str, str, dict[str, Any]]:
    return (name, "connect", {"endpoint": endpoint, **options})


def joinable(*steps: tuple[str, str, dict[str, Any]], **fields: Any) -> CallFlow:
    return make_flow(*steps, joinable=True, **fields)


@pytest.fixture
def clock_at() -> Iterator[None]:
    """It is AT, also for the database, which on SQLite has the machine's clock."""
    with time_machine.travel(AT, tick=False):
        yield


def test_values_of_the_call_and_of_the_event_are_filled() -> None:
    flow = make_flow(talk("hello", "{{ from }} called {{ to }}, {{ headers.ref }}"))
    assert served(flow, {"headers.ref": "20931"}).document[0]["text"] == f"{CALLER} called {NUMBER}, 20931"
    assert served(flow).document[0]["text"] == f"{CALLER} called {NUMBER}, "


@pytest.mark.usefixtures("clock_at")
def test_socket_is_expected_for_as_long_as_what_comes_before_it_can_take() -> None:
    prompt = make_prompt(seconds=2.0)
    found = served(make_flow(("tune", "stream", {"prompt": prompt.pk}), ECHO))
    line = Line.objects.get()
    assert found.document[1]["endpoint"][0]["uri"].startswith(f"wss://calls.example/socket/{line.pk}/")
    assert line.expires == AT + timedelta(seconds=62)
    assert found.document[0]["streamUrl"][0].startswith("https://calls.example/sounds/")


def test_text_that_values_made_too_long_is_cut_and_the_call_goes_on() -> None:
    found = served(make_flow(talk("hello", "Hello {{ headers.name }}"), ECHO), {"headers.name": "word " * 400})
    assert [each["action"] for each in found.document] == ["talk", "connect"]
    assert len(found.document[0]["text"]) <= 1500
    assert found.notes == ("Step hello: its text of 2006 characters was cut to 1500, at most 1500 are allowed",)


def test_value_that_cannot_be_mended_is_refused_with_the_reason() -> None:
    flow = make_flow(connect({"type": "phone", "number": "{{ headers.agent }}"}), prefixes="44")
    with pytest.raises(InvalidNcco, match="anybody"):
        served(flow, {"headers.agent": "anybody"})


def test_value_that_is_no_number_where_one_must_be_is_refused_with_the_reason() -> None:
    flow = make_flow(("wait", "wait", {"timeout": "{{ headers.pause }}"}), ECHO)
    assert served(flow, {"headers.pause": "5"}).document[0]["timeout"] == "5"
    with pytest.raises(InvalidNcco, match="expected a number, got 'long'"):
        served(flow, {"headers.pause": "long"})


@pytest.mark.parametrize(("direction", "shown"), [("inbound", NUMBER), ("outbound", CALLER), ("", NUMBER)])
def test_our_own_number_is_shown_in_either_direction(direction: str, shown: str) -> None:
    assert served(make_flow(connect(SIP)), direction=direction).document[0]["from"] == shown


def test_number_that_is_none_is_not_shown() -> None:
    flow = make_flow(connect({"type": "phone", "number": "447700900222"}))
    found = serve(Call.objects.create(called="sip:shop@example.com"), ROOM, place(flow), BASE, AT)
    assert "from" not in found.document[0]
    assert found.notes == ("Step call: the number shown was left out: 'sip:shop@example.com' is none",)


def test_coming_back_to_a_step_is_another_attempt() -> None:
    flow = make_flow(talk("hello"), ("keys", "input", {}))
    keys = place(flow, "keys")
    found = serve(call(flow), ROOM, place(flow), BASE, AT, Place(keys.version, keys.step, 2))
    again = serve(call(flow), ROOM, place(flow), BASE, AT)
    assert found.document[1]["eventUrl"] != again.document[1]["eventUrl"]


def test_version_without_steps_has_no_entry() -> None:
    flow = CallFlow.objects.create(name="Empty")
    version = flow.versions.create(number=1, document={"steps": [], "branches": []})
    assert entry(version.as_core()) is None


# Rooms


@pytest.mark.usefixtures("clock_at")
@pytest.mark.parametrize(
    ("before", "seconds"), [((), 0), ((("wait", "wait", {"timeout": 5}),), 5), ((talk("hi", "<speak>Hi</speak>"),), 60)]
)
def test_joinable_flow_has_its_endpoint_called_when_the_caller_can_be_in_the_room(
    before: tuple[Any, ...], seconds: float
) -> None:
    flow = joinable(*before, connect(SIP), talk("after"))
    caller = call(flow)
    found = serve(caller, ROOM, place(flow), BASE, AT)
    room = {"action": "conversation", "name": f"callflows-{caller.pk}", "endOnExit": True}
    assert found.document[-1] == room
    assert len(found.document) == len(before) + 1
    job = Job.objects.get(kind="dial_in")
    assert flow.live is not None
    assert len(job.arguments.pop("once")) == 16
    assert job.arguments == {"call": caller.pk, "version": flow.live.pk, "step": "call", "attempt": 1}
    assert job.due == AT + timedelta(seconds=seconds)


@pytest.mark.usefixtures("clock_at")
def test_socket_of_a_joinable_flow_is_expected_when_it_is_called() -> None:
    flow = joinable(ECHO)
    caller = call(flow)
    serve(caller, ROOM, place(flow), BASE, AT)
    assert not Line.objects.exists()
    found = dial(caller, ROOM, place(flow), BASE, AT)
    (endpoint,) = found.document[0]["endpoint"]
    line = Line.objects.get()
    assert endpoint["uri"].startswith(f"wss://calls.example/socket/{line.pk}/")
    assert line.expires == AT + timedelta(seconds=60)
    assert found.document[0]["eventUrl"][0].startswith("https://calls.example/webhooks/events/")


def test_endpoint_that_cannot_be_called_is_refused() -> None:
    flow = joinable(connect({"type": "phone", "number": "{{ answers.who }}"}), prefixes="44")
    with pytest.raises(InvalidNcco, match="number"):
        dial(call(flow), ROOM, place(flow), BASE, AT)
