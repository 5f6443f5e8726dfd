"""Where our own sound stands in a recording once Vonage has answered a notify."""

from __future__ import annotations

import pytest

from callflows.audio.recording import TwoTracks
from tests.audio.clicks import FMT, FRAME, clicks, frame
from tests.audio.test_recording import hear


def say(tracks: TwoTracks, count: int, first: int, now: float) -> None:
    for ahead in range(count):
        tracks.played(frame(first + ahead), unplayed=ahead, now=now)


def test_first_answer_moves_what_was_said_to_where_vonage_played_it() -> None:
    """It plays 100 ms later than our counts say: the way there, and a buffer that fills first."""
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    say(tracks, 50, 1000, now=10 * FRAME)
    hear(tracks, range(11, 17))
    # Of 50 one has been played when 16 frames have come: it stood at 15.
    tracks.answered(behind=49)
    hear(tracks, range(17, 100))
    assert clicks(tracks.blocks(2.0, final=True), 1) == {1000 + ahead: 15 + ahead for ahead in range(50)}


def test_what_is_said_next_begins_as_much_later_and_an_answer_takes_that_back() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    say(tracks, 20, 1000, now=10 * FRAME)
    hear(tracks, range(11, 17))
    tracks.answered(behind=19)
    hear(tracks, range(17, 101))
    say(tracks, 5, 2000, now=100 * FRAME)
    hear(tracks, range(101, 201))
    say(tracks, 20, 3000, now=200 * FRAME)
    hear(tracks, range(201, 204))
    tracks.answered(behind=19)
    hear(tracks, range(204, 300))
    ours = clicks(tracks.blocks(6.0, final=True), 1)
    assert (ours[1000], ours[2000], ours[3000], ours[3019]) == (15, 105, 202, 221)


def test_answer_after_a_second_comes_too_late_for_what_is_on_disk_and_moves_the_rest() -> None:
    tracks = TwoTracks(FMT, block_seconds=0.5)
    hear(tracks, range(1, 11))
    say(tracks, 100, 1000, now=10 * FRAME)
    hear(tracks, range(11, 51))
    # While an answer may come nothing behind the first of ours is written.
    assert tracks.blocks(50 * FRAME) == []
    hear(tracks, range(51, 81))
    blocks = tracks.blocks(80 * FRAME)
    assert len(blocks) == 3
    tracks.answered(behind=33)
    hear(tracks, range(81, 200))
    ours = clicks(blocks + tracks.blocks(4.0, final=True), 1)
    assert ours == {1000 + ahead: 10 + ahead + (3 if ahead >= 65 else 0) for ahead in range(100)}


@pytest.mark.parametrize("behind", [70, 50, 0])
def test_answer_that_cannot_be_meant_for_what_is_said_now_moves_nothing(behind: int) -> None:
    """It is about frames of before the recording, none of this run, or half a second and more off."""
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    say(tracks, 50, 1000, now=10 * FRAME)
    hear(tracks, range(11, 15))
    tracks.answered(behind)
    hear(tracks, range(15, 100))
    assert clicks(tracks.blocks(2.0, final=True), 1) == {1000 + ahead: 10 + ahead for ahead in range(50)}
