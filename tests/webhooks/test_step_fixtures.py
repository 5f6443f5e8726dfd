"""Every event of a step that we have, at the step's own address: what takes a branch is answered by it."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from callflows.models import Call, TimelineEntry
from tests.make import Step, event_url, talk
from tests.payloads.test_events import MEANING
from tests.webhooks.sending import CUSTOMER, METHODS, SAFE, answer, load, send_twice, serve_number, whole

pytestmark = pytest.mark.django_db(transaction=True)

Kind = TimelineEntry.Kind


DIALLED = {"endpoint": {"type": "phone", "number": CUSTOMER}, "advancedMachineDetection": {"mode": "default"}}
FOREIGN = {"type": "websocket", "uri": "wss://bot.example.com/ws/call", "content-type": "audio/l16;rate=16000"}
STEPS: dict[str, Step] = {
    "dial": ("dial", "connect", DIALLED),
    "bot": ("bot", "connect", {"endpoint": FOREIGN}),
    "ask": ("ask", "input", {"type": ["dtmf", "speech"], "dtmf": {"maxDigits": 4}}),
    "keys": ("keys", "input", {"type": ["dtmf"], "mode": "asynchronous"}),
    "tell": ("tell", "notify", {"payload": {"step": "greeting_done", "ref": 20931}}),
    "keep": ("keep", "record", {"transcription": {}}),
}
# name of the file: the step of which it tells, and the outcome that takes its branch
TAKEN = {
    "busy": ("dial", "busy"),
    "failed_cannot_route": ("dial", "failed"),
    "failed_number_out_of_service_2026": ("dial", "failed"),
    "input_async_single_digit": ("ask", "7"),
    "input_dtmf_docs_form": ("ask", "1234"),
    "input_dtmf_nothing_pressed": ("ask", "nothing"),
    "input_speech": ("ask", "book a table"),
    "input_speech_start_timeout": ("ask", "nothing"),
    "machine": ("dial", "machine"),
    "machine_beep_start": ("dial", "beep"),
    "machine_beep_timeout": ("dial", "machine"),
    "notify": ("tell", "notified"),
    "rejected_declined_2026": ("dial", "rejected"),
    "timeout": ("dial", "timeout"),
    "unanswered_carrier_timeout_2026": ("dial", "unanswered"),
    "unanswered_timeout": ("dial", "unanswered"),
    "websocket_disconnected": ("bot", "disconnected"),
    "websocket_unanswered": ("bot", "unanswered"),
}
# The step whose events are no outcome: no branch takes them, whatever branches there are.
UNTAKEN = {name: "dial" for name in MEANING if name not in TAKEN} | {
    **dict.fromkeys(("record", "record_empty", "transcribed"), "keep"),
    **dict.fromkeys(("websocket_answered", "websocket_completed", "websocket_started"), "bot"),
    "input_async_single_digit": "keys",
}
EVERY = {
    "dial": ["busy", "failed", "rejected", "timeout", "unanswered", "disconnected", "human", "machine", "beep"],
    "bot": ["busy", "failed", "rejected", "timeout", "unanswered", "disconnected"],
}


def address_of(client: Client, step: str, outcomes: list[str]) -> str:
    """Begin a call whose flow is one step with branches; return the address to which the step's events go."""
    branches = tuple((step, outcome, "taken") for outcome in outcomes)
    taken = talk("taken", 'Taken {{ headers.call_ref|default:"by somebody" }}')
    serve_number(STEPS[step], taken, branches=branches, then={step: "end"})
    return event_url(answer(client)[0])


@pytest.mark.parametrize("name", TAKEN)
def test_outcome_of_a_step_is_answered_by_its_branch(client: Client, name: str) -> None:
    members, (step, outcome) = load("events", name), TAKEN[name]
    reply = send_twice(client, address_of(client, step, [outcome]), members, "POST")
    assert (reply.status_code, reply["Content-Type"]) == (200, "application/json")
    whose = "ref-20931" if step == "bot" else "by somebody"
    assert json.loads(reply.content) == [{"action": "talk", "text": f"Taken {whose}"}]
    call = Call.objects.get()
    assert call.timeline.get(kind=Kind.BRANCH).text == f"Step {step}: {outcome}, on to taken"
    event = call.timeline.get(kind=Kind.EVENT)
    assert (event.data["raw"], event.data["step"]) == (whole(members, "POST"), step)
    assert call.answers == ({step: outcome} if step == "ask" and outcome != "nothing" else {})


def test_address_of_a_step_takes_post_alone(client: Client) -> None:
    """It was written with POST, and of a GET nobody can tell whether its signature covers all of it."""
    url = address_of(client, "ask", ["42"])
    response = client.get(url, load("events_get", "input_dtmf"))
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response.content == b"expected POST at this address, as it was given, got GET\n"
    assert not Call.objects.get().timeline.filter(kind=Kind.EVENT).exists()


@pytest.mark.parametrize("name", UNTAKEN)
def test_event_that_is_no_outcome_is_answered_with_nothing(client: Client, name: str) -> None:
    step, members = UNTAKEN[name], load("events", name)
    reply = send_twice(client, address_of(client, step, EVERY.get(step, [])), members, "POST")
    assert (reply.status_code, reply.content) == (204, b"")
    told = Call.objects.get().timeline.exclude(kind=Kind.ANSWER).get()
    assert (told.text, told.data["raw"]) == (MEANING[name][4], members)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", TAKEN)
def test_failed_event_of_a_step_is_told_and_the_safe_ncco_served(client: Client, name: str, method: str) -> None:
    step, outcome = TAKEN[name]
    url = address_of(client, step, [outcome])
    failed = {"reason": "Socket timeout.", "original_request": {"url": url, "type": "event"}}
    reply = send_twice(client, "/webhooks/fallback", {**load("events", name), **failed}, method)
    assert (reply.status_code, json.loads(reply.content)) == (200, SAFE)
    entry = Call.objects.get().timeline.get(kind=Kind.FALLBACK)
    told = f"an event webhook failed: our server did not answer in time (step {step}). The safe NCCO was served."
    assert entry.text == told
    kept = whole(load("events", name), method)
    assert {name: entry.data["raw"][name] for name in kept} == kept
    assert url.rpartition("/")[2] not in json.dumps(entry.data)
