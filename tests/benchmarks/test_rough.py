"""Rough callers do what their seed says, and what they send is what its name says."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.harness.client import BINARY, FORMAT, TEXT
from benchmarks.harness.rough import DOINGS, ENDINGS, FRAME, HALF_OPEN, burst, manners
from benchmarks.sockets_lost import Ending, Limits, Result, trouble_in


def test_same_seed_makes_the_same_callers_and_another_one_others() -> None:
    assert manners(50, 1) == manners(50, 1) != manners(50, 2)


def test_all_endings_are_as_frequent_and_all_doings_come() -> None:
    every = manners(999, 3)
    assert Counter(each.ending for each in every) == dict.fromkeys(ENDINGS, 333)
    assert {each.doing for each in every} == set(DOINGS)
    assert {(each.eager, each.deaf) for each in every} == set(product((True, False), repeat=2))


def test_burst_is_whole_frames_of_one_size_and_a_cut_one_ends_anywhere() -> None:
    chance = random.Random(1)
    assert burst("burst", 10, chance) == FRAME * 10
    assert FRAME[0] & 0x0F == BINARY
    assert len(FRAME) == FORMAT.frame_bytes + 8
    ends = {len(burst("cut", 10, chance)) % len(FRAME) for _ in range(50)}
    assert len(ends) > 20
    assert all((FRAME * 10).startswith(burst("cut", 10, chance)) for _ in range(5))


def test_floods_are_of_texts_and_of_many_sizes() -> None:
    chance = random.Random(1)
    assert burst("texts", 100, chance)[0] & 0x0F == TEXT
    assert burst("wrong sizes", 100, chance)[0] & 0x0F == BINARY
    assert burst("wrong sizes", 100, chance) != burst("wrong sizes", 100, chance)


def test_what_is_left_fails_and_so_does_what_took_too_long() -> None:
    def failures(silent: float | None = 20.0, dead: int = 0, **ending: Any) -> list[str]:
        left = replace(Ending(3, seconds=1.0), **ending)
        result = Result("daphne", {HALF_OPEN: left}, dead=dead, silent=silent)
        result.judge(Limits())
        return result.failures

    assert failures() == []
    assert failures(left_open=1) == ["half-open: 1 sockets and 0 lines stayed open"]
    assert failures(lines_open=2) == ["half-open: 0 sockets and 2 lines stayed open"]
    too_long = "half-open: it took 41.0 s until nothing was left, expected 40"
    assert failures(seconds=41.0) == [too_long]
    assert failures(dead=1) == ["1 descriptors of dead connections stayed open"]
    assert failures(silent=None) == ["a silent peer was still open after 40 s"]


def test_errors_and_tracebacks_in_the_log_are_trouble_and_warnings_are_not() -> None:
    said = "2026-11-28T23:34:36Z {} callflows.models.jobs: something\n"
    assert trouble_in(said.format("WARNING")) == []
    assert len(trouble_in(said.format("ERROR") + "Traceback (most recent call last):\n")) == 2
    late = "2026-11-28T23:34:36Z ERROR x: call y was served the safe NCCO: no answer within 1.2 s\n"
    assert trouble_in(late) == []
