"""Knows what is told of answering machines, and what may be done about them."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.simulator.party import Behaviour
from tests.simulator.tones import voice
from tests.simulator.world import CALLEE, World, connect, payload, shape

BERT = 700.0
CHAIN = ["started", "ringing", "answered"]
GOODBYE = [{"action": "talk", "text": "Goodbye."}]


MACHINE = Behaviour(machine=True, beep=4.0, voice=voice(BERT, 3.0))
LATE = Behaviour(machine=True, beep=None)


def detection(mode: str, behavior: str = "continue") -> dict[str, Any]:
    return {"advancedMachineDetection": {"mode": mode, "behavior": behavior, "beep_timeout": 45}}


def called(callee: Behaviour, *document: Any, **options: Any) -> World:
    """A caller of 20 s whose document connects him to somebody."""
    world = World(list(document), **options)
    world.platform.parties[CALLEE] = callee
    world.call_in(Behaviour(seconds=20.0))
    world.go()
    return world


def sub_states(world: World) -> list[tuple[str, str]]:
    return [(body["status"], body.get("sub_state", "")) for body in world.events() if "call_uuid" in body]


@pytest.mark.parametrize(
    ("who", "options", "expected"),
    [
        (MACHINE, {"machineDetection": "continue"}, [("machine", "")]),
        (Behaviour(), {"machineDetection": "continue"}, [("human", "")]),
        (MACHINE, detection("detect"), [("machine", "")]),
        (Behaviour(), detection("detect"), [("human", "")]),
        (MACHINE, detection("detect_beep"), [("machine", "beep_start")]),
        (MACHINE, detection("default"), [("machine", ""), ("machine", "beep_start")]),
        (LATE, detection("default"), [("machine", ""), ("machine", "beep_timeout")]),
    ],
)
def test_what_is_told_of_machines(who: Behaviour, options: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    world = World([connect(**options)])
    world.platform.parties[CALLEE] = who
    world.call_in(Behaviour(seconds=60.0, counts="answered"))
    world.go()
    assert sub_states(world) == expected
    examples = {"": "machine", "beep_start": "machine_beep_start", "beep_timeout": "machine_beep_timeout"}
    for body in (body for body in world.events() if "call_uuid" in body):
        assert shape(body) == shape(payload(f"events/{examples[body.get('sub_state', '')]}"))


@pytest.mark.parametrize("options", [{"machineDetection": "hangup"}, detection("detect", "hangup")])
def test_a_machine_can_be_hung_up_on(options: dict[str, Any]) -> None:
    world = called(MACHINE, connect(**options), *GOODBYE)
    assert sub_states(world) == [("machine", "")]
    assert world.noted("talk") == ["Goodbye."]


def test_in_the_default_mode_the_reply_to_a_machine_replaces_the_document() -> None:
    world = called(MACHINE, connect(**detection("default")), replies={"machine": [None, GOODBYE]})
    assert world.noted("talk") == ["Goodbye."]
    world = called(MACHINE, connect(**detection("detect")), replies={"machine": [GOODBYE]})
    assert world.noted("talk") == []


@pytest.mark.parametrize("mode", ["detect", "detect_beep", "default"])
def test_the_document_of_a_call_out_begins_when_a_machine_is_known_but_in_the_default_mode(mode: str) -> None:
    world = World()
    world.platform.parties[CALLEE] = MACHINE
    options = {"mode": mode, "behavior": "continue"}
    world.create(ncco=[{"action": "talk", "text": "x" * 150}], advanced_machine_detection=options)
    world.go()
    begins = next(note.t for note in world.notes if note.kind == "talk")
    assert begins == pytest.approx({"detect": 3.0, "detect_beep": 5.4, "default": 1.0}[mode], abs=0.05)


def test_a_message_is_left_after_the_beep() -> None:
    world = World()
    world.platform.parties[CALLEE] = MACHINE
    message = [{"action": "talk", "text": "x" * 60}]
    detect = {"mode": "default", "behavior": "continue"}
    world.replies = {"machine": [None, message]}
    world.create(ncco=[{"action": "wait", "timeout": 60}], advanced_machine_detection=detect)
    world.go()
    assert [note.t for note in world.notes if note.kind == "talk"] == [pytest.approx(5.41, abs=0.05)]
