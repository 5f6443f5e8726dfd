"""How regularly frames came, by the words of the definition: each number here is worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from callflows.audio.lag import Lag
from callflows.audio.timing import MOST_GAPS, Gap, Second, Timing, TimingFile, summarize, timing_path

FRAME = 0.02


class Stalls:
    """A loop that was late from-to, in seconds."""

    def __init__(self, *stalls: tuple[float, float]) -> None:
        self.stalls = stalls

    def was_late(self, start: float, end: float) -> bool:
        return any(begun < end and ended > start for begun, ended in self.stalls)

    def hung_at(self, past: float) -> bool:
        return False

    def worst(self, start: float, end: float) -> float:
        return max((ended - begun for begun, ended in self.stalls if begun < end and ended > start), default=0.0)


def measured(arrivals: list[float], end: float, loop: Stalls | Lag | None = None, every: float = 0.5) -> list[Second]:
    """Measure frames as they come, asking as often as the writer does."""
    timing, found, asked = Timing(0.0, loop), list[Second](), every
    for at in arrivals:
        while at > asked:
            found += timing.seconds(asked)
            asked += every
        timing.heard(at)
    return found + timing.seconds(end, final=True)


def steady(seconds: float, start: float = 0.0) -> list[float]:
    return [start + number * FRAME for number in range(round(seconds / FRAME))]


def test_steady_frames_have_neither_lateness_nor_jitter_nor_gaps() -> None:
    found = measured(steady(3), 3.0)
    assert [each.at for each in found] == [0, 1, 2]
    # A frame at the very end of a second may fall on either side of it: sums of 0.02 are not exact.
    assert sum(each.frames for each in found) == 150
    assert {(each.late, each.jitter, each.gaps, each.bursts, each.burst, each.lag) for each in found} == {
        (0.0, 0.0, (), 0, 0, None)
    }


def test_lateness_is_arrival_less_number_times_20_ms_less_its_least() -> None:
    arrivals = steady(4)
    arrivals[70] += 0.013
    found = measured(arrivals, 4.0)
    assert [each.late for each in found] == [0.0, 13.0, 0.0, 0.0]


def test_least_is_that_of_the_minute_before_and_no_longer() -> None:
    """From second 10 on all frames come 15 ms later: late for a minute, and then that is how they come."""
    arrivals = [at + (0.015 if at >= 10 else 0) for at in steady(80)]
    late = [each.late for each in measured(arrivals, 80.0)]
    assert late == [0.0] * 10 + [15.0] * 60 + [0.0] * 10


def test_lateness_by_chance_is_that_of_the_definition() -> None:
    chance = random.Random(3)
    arrivals = sorted(at + chance.expovariate(200) for at in steady(66))
    raw = [at - number * FRAME for number, at in enumerate(arrivals)]
    for second in measured(arrivals, 66.0):
        mine = [number for number, at in enumerate(arrivals) if second.at <= at < second.at + 1]
        late = [
            raw[number] - min(raw[other] for other in range(number + 1) if arrivals[other] >= arrivals[number] - 60)
            for number in mine
        ]
        assert second.frames == len(mine)
        assert second.late == round(max(late) * 1000, 1)


def test_jitter_is_p95_less_p5_of_a_second() -> None:
    # Of 50 frames 5 are 10 ms late, and 5 are 4 ms late: p95 is 10, p5 is 0.
    arrivals = [at + {9: 0.010, 4: 0.004}.get(number % 10, 0.0) for number, at in enumerate(steady(1))]
    (second,) = measured(arrivals, 1.0)
    assert second.jitter == 10.0
    # One frame in 50 is no p95.
    arrivals = steady(1)
    arrivals[25] += 0.010
    assert measured(arrivals, 1.0)[0].jitter == 0.0


@pytest.mark.parametrize(("missing", "gaps"), [(2, ()), (3, (Gap(0.98, 80.0, False),))])
def test_gap_is_no_frame_for_more_than_60_ms(missing: int, gaps: tuple[Gap, ...]) -> None:
    arrivals = steady(2)
    del arrivals[50 : 50 + missing]
    found = measured(arrivals, 2.0)
    assert tuple(gap for second in found for gap in second.gaps) == gaps


def test_gap_over_several_seconds_is_one_and_stands_where_it_ended() -> None:
    found = measured(steady(1) + steady(1, start=4.5), 5.5)
    assert [(each.at, each.frames, each.gaps) for each in found if each.gaps or not each.frames] == [
        (1, 0, ()),
        (2, 0, ()),
        (3, 0, ()),
        (4, 25, (Gap(0.98, 3520.0, False),)),
    ]
    assert found[2].late is None
    assert found[2].jitter is None


def test_silence_at_the_beginning_and_at_the_end_are_gaps() -> None:
    found = measured(steady(1, start=0.5), 3.2)
    assert [gap for second in found for gap in second.gaps] == [Gap(0.0, 500.0, False), Gap(1.48, 1720.0, False)]
    assert [gap for second in measured([], 2.0) for gap in second.gaps] == [Gap(0.0, 2000.0, False)]


@pytest.mark.parametrize("apart", [0.0, 0.001, 0.0025])
def test_burst_is_three_frames_within_5_ms(apart: float) -> None:
    """500 ms without a frame, then all 25 of them; they follow each other in at most 2.5 ms."""
    late = [1.5 + number * apart for number in range(25)]
    found = measured([*steady(1), *late, *steady(1, start=1.6)], 2.6)
    assert [(each.bursts, each.burst) for each in found] == [(0, 0), (1, 25), (0, 0)]


def test_two_frames_at_once_and_three_within_6_ms_are_none() -> None:
    arrivals = steady(1)
    arrivals[20] = arrivals[21]
    arrivals[30:33] = [0.640, 0.643, 0.646]
    assert measured(arrivals, 1.0)[0].bursts == 0


def test_burst_over_the_end_of_a_second_is_one() -> None:
    arrivals = [*steady(0.5), *(0.998 + number / 1000 for number in range(5)), 1.05]
    found = measured(arrivals, 1.2)
    assert [each.bursts for each in found] == [0, 1]
    assert max(each.burst for each in found) == 5


def test_gap_while_our_own_loop_was_late_is_ours() -> None:
    arrivals = steady(1) + steady(1, start=1.1) + steady(1, start=2.2)
    found = measured(arrivals, 3.2, Stalls((1.0, 1.09), (2.19, 2.195)))
    assert [gap.ours for second in found for gap in second.gaps] == [True, True]
    found = measured(arrivals, 3.2, Stalls((1.0, 1.09), (2.5, 2.6)))
    assert [gap.ours for second in found for gap in second.gaps] == [True, False]
    assert [second.lag for second in found] == [0.0, 90.0, 100.0, 0.0]


@pytest.mark.parametrize(("hang", "ours"), [(0.0, False), (0.015, False), (0.5, True)])
def test_gap_of_a_real_lag_is_ours_even_before_it_is_counted(hang: float, ours: bool) -> None:
    """Frames wait for 500 ms, and all are read at once: because the loop hung, or because none came."""
    lag, now = Lag(0.0), 0.0
    while now < 1.5 - hang:
        now = max(now, lag.beat(now))
    found = measured([*steady(1), *[1.5] * 25], 1.5, lag)
    assert [gap.ours for second in found for gap in second.gaps] == [ours]
    assert (found[1].lag or 0) >= (hang - 0.01) * 1000


def test_memory_is_a_minute_of_numbers() -> None:
    timing = Timing(0.0)
    for number, at in enumerate(steady(600)):
        timing.heard(at)
        if number % 25 == 0:
            timing.seconds(at)
    assert len(timing._arrivals) <= 75
    assert timing._times.size == timing._raw.size <= 3051


def test_measures_are_lines_of_json_that_a_summary_is_made_of(tmp_path: Path) -> None:
    path = timing_path(tmp_path / "call.wav")
    arrivals = [*steady(1), *[2.3] * 30, *steady(2, start=2.4)]
    seconds = measured(arrivals, 4.4, Stalls((1.0, 1.03)))
    file = TimingFile(path)
    file.write(seconds[:2])
    file.write(seconds[2:])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["frames"] for line in path.read_text().splitlines()] == [50, 0, 60, 50, 20]
    file.close()
    found = summarize(path)
    assert (found.seconds, found.frames, found.gaps, found.ours, found.bursts, found.burst) == (5, 180, 2, 1, 1, 30)
    assert (found.lag, found.longest[0]) == (30.0, {"at": 0.98, "ms": 1320.0, "ours": True})
    assert found.late == pytest.approx(1300.0)
    assert found.worst_jitter > 200
    assert found.jitter < 200


def test_half_a_line_that_a_killed_writer_left_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    file = TimingFile(path)
    file.write(measured(steady(3), 3.0))
    file.close()
    whole = summarize(path)
    for end in ('{"at":3,"fra', "17\n", '{"at":3}\n', "\0\0\0\0"):
        path.write_text(path.read_text() + end)
        assert summarize(path) == whole
    path.write_text("")
    assert summarize(path).seconds == 0


def test_summary_names_the_longest_gaps_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    file = TimingFile(path)
    gaps = [Gap(float(at), 100.0 + at % 7, False) for at in range(100)]
    empty = Second(0, 0, None, None, (), 0, 0, None)
    file.write(dataclasses.replace(empty, at=int(gap.at), gaps=(gap,)) for gap in gaps)
    file.close()
    found = summarize(path)
    assert found.gaps == 100
    assert len(found.longest) == MOST_GAPS
    assert min(gap["ms"] for gap in found.longest) >= 105
    assert all(one["at"] < other["at"] for one, other in pairwise(found.longest))
