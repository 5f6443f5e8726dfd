"""Knows many calls at once, in simulated time: when they start, what is measured, and which limits hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callflows.simulator.account import application
from callflows.simulator.load import Limits, Load, Plan, Report, Spread
from callflows.simulator.rehearsal import BASE, BEGAN, LATENCY, Rehearsal
from callflows.simulator.scenario import parse

TO = "447700900001"
SOCKET = {"type": "websocket", "uri": "ws://callflows.example/s", "content-type": "audio/l16;rate=8000"}
ECHO = [{"action": "connect", "endpoint": [SOCKET]}]
WAIT = [{"action": "wait", "timeout": 60}]
CALM = Spread(100, 1.0, 2.0)
REPORT = Report(10, 5, 0, 0, (), Spread(10, 5.0, 80.0), Spread(10, 5.0, 9.0), Spread(500, 20.0, 23.0), CALM, 1, 2, 0.3)


def loaded(plan: Plan, **given: Any) -> Load:
    given.setdefault("calls", [{"to": TO, "stays": 4, "counts": "answered"}])
    scenario = parse({"server": {"answer": WAIT}, **given}, Path())
    load = Load(plan, scenario, application(BASE, "GET"), BEGAN)
    Rehearsal(load.stage, scenario.server, load).run()
    return load


def test_calls_start_at_the_rate_for_the_seconds() -> None:
    load = loaded(Plan(100, 2.0, 3.0))
    starts = [(load.stage.legs[uuid].created - BEGAN).total_seconds() for (uuid,) in load.starts]
    assert starts == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert load.report(0.1).most_at_once == 6


def test_no_more_calls_run_at_once_than_are_wanted() -> None:
    report = loaded(Plan(3, 2.0, 6.0)).report(0.1)
    assert (report.most_at_once, report.held_back) == (3, 12 - report.calls)
    assert report.calls in (6, 7)


def test_answers_first_sounds_and_frames_are_measured() -> None:
    report = loaded(Plan(5, 5.0, 1.0), server={"answer": ECHO}).report(0.1)
    assert report.answer == Spread(5, LATENCY * 1000, LATENCY * 1000)
    assert report.first_sound.count == 5
    assert report.spacing.p50 == pytest.approx(20, abs=0.1)
    assert report.spacing.count > 5 * 150
    assert (report.failed, report.bad, report.lost) == (0, 0, 0)


def test_all_callers_of_the_scenario_start_together_and_count() -> None:
    calls = [{"to": TO, "stays": 3, "counts": "answered"}, {"to": TO, "at": 1, "stays": 2, "counts": "answered"}]
    load = loaded(Plan(4, 1.0, 2.0), calls=calls)
    assert [len(legs) for legs in load.starts] == [2, 2]
    assert load.report(0.1).calls == 4


def test_calls_that_do_not_meet_the_scenario_fail() -> None:
    report = loaded(Plan(5, 2.0, 1.0), expect=[{"event": "answered"}, {"status": "busy"}]).report(0.1)
    assert report.failed == 2
    assert report.reasons == ("step 2 of expect (status): expected status busy; came completed",)


def test_calls_that_are_refused_or_unanswered_fail() -> None:
    (reason,) = loaded(Plan(5, 1.0, 1.0), server={"answer": [{"action": "pay"}]}).report(0.1).reasons
    assert reason.startswith("answer webhook: Invalid NCCO.")
    assert loaded(Plan(5, 1.0, 1.0), faults=["answer-fails"]).report(0.1).failed == 1


def test_a_load_that_is_stopped_starts_no_more() -> None:
    scenario = parse({"calls": [{"to": TO, "stays": 1}], "server": {"answer": WAIT}}, Path())
    seen: list[int] = []

    def progress(load: Load) -> None:
        seen.append(len(load.starts))
        if load.stage.now >= 2:
            load.stop()

    load = Load(Plan(50, 1.0, 600.0), scenario, application(BASE, "GET"), BEGAN, progress=progress)
    Rehearsal(load.stage, scenario.server, load).run()
    assert len(load.starts) == 3
    assert seen[0] == 1
    assert len(seen) >= 5


def test_own_lateness_is_measured_when_the_time_comes_late() -> None:
    load = Load(
        Plan(1, 1.0, 1.0), parse({"calls": [{"to": TO}], "server": {}}, Path()), application(BASE, "GET"), BEGAN
    )
    load.stage.advance(0.0)
    load.stage.advance(0.6)
    assert load.report(0.0).own_lateness.p99 == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (REPORT, ""),
        (replace(REPORT, own_lateness=Spread(9, 5.0, 31.0)), "its own work was 31 ms late"),
        (replace(REPORT, busy=0.97), "it took 97% of a processor"),
    ],
)
def test_a_load_says_when_it_was_the_bottleneck_itself(report: Report, told: str) -> None:
    assert told in report.bottleneck
    assert bool(told) == bool(report.bottleneck)


@pytest.mark.parametrize(
    ("limits", "beyond"),
    [
        (Limits(), []),
        (Limits(80, 9, 23, 3, 0), []),
        (Limits(answer=50), ["answer, p99 in ms: expected at most 50, got 80"]),
        (Limits(first_sound=8.5), ["first sound, p99 in ms: expected at most 8.5, got 9"]),
        (Limits(spacing=22), ["frame spacing, p99 in ms: expected at most 22, got 23"]),
        (Limits(frames=2), ["bad or lost frames: expected at most 2, got 3"]),
        (Limits(failed=-1), ["failed calls: expected at most -1, got 0"]),
    ],
)
def test_what_is_beyond_a_limit_is_told(limits: Limits, beyond: list[str]) -> None:
    assert REPORT.beyond(limits) == beyond


def test_what_was_never_measured_is_beyond_its_limit() -> None:
    silent = replace(REPORT, first_sound=Spread.of([]))
    assert silent.beyond(Limits(first_sound=100)) == ["first sound, p99 in ms: expected at most 100, got none"]
    assert "First sound     none" in str(silent)
