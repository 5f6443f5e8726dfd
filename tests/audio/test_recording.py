"""Where sound stands in a recording, measured by clicks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflows.audio.format import AudioError
from callflows.audio.recording import TwoTracks
from tests.audio.clicks import FMT, FRAME, clicks, frame
from tests.lasting import lasting


def hear(tracks: TwoTracks, numbers: range, start: float = 0.0) -> None:
    """Frames on time: click n at n x 20 ms."""
    for number in numbers:
        tracks.heard(frame(number), start + number * FRAME)


def test_both_channels_stand_side_by_side() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 4))
    tracks.played(frame(9), unplayed=0, now=3 * FRAME)
    hear(tracks, range(4, 8))
    blocks = tracks.blocks(7 * FRAME, final=True)
    # Three frames had come, numbers 0 to 2: the next place is 3.
    assert clicks(blocks, 0) == {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6}
    assert clicks(blocks, 1) == {9: 3}


def test_frames_sent_ahead_stand_behind_each_other() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    for ahead in range(50):
        tracks.played(frame(100 + ahead), unplayed=ahead, now=10 * FRAME)
    hear(tracks, range(11, 71))
    assert clicks(tracks.blocks(2.0, final=True), 1) == {100 + ahead: 10 + ahead for ahead in range(50)}


def test_an_empty_buffer_leaves_silence_between_ours() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 3))
    tracks.played(frame(50), unplayed=0, now=2 * FRAME)
    hear(tracks, range(3, 9))
    tracks.played(frame(51), unplayed=0, now=8 * FRAME)
    hear(tracks, range(9, 12))
    assert clicks(tracks.blocks(1.0, final=True), 1) == {50: 2, 51: 8}


def test_what_was_cleared_was_never_played() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 3))
    for ahead in range(20):
        tracks.played(frame(100 + ahead), unplayed=ahead, now=2 * FRAME)
    hear(tracks, range(3, 6))
    tracks.cleared(5 * FRAME)
    tracks.played(frame(200), unplayed=0, now=5 * FRAME)
    hear(tracks, range(6, 40))
    assert clicks(tracks.blocks(1.0, final=True), 1) == {100: 2, 101: 3, 102: 4, 200: 5}


def test_late_frames_of_a_short_stall_leave_no_gap_and_do_not_move_ours() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    # 400 ms without news; we speak in the middle of them, at frame 20, and once more when the burst has come.
    tracks.played(frame(500), unplayed=0, now=20.5 * FRAME)
    for number in range(11, 31):
        tracks.heard(frame(number), 30 * FRAME)
    tracks.played(frame(501), unplayed=0, now=30.5 * FRAME)
    hear(tracks, range(31, 60))
    blocks = tracks.blocks(1.2, final=True)
    assert clicks(blocks, 0) == {number: number - 1 for number in range(1, 60)}
    assert clicks(blocks, 1) == {500: 20, 501: 30}


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_late_burst_takes_its_own_place(spread: float) -> None:
    """After a second without news all frames come at once, or within 300 ms."""
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 101))
    tracks.played(frame(500), unplayed=0, now=140.5 * FRAME)
    assert clicks(tracks.blocks(149 * FRAME), 0) == {number: number - 1 for number in range(1, 101)}
    for number in range(101, 151 + int(spread / FRAME)):
        tracks.heard(frame(number), max(number * FRAME, 150 * FRAME + spread * (number - 101) / 65))
    hear(tracks, range(151 + int(spread / FRAME), 260))
    blocks = tracks.blocks(5.2, final=True)
    assert clicks(blocks, 0) == {number: number - 1 - 100 for number in range(101, 260)}
    assert clicks(blocks, 1) == {500: 140 - 100}


def test_frames_that_never_came_are_silence() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 101))
    tracks.played(frame(500), unplayed=0, now=140.5 * FRAME)
    hear(tracks, range(151, 220))
    blocks = tracks.blocks(4.4, final=True)
    assert clicks(blocks, 0) == {number: number - 1 for number in (*range(1, 101), *range(151, 220))}
    assert clicks(blocks, 1) == {500: 140}


def test_the_latest_half_of_a_burst_stands_where_it_ends() -> None:
    """A platform that keeps only the newest 25 frames of a stall of 50."""
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 101))
    for number in range(126, 151):
        tracks.heard(frame(number), 150 * FRAME)
    hear(tracks, range(151, 220))
    late = clicks(tracks.blocks(4.4, final=True), 0)
    assert late == {number: number - 1 for number in (*range(1, 101), *range(126, 220))}


@pytest.mark.parametrize("late", [True, False])
def test_a_clear_during_a_stall_keeps_what_was_played_till_then(late: bool) -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 101))
    for ahead in range(100):
        tracks.played(frame(1000 + ahead), unplayed=ahead, now=100 * FRAME)
    # Vonage clears at its frame 130, and its word comes behind that frame: in the burst, or at once when it sends none.
    if late:
        for number in range(101, 131):
            tracks.heard(frame(number), 150 * FRAME)
    tracks.cleared((150 if late else 130) * FRAME)
    tracks.played(frame(2000), unplayed=0, now=(150 if late else 130) * FRAME)
    if late:
        for number in range(131, 151):
            tracks.heard(frame(number), 150 * FRAME)
    hear(tracks, range(151, 220))
    ours = clicks(tracks.blocks(4.4, final=True), 1)
    assert [ours.pop(2000)] == ([150] if late else [130])
    assert ours == {1000 + ahead: 100 + ahead for ahead in range(30)}


def test_short_gaps_are_no_silence_and_ours_follow_the_shorter_timeline() -> None:
    """Ten times 400 ms are never sent: the timeline is the incoming number, and after 2 s ours stand in it again."""
    tracks = TwoTracks(FMT)
    now = 0.0
    for number in range(1, 2001):
        now += FRAME + (0.4 if number % 200 == 0 else 0)
        tracks.heard(frame(number), now)
        if number % 200 == 150:
            tracks.played(frame(10000 + number), unplayed=0, now=now)
    blocks = tracks.blocks(now, final=True)
    assert clicks(blocks, 0) == {number: number - 1 for number in range(1, 2001)}
    assert clicks(blocks, 1) == {10000 + number: number for number in range(150, 2001, 200)}


def test_what_we_say_before_the_first_frame_is_not_lost() -> None:
    tracks = TwoTracks(FMT)
    for number in range(5):
        tracks.played(frame(50 + number), unplayed=number, now=10.0)
    for number in range(20):
        tracks.heard(frame(100 + number), 10.101 + number * FRAME)
    blocks = tracks.blocks(10.6, final=True)
    assert clicks(blocks, 1) == {50 + number: number for number in range(5)}
    assert clicks(blocks, 0)[100] == 4


def test_what_the_hang_up_cut_off_is_not_recorded() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    for ahead in range(50):
        tracks.played(frame(100 + ahead), unplayed=ahead, now=10 * FRAME)
    hear(tracks, range(11, 16))
    blocks = tracks.blocks(15.5 * FRAME, final=True)
    assert len(b"".join(blocks)) == 15 * FMT.frame_bytes * 2
    assert clicks(blocks, 1) == {100 + ahead: 10 + ahead for ahead in range(5)}


def test_a_call_that_ends_in_a_stall_keeps_what_we_played() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    for ahead in range(50):
        tracks.played(frame(100 + ahead), unplayed=ahead, now=10 * FRAME)
    assert clicks(tracks.blocks(50.5 * FRAME, final=True), 1) == {100 + ahead: 10 + ahead for ahead in range(40)}


def test_blocks_come_when_they_are_whole() -> None:
    tracks = TwoTracks(FMT, block_seconds=0.5)
    hear(tracks, range(1, 25))
    assert tracks.blocks(0.5) == []
    hear(tracks, range(25, 60))
    assert [len(block) for block in tracks.blocks(1.2)] == [25 * 640, 25 * 640]
    assert [len(block) for block in tracks.blocks(1.2, final=True)] == [9 * 640]
    assert tracks.blocks(1.2, final=True) == []
    assert tracks.frames == 59


def test_nothing_is_a_recording_of_nothing() -> None:
    tracks = TwoTracks(FMT)
    tracks.cleared(1.0)
    assert tracks.blocks(2.0, final=True) == []


def test_a_quarter_of_an_hour_without_news_is_written_as_it_passes() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    most = written = 0
    for second in range(1, 900):
        for part in range(50):
            tracks.played(frame(0), unplayed=1, now=second + part * FRAME)
        written += sum(len(block) for block in tracks.blocks(float(second)))
        most = max(most, len(tracks._us) + len(tracks._others))
    assert most < 35 * 16000
    assert written == pytest.approx(900 * 32000, rel=0.01)
    tracks.heard(frame(77), 900.0)
    assert clicks(tracks.blocks(900.1, final=True), 0)[77] * FRAME < 35


def test_a_frame_too_far_ahead_is_dropped_as_the_far_buffer_would() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 3))
    for ahead in range(5000):
        tracks.played(frame(1), unplayed=ahead, now=2 * FRAME)
    assert len(tracks._us) <= 1020 * FMT.frame_bytes


@pytest.mark.parametrize("size", [0, 319, 321, 640])
def test_a_frame_of_wrong_size_is_refused(size: int) -> None:
    tracks = TwoTracks(FMT)
    with pytest.raises(AudioError, match=f"expected 320 bytes of audio, got {size}"):
        tracks.heard(bytes(size), 0.0)
    with pytest.raises(AudioError, match=f"expected 320 bytes of audio, got {size}"):
        tracks.played(bytes(size), 0, 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from("hhhhpppcba"), st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.3, 0.7, 40.0]), st.integers(0, 60)
    ),
    max_size=150,
)


@settings(max_examples=lasting(30, 600), deadline=None)
@given(steps=STEPS)
def test_whatever_happens_each_frame_heard_is_there_once_and_in_order(steps: list[tuple[str, float, int]]) -> None:
    tracks, now, heard, blocks = TwoTracks(FMT), 0.0, 0, []
    for step, pause, unplayed in steps:
        now += pause
        if step == "h":
            heard += 1
            tracks.heard(frame(heard), now)
        elif step == "p":
            tracks.played(frame(1), unplayed, now)
        elif step == "c":
            tracks.cleared(now)
        elif step == "a":
            tracks.answered(unplayed)
        else:
            blocks += tracks.blocks(now)
    blocks += tracks.blocks(now, final=True)
    found = clicks(blocks, 0)
    assert list(found) == list(range(1, heard + 1))
    assert list(found.values()) == sorted(found.values())
    assert len(b"".join(blocks)) == tracks.frames * 640


def test_an_echo_stands_one_frame_behind_all_the_way() -> None:
    tracks = TwoTracks(FMT)
    for number in range(1, 2001):
        now = 0.123 + number * FRAME
        tracks.heard(frame(number), now)
        tracks.played(frame(number), unplayed=0, now=now)
    blocks = tracks.blocks(40.13, final=True)
    # The echo of the last frame would be played after the end.
    assert clicks(blocks, 1) == {number: number for number in range(1, 2000)}


@pytest.mark.parametrize(("more", "place"), [(0.4, 60), (6, 60), (25, 85)])
def test_ours_stay_together_unless_the_pacer_is_sure(more: float, place: int) -> None:
    """A model that is a few frames wrong makes no gap in a prompt; one that found an underrun does."""
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 11))
    for ahead in range(50):
        tracks.played(frame(100 + ahead), unplayed=ahead, now=10 * FRAME)
    hear(tracks, range(11, 21))
    tracks.played(frame(999), unplayed=40 + more, now=20 * FRAME)
    hear(tracks, range(21, 100))
    assert clicks(tracks.blocks(2.0, final=True), 1)[999] == place


def test_a_burst_that_has_caught_up_is_written_at_once() -> None:
    tracks = TwoTracks(FMT)
    hear(tracks, range(1, 51))
    for number in range(51, 101):
        tracks.heard(frame(number), 100 * FRAME)
    assert len(tracks.blocks(100 * FRAME)) == 2


def test_a_recording_that_starts_in_a_prompt_puts_its_rest_behind_what_waits() -> None:
    tracks = TwoTracks(FMT)
    tracks.played(frame(999), unplayed=7, now=0.0)
    hear(tracks, range(1, 20))
    assert clicks(tracks.blocks(0.4, final=True), 1) == {999: 7}
