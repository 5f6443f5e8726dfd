"""When a worker is too late for another call, in virtual time."""

from __future__ import annotations

import pytest

from callflows.audio.lag import BEAT_SECONDS, WINDOWS, Lag


def run(lag: Lag, start: float, seconds: float, hang: float = 0.0, every: float = 1.0) -> float:
    """Let a loop come by when it should, but for a hang now and then; return the time."""
    now, hangs_at = start, start + every / 2
    end = start + seconds
    while now < end:
        now = max(lag.beat(now), now)
        if hang and now >= hangs_at:
            now += hang
            hangs_at += every
    return now


def test_loop_on_time_is_well() -> None:
    lag = Lag(0.0)
    run(lag, 0.0, 60)
    assert not lag.overloaded
    assert lag.p99 < 1e-6


def test_five_seconds_of_lag_refuse_and_five_good_ones_take_calls_again() -> None:
    lag = Lag(0.0)
    now = run(lag, 0.0, 10)
    now = run(lag, now, 3.9, hang=0.05, every=0.2)
    seen = [lag.overloaded]
    now = run(lag, now, 2.2, hang=0.05, every=0.2)
    seen.append(lag.overloaded)
    assert 0.02 < lag.p99 <= 0.051
    now = run(lag, now, 4.5)
    seen.append(lag.overloaded)
    run(lag, now, 1.6)
    assert [*seen, lag.overloaded] == [False, True, True, False]


def test_one_hang_refuses_nobody_however_long_it_is_while_it_lasts_less_than_all_windows() -> None:
    for hang in (0.1, 1.0, 3.9):
        lag = Lag(0.0)
        run(lag, 0.0, 30, hang=hang, every=29)
        assert not lag.overloaded


def test_hang_of_more_than_all_windows_refuses_until_five_good_seconds_have_passed() -> None:
    lag = Lag(0.0)
    now = run(lag, 0.0, 1.0)
    lag.beat(now + 3600)
    now = run(lag, now + 3600, 0.5)
    assert lag.overloaded
    run(lag, now, WINDOWS + 1)
    assert not lag.overloaded


def test_all_moments_that_a_hang_missed_count() -> None:
    lag = Lag(0.0)
    # 40 ms once a second: the moments that were missed are 40, 30, 20 and 10 ms late, so 2 of 100 by 30 and more.
    run(lag, 0.0, 20, hang=0.04)
    assert lag.p99 == pytest.approx(0.03, abs=0.011)


@pytest.mark.parametrize(("hang", "refused"), [(0.015, False), (0.019, False), (0.03, True)])
def test_lag_of_20_ms_is_the_most(hang: float, refused: bool) -> None:
    lag = Lag(0.0)
    run(lag, 0.0, 20, hang=hang, every=0.1)
    assert lag.overloaded == refused


def test_good_second_among_bad_ones_begins_the_count_anew() -> None:
    lag, now = Lag(0.0), 0.0
    for _ in range(10):
        now = run(lag, now, 3, hang=0.05, every=0.2)
        now = run(lag, now, 1.99)
    assert not lag.overloaded


def test_gap_in_the_sound_that_overlaps_a_hang_is_known_as_ours() -> None:
    lag = Lag(0.0)
    now = run(lag, 0.0, 1.0)
    lag.beat(now + 0.5)
    assert lag.was_late(now + 0.1, now + 0.2)
    assert lag.was_late(now + 0.45, now + 2)
    assert not lag.was_late(0.1, 0.9)
    assert not lag.was_late(now + 0.6, now + 2)


def test_the_next_moment_is_never_past() -> None:
    lag = Lag(0.0)
    for now in (0.0, 0.0105, 0.5, 100.0, 100.0):
        assert now < lag.beat(now) <= now + BEAT_SECONDS + 1e-9
