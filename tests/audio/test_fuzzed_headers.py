"""Whatever a header says: a sound that can be read, or a sentence for its owner, and both at once."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import numpy as np
import pytest
import soundfile

from callflows.audio.files import check
from callflows.audio.format import AudioError
from tests.lasting import lasting
from tests.seed import chosen_seed

FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF")
# Of each format; ten of them are 20,000.
WAYS = lasting(2000, 100_000)
# A check takes 0.4 ms of processor: this is what nobody waits for, on any machine.
SECONDS = 1.0
NUMBERS = (0, 1, 2, 44, 0x7F, 0x80, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
NAMES = (
    *(b"LIST", b"data", b"fmt ", b"ds64", b"fact", b"bext", b"cue ", b"smpl", b"PEAK", b"cart", b"ID3 ", b"ID3\3"),
    *(b"SSND", b"COMM", b"FORM", b"FVER", b"MARK", b"INST", b"OggS", b"chan", b"pakt", b"desc", b"kuki", b".snd"),
)


def files_of(name: str) -> list[bytes]:
    """Return half a second of sound in each encoding of a format, of one and of two channels."""
    sound = (np.sin(np.arange(4000) * 0.3) / 2).astype(np.float32)
    made = []
    for encoding in soundfile.available_subtypes(name):
        for channels in (1, 2):
            file = io.BytesIO()
            # Some encodings take no two channels, and some only the rates of their telephone.
            with suppress(soundfile.LibsndfileError):
                soundfile.write(file, np.stack([sound] * channels, 1), 8000, format=name, subtype=encoding)
                made.append(file.getvalue())
    return made


def spoilt(chance: Random, whole: bytes) -> bytes:
    """Spoil a file in one way, at one place or at several."""
    data, way = bytearray(whole), chance.randrange(8)
    # Most of what can go wrong is at the beginning.
    reach = min(len(data), chance.choice((64, 128, 512, len(data))))
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(reach)
        match way:
            case 0 | 1:
                write_number(chance, data, at)
            case 2:
                data[at : at + 4] = chance.choice(NAMES)
            case 3:
                data[at] ^= 1 << chance.randrange(8)
            case 4:
                del data[at : at + chance.randrange(1, 64)]
            case 5:
                data[at:at] = chance.randbytes(chance.randrange(1, 32))
            case 6:
                data[at:at] = whole[chance.randrange(len(whole)) :][: chance.randrange(1, 200)]
            case _:
                return bytes(data[:at])
        reach = max(1, min(reach, len(data)))
        if len(data) < reach or not data:
            break
    return bytes(data)


def write_number(chance: Random, data: bytearray, at: int) -> None:
    """Write a size, count or rate that is none, as wide as fields are, of either byte order."""
    width = chance.choice((1, 2, 4, 8))
    number = chance.choice((*NUMBERS, len(data), len(data) - 8, chance.getrandbits(64))) % (1 << 8 * width)
    data[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))


def ways(name: str, seed: int) -> Iterator[tuple[int, bytes]]:
    files = files_of(name)
    assert files
    for number in range(WAYS):
        yield number, spoilt(Random(f"{seed} {name} {number}"), files[number % len(files)])


@pytest.mark.parametrize("name", FORMATS)
def test_spoilt_header_is_read_or_refused_in_a_sentence(name: str) -> None:
    seed, said = chosen_seed(), []
    for number, data in ways(name, seed):
        began = time.process_time()
        try:
            check(io.BytesIO(data), max_seconds=600)
        except AudioError as error:
            said.append(str(error))
        except Exception as error:
            pytest.fail(f"seed {seed}, way {number}: {error!r}")
        taken = time.process_time() - began
        assert taken < SECONDS, f"seed {seed}, way {number}: {taken:.1f} s"
    assert len(said) > WAYS / 10
    assert [each for each in said if not each.endswith(".")] == []
