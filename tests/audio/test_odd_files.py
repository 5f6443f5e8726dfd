"""Odd files are read whole and right, or refused with a sentence: at once, or when they are converted."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from callflows.audio.files import check, read_prompt
from callflows.audio.format import AudioError
from callflows.audio.pcm import samples
from callflows.audio.tones import spectrum_peak
from tests.audio import odd

FILES = Path(__file__).parent / "files"
# What nothing at the beginning tells: found by the job that converts.
FOUND_LATE = {"a FLAC cut late", "NaN at the end", "two FLAC put together", "too long, and says nothing"}


def test_there_are_enough_of_them() -> None:
    assert len(odd.right()) + len(odd.wrong()) >= 30


@pytest.mark.parametrize("name", odd.right())
def test_what_is_odd_and_right_is_heard_to_its_end(name: str) -> None:
    content, seconds = odd.right()[name]
    check(io.BytesIO(content), odd.LIMIT)
    prompt = read_prompt(io.BytesIO(content), odd.LIMIT)
    # A decoder of MP3 has a frame in hand at either end.
    assert prompt.seconds == pytest.approx(seconds, abs=2 * 1152 / 44100 if "MP3" in name else 0.001)
    assert prompt.level == pytest.approx(-15, abs=0.5)
    assert prompt.notes == ()
    hz = 40 if name == "1 kHz" else 440
    for rate, pcm in prompt.pcm.items():
        assert spectrum_peak(samples(pcm)[: round(0.9 * seconds / (2 if "two" in name else 1) * rate)], rate) == (
            pytest.approx(hz, abs=2)
        )


@pytest.mark.parametrize("name", [name for name in odd.right() if name.startswith("two MP3")])
def test_second_of_two_mp3_is_heard_too(name: str) -> None:
    pcm = samples(read_prompt(io.BytesIO(odd.right()[name][0]), odd.LIMIT).pcm[16000])
    assert spectrum_peak(pcm[-12000:], 16000) == pytest.approx(880, abs=2)


@pytest.mark.parametrize("name", odd.noted())
def test_flaw_that_loses_nothing_is_a_note(name: str) -> None:
    content, seconds, told = odd.noted()[name]
    check(io.BytesIO(content), odd.LIMIT)
    prompt = read_prompt(io.BytesIO(content), odd.LIMIT)
    assert prompt.seconds == pytest.approx(seconds, abs=0.02)
    (note,) = prompt.notes
    assert told in note
    assert spectrum_peak(samples(prompt.pcm[16000]), 16000) == pytest.approx(440, abs=2)


# What recorders, phones and an attacker made, as they came.
FOUND = {
    **dict.fromkeys(("data-1-over.wav", "data-44-over.wav"), "too many"),
    **{"data-size-0.wav": "never finished", "opus-no-eos.ogg": "is not marked", "odd-list.wav": ""},
    **dict.fromkeys(("zeros-64.mp3", "tag-then-2048-zeros.mp3"), ""),
}
REFUSED = {
    "g729.wav": "encoded as G.729",
    "huge-chunk.w64": "header cannot be read",
    "list-subchunk-size-56-bytes.wav": "header cannot be read",
}


@pytest.mark.parametrize("name", FOUND)
def test_file_that_was_found_is_heard(name: str) -> None:
    prompt = read_prompt(FILES / name, odd.LIMIT + 2)
    assert prompt.seconds > 0.4
    assert FOUND[name] in "".join(prompt.notes)
    assert bool(prompt.notes) == bool(FOUND[name])


@pytest.mark.parametrize("name", REFUSED)
def test_file_that_was_found_is_refused(name: str) -> None:
    with pytest.raises(AudioError, match=REFUSED[name]):
        read_prompt(FILES / name, odd.LIMIT)


def test_list_larger_than_its_chunk_is_never_seen_by_the_decoder() -> None:
    """libsndfile 1.2 stands for ever at it."""
    assert read_prompt(FILES / "list-subchunk-size.wav", odd.LIMIT).seconds == 0.1


@pytest.mark.parametrize("name", odd.wrong())
def test_what_is_wrong_is_refused_with_a_sentence(name: str) -> None:
    content, told = odd.wrong()[name]
    with pytest.raises(AudioError) as refused:
        read_prompt(io.BytesIO(content), odd.LIMIT)
    assert told in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", odd.wrong())
def test_what_is_wrong_is_refused_at_once_where_its_beginning_tells(name: str) -> None:
    content, told = odd.wrong()[name]
    if name in FOUND_LATE:
        check(io.BytesIO(content), odd.LIMIT)
    else:
        with pytest.raises(AudioError) as refused:
            check(io.BytesIO(content), odd.LIMIT)
        assert told in str(refused.value)


def test_empty_file_is_refused() -> None:
    with pytest.raises(AudioError, match=r"^The file is empty\.$"):
        check(io.BytesIO(), odd.LIMIT)


@pytest.mark.parametrize("kind", ["MP3", "OGG", "W64", "CAF", "AIFF", "AU", "FLAC", "WAV"])
def test_no_damage_breaks_the_reader(kind: str) -> None:
    """Any bytes changed, cut out, or put twice: a sound, or a sentence."""
    chance = np.random.default_rng(5)
    whole = odd.encoded(odd.noise(0.3), kind=kind)
    for _ in range(40):
        content = bytearray(whole)
        for at in chance.integers(0, len(content), 4):
            content[at] = chance.integers(256)
        first, last = sorted(chance.integers(0, len(content), 2))
        damaged = bytes(content[:last] if chance.random() < 0.5 else content[:last] + content[first:])
        with contextlib.suppress(AudioError):
            assert 0 < read_prompt(io.BytesIO(damaged), odd.LIMIT).seconds <= odd.LIMIT
