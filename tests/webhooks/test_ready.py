"""Knows that what is kept ready for answers is never older than the database."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings as live_settings
from django.db import connections
from django.test import Client

from callflows.models import Application, Call, CallFlow, FlowVersion, PhoneNumber
from callflows.models import flows as stored
from tests.make import NUMBER, ask, event_url, make_flow, make_number, talk, tell
from tests.services import Deployment, Process

SAFE = live_settings.SAFE_NCCO
ASK = ("ask", "input", {"type": ["dtmf"]})


@pytest.fixture
def number(transactional_db: None) -> PhoneNumber:
    return make_number(make_flow(talk("hello", "Old")))


def elsewhere(work: Callable[[], Any]) -> None:
    """Do something at another connection, as another process would."""

    def working() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = Thread(target=working)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def next_caller(client: Client, place: int = 2, **more: str) -> Any:
    """Return what the next one is answered: the text of a talk, or the safe NCCO."""
    ncco = ask(client, uuid=f"caller{place}", conversation_uuid=f"CON-{place}", **more)
    return ncco if ncco == SAFE else ncco[0].get("text")


def publish(text: str) -> None:
    flow = CallFlow.objects.get(name="Echo")
    flow.steps.filter(name="hello").update(options={"text": text})
    flow.publish({})


def test_what_is_published_at_another_connection_reaches_the_next_call(client: Client, number: PhoneNumber) -> None:
    assert next_caller(client, 1) == "Old"
    elsewhere(lambda: publish("New"))
    assert next_caller(client, 2) == "New"
    elsewhere(lambda: publish("Newer"))
    assert next_caller(client, 3) == "Newer"


def test_rollback_reaches_the_next_call(client: Client, number: PhoneNumber) -> None:
    publish("New")
    assert next_caller(client, 1) == "New"
    elsewhere(lambda: CallFlow.objects.get().publish({}, old=FlowVersion.objects.get(number=1)))
    assert next_caller(client, 2) == "Old"


@pytest.mark.usefixtures("transactional_db")
def test_running_call_keeps_its_version_in_every_flow(client: Client) -> None:
    other = make_flow(talk("hello", "Other, old"), name="Other")
    flow = make_flow(ASK, talk("hello", "Old"), branches=(("ask", "1", "hello"), ("ask", "2", other)))
    make_number(flow)
    url = event_url(ask(client)[0])
    publish("New")
    other.steps.update(options={"text": "Other, new"})
    other.publish({})
    for key, said in (("1", "Old"), ("2", "Other, old")):
        assert tell(client, url, uuid="", dtmf={"digits": key, "timed_out": False}).json()[0]["text"] == said


def test_number_moved_to_another_flow_is_answered_by_that(client: Client, number: PhoneNumber) -> None:
    other = make_flow(talk("other", "Other"), name="Other")
    assert next_caller(client, 1) == "Old"
    elsewhere(lambda: PhoneNumber.objects.update(flow=other))
    assert next_caller(client, 2) == "Other"
    assert Call.objects.latest("pk").flow == other


def test_number_without_its_flow_says_so(client: Client, number: PhoneNumber) -> None:
    assert next_caller(client, 1) == "Old"
    elsewhere(lambda: PhoneNumber.objects.update(flow=None))
    assert next_caller(client, 2) == SAFE
    elsewhere(lambda: PhoneNumber.objects.update(flow=CallFlow.objects.get()))
    assert next_caller(client, 3) == "Old"
    elsewhere(lambda: CallFlow.objects.get().delete())
    assert next_caller(client, 4) == SAFE


def test_deleted_number_is_unknown_and_one_made_anew_is_known(client: Client, number: PhoneNumber) -> None:
    flow = number.flow
    assert next_caller(client, 1) == "Old"
    elsewhere(lambda: PhoneNumber.objects.all().delete())
    assert next_caller(client, 2) == SAFE
    assert Call.objects.latest("pk").number is None
    elsewhere(lambda: make_number(flow, time_zone="Asia/Tokyo"))
    assert next_caller(client, 3) == "Old"
    assert Call.objects.latest("pk").time_zone == "Asia/Tokyo"


def test_time_zone_and_safe_ncco_of_a_number_are_those_of_now(client: Client, number: PhoneNumber) -> None:
    own = [{"action": "talk", "text": "We are closed."}]
    assert next_caller(client, 1) == "Old"
    elsewhere(lambda: PhoneNumber.objects.update(time_zone="Europe/Berlin", safe_ncco=own))
    assert next_caller(client, 2) == "Old"
    assert Call.objects.latest("pk").time_zone == "Europe/Berlin"
    elsewhere(lambda: FlowVersion.objects.all().delete())
    assert next_caller(client, 3) == "We are closed."
    elsewhere(lambda: PhoneNumber.objects.update(safe_ncco=None))
    assert next_caller(client, 4) == SAFE


def test_application_moved_to_another_flow_is_answered_by_that(client: Client, number: PhoneNumber) -> None:
    flows = [make_flow(talk("hello", name), name=name) for name in ("one", "two")]
    for place, flow in enumerate(flows):
        elsewhere(lambda flow=flow: Application.objects.update(flow=flow))  # type: ignore[misc]  # bound in time
        assert next_caller(client, place, to="") == flow.name
    assert Call.objects.latest("pk").application == Application.objects.get()


def test_version_that_is_gone_is_no_version(client: Client, number: PhoneNumber) -> None:
    flow = CallFlow.objects.get()
    assert flow.live is not None
    assert FlowVersion.objects.ready(flow.live.pk, flow.live.published) is not None
    assert FlowVersion.objects.ready(4711, flow.live.published) is None
    # Of a database that was put back: the same key, of another version.
    FlowVersion.objects.update(published="2020-01-01T00:00Z", document={"steps": [], "branches": []})
    live = FlowVersion.objects.get()
    found = FlowVersion.objects.ready(live.pk, live.published)
    assert found is not None
    assert found.flow.steps == ()


def test_version_is_read_once(client: Client, number: PhoneNumber) -> None:
    with patch.object(FlowVersion, "as_core", side_effect=FlowVersion.as_core, autospec=True) as read:
        assert [next_caller(client, place) for place in range(3)] == ["Old"] * 3
    assert read.call_count == 1
    stored.forget_ready()


# At two processes


def text_at(server: Process, place: int) -> str:
    query = f"to={NUMBER}&from=447700900123&uuid=leg{place}&conversation_uuid=CON-{place}"
    with urllib.request.urlopen(f"{server.url}/webhooks/answer?{query}", timeout=20) as response:
        return str(json.loads(response.read())[0].get("text"))


def test_what_one_worker_publishes_reaches_the_next_call_at_the_other(on_postgres: Deployment) -> None:
    servers = [on_postgres.serve(), on_postgres.serve("--with", "uvicorn")]
    change = (
        "from callflows.models import *\nfrom callflows.sockets.registry import outcomes\n"
        f"flow = PhoneNumber.objects.get(digits='{NUMBER}').flow\n"
        "flow.steps.create(position=0, name='new-{0}', action='talk', options={{'text': 'New {0}'}})\n"
        "flow.steps.exclude(name='new-{0}').filter(action='talk').delete()\nflow.publish(outcomes())"
    )
    for place in range(2):
        assert not {f"New {place}"} & {text_at(server, 10 * place + n) for n, server in enumerate(servers)}
        done = on_postgres.manage("shell", "-c", change.format(place))
        assert done.returncode == 0, done.stderr
        said = [text_at(server, 10 * place + 5 + n) for n, server in enumerate(servers)]
        assert said == [f"New {place}"] * 2
