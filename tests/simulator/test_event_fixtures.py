"""Knows that every event of the contract's fixtures is produced by some call, field for field but for ids and times."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from callflows.simulator.effects import Closed
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour, Keys, Step
from tests.simulator.tones import voice
from tests.simulator.world import CALLEE, NUMBER, PAYLOADS, World, payload

OLD = Knobs(payload_generation="2020")
NEW = Knobs(detail_generation="carrier_timeout")
# What no fake needs to send: an action that is gone, and a status that does not exist.
LEFT_OUT = {
    "payment_legacy": "of the action `pay`, which Vonage is removing: the fake refuses it",
    "future_unknown_status": "a status that does not exist yet, for those who read events",
}
# Ids, times and sizes.
ASIDE = {
    *("uuid", "call_uuid", "conversation_uuid", "conversation_uuid_from", "conversation_uuid_to", "timestamp"),
    *("start_time", "end_time", "recording_url", "recording_uuid", "size", "transcription_url"),
}
SOCKET = {
    "action": "connect",
    "from": NUMBER,
    "endpoint": [
        {
            "type": "websocket",
            "uri": "wss://bot.example.com/ws/call",
            "headers": {"call_ref": "ref-20931", "caller-id": "447700900111"},
        }
    ],
}
WAIT = {"action": "wait", "timeout": 60}
OUT = {"action": "connect", "from": NUMBER, "endpoint": [{"type": "phone", "number": CALLEE}]}


def called(knobs: Knobs = OLD, seconds: float = 5.0, *document: Any, **options: Any) -> World:
    """Somebody calls and stays so many seconds after the answer."""
    behaviour = options.pop("behaviour", Behaviour(seconds=seconds, counts="answered"))
    world = World(list(document) or [WAIT], knobs=knobs, **options)
    world.call_in(behaviour)
    world.go()
    return world


def pressed(keys: str, **options: Any) -> World:
    kinds = options.pop("kinds", ["dtmf"])
    asking = {"action": "input", "type": kinds, **({"dtmf": options} if "mode" not in options else options)}
    return called(OLD, 0, asking, WAIT, behaviour=Behaviour(seconds=20.0, steps=(Step(Keys(keys), 0.5),)))


def spoken(who: Behaviour) -> World:
    return called(OLD, 0, {"action": "input", "type": ["speech"]}, behaviour=who)


def dialled(callee: Behaviour, knobs: Knobs = OLD, patience: float = 80.0, **options: Any) -> World:
    """Somebody is called by a caller's document."""
    world = World([{**OUT, **options}], knobs=knobs)
    world.platform.parties[CALLEE] = callee
    world.call_in(Behaviour(seconds=patience, counts="answered"))
    world.go()
    return world


def machine(callee: Behaviour) -> World:
    return dialled(callee, advancedMachineDetection={"mode": "default"})


def recorded(**options: Any) -> World:
    return called(OLD, 19.0, {"action": "record", **options}, WAIT)


def bot(app: Any, **options: Any) -> World:
    return called(OLD, 38.0, SOCKET, app=app, **options)


def silent(message: str | bytes) -> list[str | bytes | Closed]:
    return []


def closing(message: str | bytes) -> list[str | bytes | Closed]:
    return [Closed("", 1000)]


MACHINE = Behaviour(machine=True, beep=3.0)
SCENARIOS: dict[str, Callable[[], World]] = {
    "answered_outbound": lambda: dialled(Behaviour(seconds=1.0)),
    "ringing_outbound": lambda: dialled(Behaviour(seconds=1.0)),
    "busy": lambda: dialled(Behaviour(outcome="busy")),
    "cancelled": lambda: dialled(Behaviour(rings=None), patience=3.0),
    "completed": lambda: called(OLD, 39.0),
    "completed_2026": lambda: called(NEW, 39.0),
    "completed_by_platform_2026": lambda: called(NEW, 99.0, {"action": "wait", "timeout": 27}),
    "error_invalid_ncco": lambda: called(OLD, 1.0, {"action": "pay"}),
    "failed_cannot_route": lambda: dialled(Behaviour(outcome="no route")),
    "failed_number_out_of_service_2026": lambda: dialled(Behaviour(outcome="out of service"), NEW),
    "input_async_single_digit": lambda: pressed("7", mode="asynchronous"),
    "input_dtmf_docs_form": lambda: pressed("1234", kinds=["dtmf", "speech"], maxDigits=5),
    "input_dtmf_nothing_pressed": lambda: pressed(""),
    "input_speech": lambda: spoken(Behaviour(voice=voice(440.0, 1.0), text="book a table|look at table")),
    "input_speech_start_timeout": lambda: spoken(Behaviour()),
    "machine": lambda: machine(MACHINE),
    "machine_beep_start": lambda: machine(MACHINE),
    "machine_beep_timeout": lambda: machine(Behaviour(machine=True)),
    "notify": lambda: called(
        OLD,
        1.0,
        {"action": "notify", "payload": {"step": "greeting_done", "ref": 20931}, "eventUrl": ["http://app.example/e"]},
    ),
    "record": recorded,
    "record_empty": lambda: called(OLD, 0.0, {"action": "record"}, behaviour=Behaviour()),
    "rejected_declined_2026": lambda: dialled(Behaviour(outcome="declines"), NEW),
    "started": called,
    "timeout": lambda: dialled(Behaviour(rings=None)),
    "transcribed": lambda: recorded(transcription={}),
    "transfer": lambda: called(OLD, 3.0, {"action": "conversation", "name": "room"}),
    "unanswered_carrier_timeout_2026": lambda: dialled(Behaviour(outcome="carrier timeout"), NEW),
    "unanswered_timeout": lambda: dialled(Behaviour(outcome="carrier timeout")),
    "websocket_answered": lambda: bot(silent),
    "websocket_completed": lambda: bot(silent),
    "websocket_disconnected": lambda: bot(closing),
    "websocket_started": lambda: bot(silent),
    "websocket_unanswered": lambda: called(OLD, 38.0, {**SOCKET, "timeout": 20}, handshakes=False),
}


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A body whose ids and times are only their types."""
    return {name: type(value).__name__ if name in ASIDE else value for name, value in body.items()}


@pytest.mark.parametrize("name", sorted(path.stem for path in (PAYLOADS / "events").glob("*.json")))
def test_an_event_of_the_fixtures_is_produced(name: str) -> None:
    if name in LEFT_OUT:
        assert name not in SCENARIOS
        return
    expected = plain(payload(f"events/{name}"))
    found = [plain(body) for body in SCENARIOS[name]().events()]
    assert expected in found, json.dumps(found, indent=1)
