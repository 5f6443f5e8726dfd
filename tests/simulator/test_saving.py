"""What is saved of a call is what was heard, when it was heard: measured in the signal."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from callflows.simulator.effects import Heard, Said
from callflows.simulator.party import Behaviour, Say, Step
from callflows.simulator.rehearsal import rehearse
from callflows.simulator.saving import Kept, kept
from callflows.simulator.scenario import parse
from callflows.simulator.sound import Sound
from tests.simulator.tones import voice
from tests.simulator.world import World, connect, echo, socket

AGENT, OTHER, NUMBER = "447700900222", "447700900333", "447700900001"
# How far a sound may be from its place, in seconds.
NEAR = 0.04
WAV = "https://example.com/tone.wav"


def sounding(pcm: bytes, rate: int) -> list[tuple[float, float]]:
    """Return when each sound begins and ends, in seconds: it is loud, and no pause in it lasts 100 ms."""
    size = rate // 200
    heard = np.frombuffer(pcm, "<i2").astype(np.float64)
    blocks = heard[: heard.size // size * size].reshape(-1, size)
    loud = np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) > 300) / 200
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 0.1) + 1) if loud.size else []
    return [(float(part[0]), float(part[-1]) + 0.005) for part in parts]


def pauses(*seconds: float) -> list[dict[str, Any]]:
    """Return a tone of a second, so long nothing, a tone, and so on."""
    tone = {"action": "stream", "streamUrl": [WAV]}
    return [tone, *(each for pause in seconds for each in ({"action": "wait", "timeout": pause}, tone))]


def played(**file: Any) -> dict[str, Kept]:
    """Play a scenario in no time; return what is kept of it, by name."""
    whole = {"urls": {WAV: {"tone": 440, "lasts": 1}}, **file}
    return {each.name: each for each in kept(rehearse(parse(whole, Path())))}


def starts(found: Kept) -> list[float]:
    return [start for start, _ in sounding(found.pcm, found.rate)]


def test_a_pause_is_kept_as_silence() -> None:
    calls = [{"to": NUMBER, "stays": 12, "counts": "answered"}]
    found = played(calls=calls, server={"answer": [*pauses(4.0, 2.5), {"action": "wait", "timeout": 60}]})[""]
    # Before: 0, 1 and 2 s, and a file of 3 s.
    assert starts(found) == pytest.approx([0.0, 5.0, 8.5], abs=NEAR)
    assert [end - start for start, end in sounding(found.pcm, found.rate)] == pytest.approx([1.0] * 3, abs=NEAR)
    assert len(found.pcm) / 2 / found.rate == pytest.approx(12.0, abs=NEAR)


def test_the_answer_of_the_caller_is_the_beginning_whenever_he_calls() -> None:
    calls = [
        {"to": NUMBER, "stays": 8, "counts": "answered"},
        {"to": NUMBER, "at": 3.3, "from": OTHER, "stays": 8, "counts": "answered"},
    ]
    found = played(calls=calls, server={"answer": [*pauses(4.0), {"action": "wait", "timeout": 60}]})
    assert set(found) == {"", OTHER}
    for each in found.values():
        assert starts(each) == pytest.approx([0.0, 5.0], abs=NEAR)
        assert len(each.pcm) / 2 / each.rate == pytest.approx(8.0, abs=NEAR)


def agent(rings: float, **does: Any) -> dict[str, Any]:
    return {"rings": rings, "counts": "answered", **does}


def test_several_connects_after_one_another_lie_where_they_were() -> None:
    """Two agents who say a tone two seconds after their answer, and hang up; then a socket that echoes."""
    says = [{"tone": 660, "lasts": 1, "after": "answered", "at": 2}]
    document = [
        connect({"type": "phone", "number": AGENT}),
        {"action": "wait", "timeout": 1.5},
        connect({"type": "phone", "number": OTHER}),
        socket(),
    ]
    found = played(
        calls=[
            {
                "to": NUMBER,
                "stays": 20,
                "counts": "answered",
                "do": [{"tone": 330, "lasts": 1, "after": "answered", "at": at} for at in (2.0, 17.0)],
            }
        ],
        people={AGENT: agent(1, stays=4, do=says), OTHER: agent(2, stays=4, do=says)},
        server={"answer": document, "socket": "echo"},
    )
    assert set(found) == {"", AGENT, OTHER, "websocket"}
    # 1 s of ringing and 2 s; 1 + 4 + 1.5 s, 2 s of ringing and 2 s; and the echo, which takes 0.1 s.
    assert starts(found[""]) == pytest.approx([3.0, 10.5, 17.1], abs=NEAR)
    # The caller speaks 1 s after the answer of the first agent; of the second one he has been silent.
    assert starts(found[AGENT]) == pytest.approx([1.0], abs=NEAR)
    assert starts(found[OTHER]) == []
    assert len(found[OTHER].pcm) / 2 / found[OTHER].rate == pytest.approx(4.0, abs=NEAR)
    # The socket opens at 12.5 s.
    assert starts(found["websocket"]) == pytest.approx([4.5], abs=2 * NEAR)


def test_who_was_not_answered_has_no_file_and_who_called_first_always_one() -> None:
    calls = [{"to": NUMBER, "stays": 3, "counts": "answered"}]
    document = [connect({"type": "phone", "number": AGENT}), {"action": "wait", "timeout": 60}]
    found = played(calls=calls, people={AGENT: "busy"}, server={"answer": document})
    assert set(found) == {""}
    assert (starts(found[""]), len(found[""].pcm) // 2 // found[""].rate) == ([], 3)
    body = {"to": [{"type": "phone", "number": AGENT}], "ncco": []}
    [refused] = played(calls=[{"create": body}], people={AGENT: "busy"}, server={}).values()
    assert (refused.name, refused.pcm) == ("", b"")


def test_names_are_fit_for_files_and_tell_two_of_a_kind_apart() -> None:
    document = [connect({"type": "sip", "uri": "sip:desk@sip.example.com;transport=tls"}), socket(), socket()]
    found = played(
        calls=[{"to": NUMBER, "stays": 9, "counts": "answered"}],
        people={"sip:desk@sip.example.com;transport=tls": agent(1, stays=1)},
        server={"answer": document, "socket": "closes"},
    )
    assert set(found) == {"", "sip-desk-sip-example-com-transport-tls", "websocket", "websocket-2"}


def test_a_moment_is_the_fakes_however_late_it_is_told_of() -> None:
    """A machine that stands still for 400 ms tells of 20 frames at once: none of them has moved."""
    steps = (Step(Say(voice(440, 1.0)), 2.0, "answered"), Step(Say(voice(440, 1.0)), 6.0, "answered"))
    world = World([socket()], app=echo)
    world.call_in(Behaviour(seconds=8.0, steps=steps))
    world.go(1.5)
    effects = world.platform.advance(world.platform.now + 0.4)
    moments = [each.at for each in effects if isinstance(each, Heard | Said)]
    assert len(set(moments)) >= 19
    assert max(moments) - min(moments) == pytest.approx(0.4, abs=NEAR)


def test_what_is_heard_at_two_rates_lies_in_time_at_the_higher_one() -> None:
    sound, fast = Sound(), voice(440).pcm[16000][:640]
    for place in range(25):
        sound.add("talk", 8000, voice(440).pcm[8000][:320], 10.0 + place * 0.02)
    for place in range(25):
        # On the grid of another room.
        sound.add("socket", 16000, fast, 12.007 + place * 0.02)
    pcm, rate = sound.mixdown(9.0, 14.0)
    assert (rate, len(pcm)) == (16000, 5 * 32000)
    assert [start for start, _ in sounding(pcm, rate)] == pytest.approx([1.0, 3.007], abs=0.006)
    # Exactly where it was, sample for sample.
    place = 2 * round(3.007 * 16000)
    assert pcm[place : place + 640] == fast
    assert pcm[2 * 24000 : 2 * 48000].strip(b"\0") == b""


def test_frames_that_follow_each_other_stay_whole_over_a_change_of_rooms() -> None:
    sound, frame = Sound(), b"\1\2" * 320
    for place in range(5):
        sound.add("stream", 16000, frame, place * 0.02)
    for place in range(5, 10):
        sound.add("stream", 16000, frame, place * 0.02 + 0.006)
    assert sound.mixdown(0.0) == (frame * 10, 16000)
    assert sound.mixdown(0.1)[0] == frame * 5


def test_the_command_saves_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pauses.yaml"
    file.write_text(
        f"calls: [{{to: {NUMBER}, stays: 9, counts: answered}}]\n"
        f"people: {{{AGENT}: {{rings: 1, stays: 3, counts: answered}}}}\n"
        f"urls: {{'{WAV}': {{tone: 440, lasts: 1}}}}\n"
        "server:\n  answer:\n"
        f"    - {{action: stream, streamUrl: ['{WAV}']}}\n"
        "    - {action: wait, timeout: 4}\n"
        f"    - {{action: stream, streamUrl: ['{WAV}']}}\n"
        f"    - {{action: connect, from: '442079460000', endpoint: [{{type: phone, number: '{AGENT}'}}]}}\n"
    )
    heard = tmp_path / "heard.wav"
    call_command("simulate_call", "--rehearse", "--scenario", file, "--save", heard)
    beside = tmp_path / f"heard.{AGENT}.wav"
    assert f"Saved {heard}, {beside}." in capsys.readouterr().out
    with wave.open(str(heard)) as wav:
        found = sounding(wav.readframes(wav.getnframes()), wav.getframerate())
    assert [start for start, _ in found] == pytest.approx([0.0, 5.0], abs=NEAR)
    with wave.open(str(beside)) as wav:
        assert wav.getnframes() / wav.getframerate() == pytest.approx(2.0, abs=NEAR)
