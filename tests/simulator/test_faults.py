"""Knows what each fault does to a call, in simulated time, and that it is not blamed on the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callflows.simulator.effects import Close, Effect, Opened, Pause, Send
from callflows.simulator.faults import FAULTS, MARK, Wanted, listed, staged
from callflows.simulator.knobs import Knobs
from callflows.simulator.rehearsal import BEGAN, rehearse
from callflows.simulator.scenario import parse
from callflows.simulator.scenario_play import Play
from callflows.simulator.stage import Stage

TO = "447700900001"
SOCKET = {"type": "websocket", "uri": "ws://callflows.example/s", "content-type": "audio/l16;rate=16000"}
ECHO = [{"action": "connect", "eventType": "synchronous", "endpoint": [SOCKET]}]
SORRY = [{"action": "talk", "text": "Sorry."}]
LEG = "leg"


def play(*faults: str, **given: Any) -> Play:
    server = {"answer": ECHO, "fallback": SORRY, "events": {"disconnected": [SORRY], "failed": [SORRY]}}
    scenario = {"calls": [{"to": TO, "stays": 6, "do": [{"tone": 440, "lasts": 6}]}], "server": server, **given}
    return rehearse(parse({**scenario, "faults": list(faults)}, Path()))


def events(found: Play, leg: str = "phone") -> list[str]:
    bodies = [note.data["body"] for note in found.came.notes if note.kind == "event" and note.leg == leg]
    return [str(body.get("status")) for body in bodies]


def texts(found: Play, kind: str) -> list[str]:
    return [note.text for note in found.came.notes if note.kind == kind]


def frames(found: Play) -> int:
    return found.sounds[found.came.legs[0]].frames


def leaving(fault: str, seconds: float = 1.0) -> list[tuple[float, Effect]]:
    """Return what leaves when a socket opens at 0 s, and sends a frame each 20 ms."""
    stage = Stage(BEGAN, faults=staged((Wanted.parse(fault),), Knobs())[0])
    left: list[tuple[float, Effect]] = []
    stage.receive(Opened(LEG), 0.0)
    for place in range(round(seconds * 50)):
        now = place / 50
        stage.emit(Send(LEG, place.to_bytes(2, "big")))
        left += [(now, each) for each in stage.advance(now)]
    return left


@pytest.mark.parametrize("name", FAULTS)
def test_a_call_with_a_fault_ends_and_nobody_is_blamed_for_it(name: str) -> None:
    assert play(name).refusals == ()


def test_an_answer_that_fails_is_the_fallback() -> None:
    found = play("answer-fails")
    assert texts(found, "talk") == ["Sorry."]
    assert any(MARK in each for each in found.stage.refusals)


@pytest.mark.parametrize(
    ("fault", "answered"), [("answer-lost", 1.02), ("slow-answer@2", 2.01), ("slow-answer@6", 11.01)]
)
def test_a_late_answer_makes_the_caller_wait(fault: str, answered: float) -> None:
    leg = (found := play(fault)).stage.legs[found.came.legs[0]]
    assert leg.answered
    assert (leg.answered - BEGAN).total_seconds() == pytest.approx(answered, abs=0.05)


def test_events_come_twice_shuffled_or_with_the_members_of_2020() -> None:
    assert events(play("event-twice"))[:4] == ["started", "started", "ringing", "ringing"]
    assert events(play("events-shuffled"))[:2] == ["ringing", "started"]
    last = [note.data["body"] for note in play("old-payloads").came.notes if note.kind == "event"][-1]
    assert "disconnected_by" not in last


def test_events_are_lost_or_slow_but_keep_their_order() -> None:
    assert events(play("events-lost"))[0] == "started"
    slow = play("slow-events@2")
    assert texts(slow, "event")[0] == "started: HTTP 204 after 2010 ms"
    assert events(slow)[:3] == ["started", "ringing", "answered"]


def test_a_signed_webhook_leaves_unsigned_at_first() -> None:
    assert staged((Wanted.parse("unsigned-first"),), Knobs())[1].unsigned_rate == 1.0


def test_a_refused_socket_runs_the_branch_of_failed() -> None:
    found = play("socket-refused")
    assert "failed" in events(found, "websocket")
    assert texts(found, "talk") == ["Sorry."]


def test_a_socket_that_dies_is_disconnected_and_its_branch_runs() -> None:
    found = play("socket-dies@1.5")
    assert "disconnected" in events(found, "websocket")
    assert texts(found, "talk") == ["Sorry."]
    assert any("1006" in each for each in texts(found, "socket"))
    assert frames(found) < frames(play()) / 2


def test_a_connection_that_breaks_is_broken_at_both_ends() -> None:
    assert Close(LEG, abort=True) in [each for _, each in leaving("socket-dies@0.5")]


def test_a_slow_reader_stops_reading() -> None:
    (paused,) = [at for at, each in leaving("slow-reader@0.5") if isinstance(each, Pause)]
    assert paused == pytest.approx(0.5)
    assert frames(play("slow-reader@2")) < frames(play())


def test_a_socket_that_stalls_sends_no_more_frames() -> None:
    assert [at for at, _ in leaving("socket-stalls@0.5")][-1] == pytest.approx(0.48)


def test_every_tenth_frame_is_lost() -> None:
    assert len(leaving("frames-lost")) == 45


def test_frames_come_in_bursts_in_their_order() -> None:
    left = leaving("frames-in-bursts", 0.4)
    assert [each for _, each in left] == [Send(LEG, place.to_bytes(2, "big")) for place in range(20)]
    assert {round(at, 3) for at, _ in left} == {0.18, 0.38}


def test_odd_messages_arrive_once() -> None:
    odd = [each.message for _, each in leaving("odd-frame@0.5") if isinstance(each, Send) and len(each.message) != 2]
    assert [len(each) for each in odd] == [641]
    words = [each.message for _, each in leaving("rubbish@0.5") if isinstance(each, Send)]
    assert "this is no JSON" in words


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rain", "expected one of answer-fails, "),
        ("socket-dies@", "expected seconds behind the @, such as socket-dies@2.0, got 'socket-dies@'"),
        ("event-twice@2", "expected event-twice without seconds, got 'event-twice@2'"),
    ],
)
def test_a_fault_that_there_is_not_is_refused_with_those_that_there_are(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Wanted.parse(text)


def test_the_table_names_every_fault_with_its_usual_seconds() -> None:
    assert Wanted.parse("socket-dies").seconds == 2.0
    assert all(f"  {name}" in listed() for name in FAULTS)
