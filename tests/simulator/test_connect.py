"""Knows legs that are called: endpoints, who answers and who does not, machines, and the events of each."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.audio.files import wav_bytes
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour, Keys, Step
from tests.simulator.tones import hears, voice
from tests.simulator.world import CALLEE, NUMBER, PHONE, World, connect, payload, shape

ANNA, BERT, RINGBACK = 440.0, 700.0, 1500.0
CHAIN = ["started", "ringing", "answered"]
GOODBYE = [{"action": "talk", "text": "Goodbye."}]
CALLER = Behaviour(seconds=20.0)


def out(world: World) -> list[dict[str, Any]]:
    """The events of the leg that was called."""
    return [body for body in world.events() if body.get("to") != NUMBER and ("to" in body)]


def names(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["status"] for body in bodies]


def called(callee: Behaviour, *document: Any, **options: Any) -> World:
    """A caller whose document connects him to somebody who does something."""
    replies, knobs = options.pop("replies", None), options.pop("knobs", None)
    world = World(list(document) or [connect(**options)], replies=replies, knobs=knobs)
    world.platform.parties[CALLEE] = callee
    world.call_in(CALLER)
    world.go()
    return world


# Endpoints


@pytest.mark.parametrize(
    ("endpoint", "to", "kind"),
    [
        (PHONE, CALLEE, "phone"),
        ({"type": "phone", "number": f"+{CALLEE}"}, CALLEE, "phone"),
        ({"type": "app", "user": "ada"}, "ada", "app"),
        ({"type": "sip", "uri": "sip:bob@pbx.example"}, "sip:bob@pbx.example", "sip"),
        ({"type": "sip", "domain": "acme", "user": "bob"}, "sip:bob@acme", "sip"),
        ({"type": "vbc", "extension": "1234"}, "1234", "vbc"),
    ],
)
def test_each_kind_of_endpoint_answers_and_both_hear_each_other(endpoint: Any, to: str, kind: str) -> None:
    world = World([connect(endpoint)])
    world.platform.parties[to] = Behaviour(voice=voice(BERT), seconds=4.0)
    anna = world.call_in(Behaviour(voice=voice(ANNA), seconds=20.0))
    world.go()
    leg = next(leg for leg in world.platform.legs.values() if leg is not anna.leg)
    assert (leg.kind, leg.to, leg.from_, leg.direction) == (kind, to, NUMBER, "outbound")
    assert hears(world.sounds[anna.leg.uuid], ANNA, BERT) == {BERT}
    assert hears(world.sounds[leg.uuid], ANNA, BERT) == {ANNA}
    assert names(world.events(leg.uuid)) == [*CHAIN, "completed"]
    assert leg.conversation == anna.leg.conversation
    assert world.events()[-1]["disconnected_by"] == "platform"


def test_headers_of_a_sip_endpoint_are_in_its_events() -> None:
    world = World([connect({"type": "sip", "uri": "sip:bob@pbx.example", "headers": {"ref": "7"}})])
    world.call_in(Behaviour(seconds=3.0))
    world.go()
    assert world.events("sip")[0]["headers"] == {"ref": "7"}


def test_a_number_of_the_application_can_be_chosen_at_random() -> None:
    document = {key: value for key, value in connect(randomFromNumber=True).items() if key != "from"}
    world = called(Behaviour(seconds=1.0), document)
    assert out(world)[0]["from"] == NUMBER


# Who does not answer


@pytest.mark.parametrize(
    ("outcome", "chain", "example"),
    [
        ("busy", ["started", "busy", "completed"], "busy"),
        ("declines", ["started", "ringing", "rejected"], "rejected_declined_2026"),
        ("restricted", ["started", "rejected"], "rejected_declined_2026"),
        ("invalid number", ["started", "rejected"], "rejected_declined_2026"),
        ("unavailable", ["started", "unanswered", "completed"], "unanswered_carrier_timeout_2026"),
        ("carrier timeout", [*CHAIN[:2], "unanswered", "completed"], "unanswered_carrier_timeout_2026"),
        ("no route", ["started", "failed", "completed"], "failed_number_out_of_service_2026"),
        ("out of service", ["started", "failed", "completed"], "failed_number_out_of_service_2026"),
        ("internal error", ["started", "failed", "completed"], "failed_number_out_of_service_2026"),
    ],
)
def test_who_does_not_answer_has_an_event_with_the_fields_of_a_real_one(
    outcome: Any, chain: list[str], example: str
) -> None:
    world = called(Behaviour(outcome=outcome), connect(), *GOODBYE)
    assert names(out(world)) == chain
    body = next(body for body in out(world) if body["status"] not in (*CHAIN, "completed"))
    expected = payload(f"events/{example}")
    assert shape(body) == {"sip_code": "int", **shape(expected)}
    if outcome in ("declines", "out of service"):
        assert (body["detail"], body["sip_code"]) == (expected["detail"], expected["sip_code"])
    assert world.noted("talk") == ["Goodbye."]


@pytest.mark.parametrize(
    ("outcome", "status", "detail"),
    [
        ("restricted", "rejected", "restricted"),
        ("invalid number", "rejected", "invalid_number"),
        ("unavailable", "unanswered", "unavailable"),
        ("carrier timeout", "unanswered", "timeout"),
        ("no route", "failed", "cannot_route"),
        ("internal error", "failed", "internal_error"),
    ],
)
def test_each_outcome_has_its_detail(outcome: Any, status: str, detail: str) -> None:
    world = called(Behaviour(outcome=outcome))
    assert world.event(status)["detail"] == detail


def test_the_newer_name_of_a_silent_carrier() -> None:
    world = called(Behaviour(outcome="carrier timeout"), knobs=Knobs(detail_generation="carrier_timeout"))
    assert world.event("unanswered")["detail"] == "carrier_timeout"


def test_who_never_answers_times_out() -> None:
    world = called(Behaviour(rings=None), connect(timeout=7), *GOODBYE)
    assert shape(world.event("timeout")) == shape(payload("events/timeout"))
    assert names(out(world)) == ["started", "ringing", "timeout", "completed"]
    assert world.event("completed", out(world)[0]["uuid"])["duration"] == "0"


def test_a_caller_who_gives_up_cancels_the_other_leg() -> None:
    world = World([connect()])
    world.platform.parties[CALLEE] = Behaviour(rings=None)
    world.call_in(Behaviour(seconds=3.0, counts="answered"))
    world.go()
    assert names(out(world)) == ["started", "ringing", "cancelled", "completed"]
    assert shape(world.event("cancelled")) == shape(payload("events/cancelled"))


@pytest.mark.parametrize("status", ["busy", "unanswered", "failed", "rejected", "timeout"])
def test_a_synchronous_connect_asks_what_to_do_instead(status: str) -> None:
    outcomes: dict[str, Any] = {
        "busy": Behaviour(outcome="busy"),
        "unanswered": Behaviour(outcome="unavailable"),
        "failed": Behaviour(outcome="no route"),
        "rejected": Behaviour(outcome="declines"),
        "timeout": Behaviour(rings=None),
    }
    asked = called(outcomes[status], eventType="synchronous", replies={status: [GOODBYE]})
    assert asked.noted("talk") == ["Goodbye."]
    silent = called(outcomes[status], replies={status: [GOODBYE]})
    assert silent.noted("talk") == []


def test_one_after_the_other_is_tried() -> None:
    other = {"type": "phone", "number": "447700900333"}
    world = called(Behaviour(outcome="busy"), connect(), connect(other))
    assert [body["to"] for body in world.events() if body["status"] == "answered"][1:] == ["447700900333"]


# Together


def test_a_connection_lasts_no_longer_than_its_limit() -> None:
    world = called(Behaviour(), connect(limit=3), *GOODBYE)
    assert out(world)[-1]["duration"] == "3"
    assert world.noted("talk") == ["Goodbye."]


RINGING = "http://app.example/ringback.wav"


@pytest.mark.parametrize("tone", [RINGING, [RINGING]])
def test_the_caller_hears_a_tone_until_the_other_one_answers(tone: object) -> None:
    world = World([connect(ringbackTone=tone)], files={RINGING: wav_bytes(voice(RINGBACK, 0.5).pcm[16000], 16000)})
    world.platform.parties[CALLEE] = Behaviour(rings=3.0, seconds=2.0)
    anna = world.call_in(Behaviour(seconds=20.0))
    world.go()
    assert len(world.sounds[anna.leg.uuid].of("ringback")) / 2 / 16000 == pytest.approx(3.0, abs=0.1)


def test_an_empty_list_is_no_tone() -> None:
    world = called(Behaviour(rings=3.0, seconds=2.0), connect(ringbackTone=[]))
    assert (world.platform.refusals, names(out(world))[:3]) == ([], CHAIN)


def test_a_callee_hears_his_own_document_first_and_the_caller_does_not() -> None:
    whisper = {**PHONE, "onAnswer": {"url": "http://app.example/whisper"}}
    world = World([connect(whisper)], pages={"whisper": [{"action": "talk", "text": "x" * 30}]})
    world.platform.parties[CALLEE] = Behaviour(voice=voice(BERT), seconds=2.0)
    anna = world.call_in(Behaviour(voice=voice(ANNA), seconds=20.0))
    world.go()
    callee = next(leg.uuid for leg in world.platform.legs.values() if leg.to == CALLEE)
    assert [run[0] for run in world.sounds[callee].runs] == ["talk", "phone"]
    assert [run[0] for run in world.sounds[anna.leg.uuid].runs] == ["phone"]
    asked = next(fetch for fetch in world.requests if fetch.url.endswith("whisper"))
    assert (asked.method, asked.query["uuid"], asked.query["to"]) == ("GET", callee, CALLEE)


def test_keys_are_pressed_towards_who_answers() -> None:
    world = called(Behaviour(seconds=5.0), connect({**PHONE, "dtmfAnswer": "p12#"}))
    assert world.noted("dtmf") == ["1", "2", "#"]


def test_more_than_three_calls_a_second_are_an_error_event() -> None:
    others = [connect({"type": "phone", "number": f"44770090033{each}"}) for each in range(5)]
    world = World(others)
    for each in range(5):
        world.platform.parties[f"44770090033{each}"] = Behaviour(outcome="busy", rings=0.0)
    call = world.call_in(CALLER)
    world.go()
    assert len([body for body in world.events() if "reason" in body]) == 2
    assert len(call.refusals) == 2


# Calls out


def test_a_call_out_asks_its_answer_url_when_it_is_answered() -> None:
    world = World()
    world.pages["hello"] = GOODBYE
    call = world.create(answer_url=["http://app.example/hello"], event_url=["http://app.example/own"])
    world.go()
    asked = next(fetch for fetch in world.requests if fetch.url.endswith("hello"))
    assert (asked.query["to"], asked.query["from"], asked.query["uuid"]) == (CALLEE, NUMBER, call.leg.uuid)
    assert world.names() == [*CHAIN, "completed"]
    assert {fetch.url for fetch in world.requests if fetch.body} == {"http://app.example/own"}
    for name, example in (("ringing", "ringing_outbound"), ("answered", "answered_outbound")):
        assert shape(world.event(name)) == shape(payload(f"events/{example}"))
    assert world.noted("talk") == ["Goodbye."]


def test_a_call_out_runs_the_document_that_came_with_it() -> None:
    world = World()
    world.create(ncco=GOODBYE)
    world.go()
    assert world.noted("talk") == ["Goodbye."]
    assert not [fetch for fetch in world.requests if fetch.url.endswith("answer")]


def test_an_invalid_document_of_a_call_out_is_an_error_event_and_the_end() -> None:
    world = World()
    world.create(ncco=[{"action": "hangup"}])
    world.go()
    assert "Syntax error" in world.event("error")["reason"]
    assert world.names()[-1] == "completed"


def test_a_call_out_that_is_busy_says_so_and_is_over() -> None:
    world = World()
    world.platform.parties[CALLEE] = Behaviour(outcome="busy")
    call = world.create(ncco=GOODBYE)
    world.go()
    assert world.names() == ["started", "busy", "completed"]
    assert (call.leg.status, call.leg.seconds, call.leg.price) == ("busy", 0, "0.00000000")


def test_a_call_out_rings_no_longer_than_its_timer() -> None:
    world = World()
    world.platform.parties[CALLEE] = Behaviour(rings=None)
    world.create(ncco=GOODBYE, ringing_timer=12)
    world.go()
    assert world.names() == ["started", "ringing", "timeout", "completed"]
    assert world.platform.now == pytest.approx(12.03, abs=0.05)


def test_a_call_out_lasts_no_longer_than_its_length() -> None:
    world = World()
    world.create(ncco=[{"action": "talk", "text": "x" * 900}], length_timer=5)
    world.go()
    assert world.events()[-1]["duration"] == "5"


def test_a_socket_is_called_out_and_its_document_asked_with_its_uuid() -> None:
    request = payload("rest/create_call_request_websocket")
    world = World(app=lambda message: [])
    world.pages["answer"] = [{"action": "talk", "text": "x" * 15}]
    uuid = world.create(**{**request, "answer_url": ["http://app.example/answer"]}).leg.uuid
    world.go()
    asked = next(fetch for fetch in world.requests if fetch.url.endswith("answer"))
    assert (asked.query["uuid"], asked.query["endpoint_type"]) == (uuid, "websocket")
    assert len([each for each in world.sent if isinstance(each, bytes)]) == pytest.approx(50, abs=2)


def test_a_callee_is_asked_for_a_key_before_he_is_connected() -> None:
    asking = [{"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}}]
    world = World([connect({**PHONE, "onAnswer": {"url": "http://app.example/whisper"}})], pages={"whisper": asking})
    world.platform.parties[CALLEE] = Behaviour(seconds=2.0, steps=(Step(Keys("1"), 0.5, "input"),))
    world.call_in(CALLER)
    world.go()
    assert world.event("input")["dtmf"] == {"digits": "1", "timed_out": False}
    assert world.event("input")["to"] == CALLEE
