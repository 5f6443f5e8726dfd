"""When frames may leave: against a far buffer with a clock of its own, in virtual time."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.audio.pacer import DEFAULT_LEAD, MAX_LEAD, Pacer
from tests.lasting import lasting

FRAME = 0.02


# The model by itself


@pytest.mark.parametrize("lead", [0, -1, 1001])
def test_lead_is_between_1_and_1000_frames(lead: int) -> None:
    with pytest.raises(ValueError, match=f"lead: expected 1 to 1000 frames, got {lead}"):
        Pacer(lead)


@pytest.mark.parametrize("lead", [1, DEFAULT_LEAD, MAX_LEAD])
def test_lead_may_leave_at_once(lead: int) -> None:
    pacer = Pacer(lead)
    assert (pacer.room(7.0), pacer.unplayed(7.0), pacer.wait(7.0)) == (lead, 0, 0)


def test_each_frame_is_played_in_20_ms() -> None:
    pacer = Pacer()
    pacer.sent(10, now=0.0)
    assert pacer.unplayed(0.1) == pytest.approx(5)
    assert pacer.unplayed(0.2) == pytest.approx(0, abs=1e-9)
    assert pacer.unplayed(60.0) == 0


def test_full_buffer_lets_the_next_frame_out_as_soon_as_it_is_not_full() -> None:
    pacer = Pacer(5)
    pacer.sent(5, now=0.0)
    # The frame that is being played counts as whole: with it, there are never more than the lead.
    assert [pacer.room(now) for now in (0.0, 0.0199, 0.0251, 0.0451)] == [0, 0, 1, 2]


def test_lead_beyond_what_is_sent_leaves_as_much_room() -> None:
    pacer = Pacer(5)
    pacer.sent(3, now=0.0)
    assert pacer.room(0.005) == 2


@given(st.integers(1, 1000), st.integers(0, 2000), st.floats(0, 1e6), st.floats(0, 50))
def test_after_the_wait_a_frame_may_leave_and_hardly_before(lead: int, frames: int, start: float, after: float) -> None:
    pacer = Pacer(lead)
    pacer.sent(frames, start)
    now = start + after
    wait = pacer.wait(now)
    assert pacer.room(now + wait) >= 1
    assert (wait == 0) == (pacer.room(now) > 0)
    assert wait < 1e-5 or pacer.room(now + wait - 1e-5) == 0


def test_underrun_starts_the_schedule_anew_without_catching_up() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    assert pacer.room(11.0) == 50
    pacer.sent(50, now=11.0)
    assert pacer.room(11.0) == 0
    assert pacer.unplayed(11.5) == pytest.approx(25)


def test_cleared_empties_the_buffer() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    pacer.cleared()
    assert (pacer.unplayed(0.1), pacer.room(0.1)) == (0, 50)


@given(st.integers(1, 100), st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=30))
def test_unplayed_is_never_above_the_lead(lead: int, turns: list[tuple[float, bool]]) -> None:
    pacer, now = Pacer(lead), 0.0
    for pause, cleared in turns:
        now += pause
        if cleared:
            pacer.cleared()
        pacer.sent(pacer.room(now), now)
        assert pacer.unplayed(now) <= lead + 1e-6
        assert pacer.room(now) == 0


# What Vonage says of it


def test_nothing_counts_as_played_until_vonage_says_that_it_began() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    pacer.asks(now=0.0)
    assert [pacer.unplayed(now) for now in (0.0, 0.4, 0.59)] == [50, 50, 50]
    assert pacer.wait(0.4) == pytest.approx(0.2)
    pacer.played(1, now=0.45)
    assert pacer.unplayed(0.45) == pytest.approx(49)
    assert pacer.unplayed(0.55) == pytest.approx(44)


def test_without_an_answer_the_clock_counts_as_if_nothing_had_been_asked() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    pacer.asks(now=0.0)
    assert pacer.unplayed(0.61) == pytest.approx(19.5)


def test_who_does_not_answer_is_not_waited_for_again_until_he_does() -> None:
    pacer = Pacer(50)
    for start in (0.0, 10.0):
        pacer.sent(50, now=start)
        pacer.asks(now=start)
    assert pacer.unplayed(10.5) == pytest.approx(25)
    pacer.played(100, now=11.0)
    pacer.sent(50, now=20.0)
    pacer.asks(now=20.0)
    assert pacer.unplayed(20.5) == pytest.approx(50)


def test_short_lead_waits_no_longer_than_it_lasts() -> None:
    pacer = Pacer(10)
    pacer.sent(10, now=0.0)
    pacer.asks(now=0.0)
    assert [pacer.unplayed(now) for now in (0.119, 0.121)] == [pytest.approx(10), pytest.approx(3.95)]


def test_answer_shows_that_less_waits_than_was_counted() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    pacer.played(40, now=0.2)
    assert pacer.unplayed(0.2) == pytest.approx(10)


def test_answer_that_comes_late_among_frames_on_time_shows_that_more_waits() -> None:
    pacer = heard_for(3.0)
    pacer.sent(50, now=3.0)
    for number in range(150, 180):
        pacer.heard(number * FRAME)
    # By the clock 30 of them were played by then; Vonage says that it was 10.
    pacer.played(10, now=3.6)
    assert pacer.unplayed(3.6) == pytest.approx(40, abs=0.1)


def test_answer_that_the_network_held_up_with_the_frames_shows_nothing() -> None:
    pacer = heard_for(3.0)
    pacer.sent(50, now=3.0)
    # The frames from 3.0 s on come half a second late, the answer among them.
    for _ in range(11):
        pacer.heard(3.7)
    pacer.played(10, now=3.7)
    assert pacer.unplayed(3.7) == pytest.approx(15, abs=1)


def test_vonage_may_hold_sound_for_a_second_after_the_modelled_end_unless_it_said_no() -> None:
    pacer = Pacer(50)
    assert not pacer.may_hold(0.0)
    pacer.sent(50, now=0.0)
    assert [pacer.may_hold(now) for now in (0.5, 1.5, 2.1)] == [True, True, False]
    pacer.played(50, now=1.2)
    assert not pacer.may_hold(1.2)


def test_place_of_a_mark_is_reached_when_the_frames_before_it_were_played() -> None:
    pacer = Pacer(50)
    pacer.sent(50, now=0.0)
    assert pacer.seconds_before(50, 0.1) == pytest.approx(0.9)
    assert pacer.seconds_before(30, 0.1) == pytest.approx(0.5)
    assert pacer.seconds_before(30, 0.7) == 0


def heard_for(seconds: float) -> Pacer:
    """Return a pacer that heard all frames on time until then."""
    pacer = Pacer(50)
    for number in range(round(seconds / FRAME)):
        pacer.heard(number * FRAME)
    return pacer


# Against a far end


class Far:
    """Vonage's end: plays a frame of ours and sends one, each 20 ms of a clock that runs ``ppm`` fast."""

    def __init__(self, ppm: float = 0, lead: int = DEFAULT_LEAD) -> None:
        self.period = FRAME * (1 - ppm / 1e6)
        self.pacer = Pacer(lead)
        self.ticks = 0
        self.buffer = 0
        self.least, self.most, self.missed = math.inf, 0, 0
        self.coming: deque[float] = deque()
        self.last = 0.0

    def run(self, seconds: float, late: Callable[[float], float]) -> Far:
        """Let time pass; ``late`` tells how many seconds a frame of a moment takes to us, in order."""
        end = self.ticks + round(seconds / self.period)
        coming, period = self.coming, self.period
        while self.ticks < end:
            if self.buffer:
                self.buffer -= 1
            elif self.ticks:
                self.missed += 1
            self.ticks += 1
            now = self.ticks * period
            self.last = max(self.last, now - period + late(now - period))
            coming.append(self.last)
            while coming and coming[0] < now:
                self.arrive(coming.popleft())
            self.send(now)
            if self.ticks > 100:
                self.least = min(self.least, self.buffer)
        return self

    def lose(self, frames: int) -> None:
        """Let time pass in which Vonage plays, and nothing comes from it."""
        for _ in range(frames):
            self.ticks += 1
            self.buffer -= 1
            self.send(self.ticks * self.period)

    def arrive(self, now: float) -> None:
        self.pacer.heard(now)
        self.send(now)

    def send(self, now: float) -> None:
        room = self.pacer.room(now)
        self.pacer.sent(room, now)
        self.buffer += room
        self.most = max(self.most, self.buffer)


