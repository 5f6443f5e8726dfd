"""How far ahead of its playing sound leaves, against a Vonage with a clock of its own that does not always read."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import pytest

from callflows.wire.connection import CLEAR
from callflows.wire.events import Digit
from callflows.wire.platform import Knobs
from tests.lasting import lasting
from tests.sockets.network import FMT, Network

# Vonage does not read for 400 ms every 5 s; the call begins at any moment of that.
STALL = 0.4
PHASES = [0.0, 0.1, 0.25, 0.39, 2.5]


def endless() -> Iterator[bytes]:
    """Frames for ever, each with its number."""
    for number in itertools.count():
        yield (number % 30_000).to_bytes(2, "little") * FMT.frame_samples


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [200, -200])
async def test_generated_sound_of_hours_never_breaks_off_nor_runs_ahead_at_constant_memory(ppm: int) -> None:
    network = Network(ppm=ppm, stall=STALL)
    network.line.play(endless())
    network.run(60)
    blocks = sys.getallocatedblocks()
    seconds = lasting(180, 7200)
    network.run(seconds)
    # A frame kept for later would be a block each: 6,000 of them, in two hours 357,000.
    assert sys.getallocatedblocks() - blocks < 1000
    assert network.platform.lost == 0
    assert network.remote.deepest <= 50
    # It began to play when it read, after 400 ms and its own 60.
    assert network.platform.played == pytest.approx(seconds * 50 * (1 + ppm / 1e6) - 23, abs=3)


@pytest.mark.soak
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("ppm", [200, -200])
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.06])
async def test_call_that_begins_while_vonage_does_not_read_is_never_ahead_of_the_lead(
    phase: float, ppm: int, delay: float
) -> None:
    network = Network(ppm=ppm, stall=STALL, phase=phase, delay=delay)
    network.line.play(endless())
    network.run(lasting(5, 300))
    assert (network.platform.lost, network.remote.deepest) == (0, 50)


@pytest.mark.parametrize("mute", [False, True])
async def test_without_stalls_the_lead_is_kept_with_and_without_answers(mute: bool) -> None:
    network = Network(mute=mute, knobs=Knobs(prebuffer=0))
    network.line.play(endless())
    network.run(60)
    assert (network.platform.lost, network.remote.deepest) == (0, 50)


async def test_vonage_that_was_cut_off_for_two_seconds_is_not_sent_more_than_the_lead_for_long() -> None:
    network = Network(stall=2.0, every=1000, phase=990)
    network.line.play(endless())
    network.run(12.1)
    # It ran dry after a second, and then found all that was sent meanwhile.
    assert network.remote.deepest > 80
    network.run(15)
    network.remote.deepest = 0
    network.run(30)
    assert network.remote.deepest <= 51


async def test_vonage_is_asked_once_a_second_and_not_for_ever_when_it_never_answers() -> None:
    network = Network()
    network.line.play(endless())
    network.run(30)
    assert 28 <= len(network.sent) <= 32
    mute = Network(mute=True)
    mute.line.play(endless())
    mute.run(60)
    assert len(mute.sent) == 16


async def test_sound_of_less_than_the_lead_asks_nothing_but_by_its_marks() -> None:
    network = Network()
    network.line.play(bytes(9 * FMT.frame_bytes))
    network.line.mark()
    network.run(2)
    assert list(network.sent) == ['{"action":"notify","payload":{"mark":1}}']


async def test_answers_to_our_own_questions_are_no_news_for_apps() -> None:
    network = Network()
    network.line.play(endless())
    network.run(10)
    network.line.hear(Digit("1"))
    assert await network.line.key() == "1"
    events = network.line.events()
    network.line.hear(Digit("2"))
    assert await anext(events) == Digit("2")


@pytest.mark.parametrize("phase", PHASES)
async def test_bot_that_pauses_three_seconds_never_exceeds_the_lead(phase: float) -> None:
    network = Network(stall=STALL, phase=phase)
    for turn in range(20):
        network.line.play(itertools.islice(endless(), 100 + turn))
        network.run(network.now + 5.5)
    assert network.platform.played == sum(range(100, 120))
    assert (network.platform.lost, network.remote.deepest) == (0, 50)


@pytest.mark.parametrize("phase", PHASES)
async def test_bot_that_interrupts_itself_20_times_without_clear_never_exceeds_the_lead(phase: float) -> None:
    network = Network(stall=STALL, phase=phase, knobs=Knobs(clear="ignored"))
    for turn in range(20):
        network.line.clear()
        network.line.play(endless())
        network.run(network.now + 0.31 + turn / 10)
    assert network.sent.count(CLEAR) >= 18
    assert network.remote.deepest <= 50


@pytest.mark.parametrize("phase", PHASES)
async def test_bot_that_speaks_in_many_short_pieces_never_exceeds_the_lead(phase: float) -> None:
    network = Network(stall=STALL, phase=phase)
    for turn in range(100):
        # 400 ms of speech each 200 ms, as a voice is generated faster than it is played.
        network.line.play(bytes(20 * FMT.frame_bytes))
        network.run((turn + 1) * 0.2)
    network.run(45)
    assert network.platform.played == 2000
    assert network.platform.lost == 0
    assert network.remote.deepest <= 50