def jitter(chance: random.Random, most: float = 0.008) -> Callable[[float], float]:
    return lambda now: chance.uniform(0.003, most)


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [200, -200])
def test_hours_against_another_clock_hold_a_lead_of_five_frames(ppm: float) -> None:
    far = Far(ppm, lead=5).run(lasting(600, 7200), jitter(random.Random(1)))
    assert far.missed == 0
    assert 3 <= far.least <= far.most <= 5


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [1000, -1000])
def test_clock_that_is_far_off_is_followed(ppm: float) -> None:
    far = Far(ppm).run(lasting(600, 7200), jitter(random.Random(2)))
    assert far.missed == 0
    assert 40 <= far.least <= far.most <= 50


def stalls(now: float) -> float:
    """Each half minute nothing comes for a second, then all at once."""
    return max(0.004, 1.0 - now % 30)


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [200, -200])
def test_stalls_of_a_second_do_not_disturb_the_clock(ppm: float) -> None:
    far = Far(ppm).run(lasting(900, 7200), stalls)
    assert far.missed == 0
    assert 47 <= far.least <= far.most <= 50


@pytest.mark.soak
@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda now: 0.003 + 0.004 * (now % 25), id="fills slowly and drains at once"),
        pytest.param(lambda now: 0.003 + max(0.0, 0.1 - 0.004 * (now % 30)), id="fills at once and drains slowly"),
    ],
)
def test_queues_in_the_network_do_not_add_up(late: Callable[[float], float]) -> None:
    far = Far().run(lasting(900, 7200), late)
    assert far.missed == 0
    # A call that begins in such a queue believes Vonage's clock to be late, by as much as the queue was long.
    assert 43 <= far.least <= far.most <= 55


@pytest.mark.soak
def test_heavy_jitter_is_not_taken_for_a_clock() -> None:
    chance = random.Random(3)
    far = Far().run(lasting(900, 7200), lambda now: chance.expovariate(1 / 0.03))
    assert far.missed == 0
    assert far.most <= 50


def test_route_that_changes_for_good_costs_no_more_than_it_is_longer() -> None:
    chance = random.Random(4)
    far = Far().run(600, lambda now: (0.004 if now < 200 else 0.104) + chance.uniform(0, 0.002))
    assert far.missed == 0
    assert far.least >= 43


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [200, -200])
def test_frames_that_are_lost_now_and_then_do_not_add_up(ppm: float) -> None:
    far = Far(ppm).run(60, lambda now: 0.004)
    for _ in range(lasting(8, 20)):
        far.lose(5)
        far.run(90, lambda now: 0.004)
    assert far.missed == 0
    assert 44 <= far.least <= far.most <= 56


def test_sender_that_hung_for_ten_seconds_goes_on_with_one_lead() -> None:
    far = Far().run(10, lambda now: 0.004)
    far.buffer = 0
    far.most = 0
    later = far.ticks * far.period + 10.0
    far.arrive(later)
    assert far.most == DEFAULT_LEAD
