"""Knows odd sound files: what people upload by mistake, what programs write wrongly, and what nobody should write."""

from __future__ import annotations

import io
import math
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from callflows.audio.tones import tone

# The most that an odd file may last.
LIMIT = 3.0


def encoded(sound: NDArray[Any], rate: int = 44100, kind: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=kind, subtype=subtype)
    return file.getvalue()


def noise(seconds: float, rate: int = 44100) -> NDArray[np.float32]:
    """Something that no codec makes small."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32)


def channels(count: int, seconds: float = 1.0) -> NDArray[np.float32]:
    return np.repeat(tone(440, seconds, 44100)[:, None], count, axis=1)


def with_chunk(wav: bytes, name: bytes, content: bytes) -> bytes:
    """Return a WAV with one more chunk before its sound."""
    return wav[:12] + name + struct.pack("<I", len(content)) + content + wav[12:]


def counting(wav: bytes, count: int) -> bytes:
    """Return a WAV whose header counts other bytes of sound than there are."""
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", count) + wav[at + 4 :]


def id3(size: int) -> bytes:
    """Return the tag of an MP3, empty but for its size."""
    seven_bits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + seven_bits + bytes(size)


def mp3_frames(content: bytes) -> list[bytes]:
    """Return the frames of an MP3 at 44,100 Hz by MPEG 1, the first one, which tells of the others, too."""
    rates, found, at = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320), [], 0
    while at < len(content):
        length = 144 * rates[content[at + 2] >> 4] * 1000 // 44100 + (content[at + 2] >> 1 & 1)
        found.append(content[at : at + length])
        at += length
    return found


def ogg_page(content: bytes, flags: int, serial: int) -> bytes:
    """Return one page of an OGG with one packet; its checksum is right."""
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, 0, 0, 1) + bytes((len(content),))
    return head[:22] + struct.pack("<I", _checksum(head + content)) + head[26:] + content


def _checksum(page: bytes) -> int:
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ 0x04C11DB7 if register & 0x80000000 else register << 1) & 0xFFFFFFFF
    return register


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")


def flac_of_unknown_length(seconds: float) -> bytes:
    """Return a FLAC as written into a pipe: STREAMINFO names 0 samples, which stands for "not known"."""
    content = bytearray(encoded(np.zeros(round(44100 * seconds)), kind="FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def _big_endian(wav: bytes) -> bytes:
    """Return a WAV of 16 bits with all numbers the other way round."""
    sound = np.frombuffer(wav[44:], "<i2").astype(">i2").tobytes()
    form = struct.pack(">IHHIIHH", 16, *struct.unpack("<HHIIHH", wav[20:36]))
    return (
        b"RIFX" + struct.pack(">I", len(wav) - 8) + b"WAVEfmt " + form + b"data" + struct.pack(">I", len(sound)) + sound
    )


def _in_wav(mp3: bytes) -> bytes:
    form = struct.pack("<IHHIIHHHHIHHH", 30, 0x55, 1, 44100, 8000, 1, 0, 12, 1, 2, 208, 1, 1393)
    body = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(mp3)) + mp3
    return b"RIFF" + struct.pack("<I", len(body)) + body


def late_nan() -> NDArray[np.float64]:
    sound = tone(440, 2.0, 44100).astype(np.float64)
    sound[-7] = math.nan
    return sound


@cache
def right() -> dict[str, tuple[bytes, float]]:
    """Return odd files that are sound all the same, by what is odd, each with its length in seconds."""
    wav, flac = encoded(tone(440, 1.0, 44100)), encoded(tone(440, 1.0, 44100), kind="FLAC")
    mp3, other = encoded(tone(440, 1.0, 44100), kind="MP3"), encoded(tone(880, 1.0, 44100), kind="MP3")
    frames, more = mp3_frames(mp3), mp3_frames(other)
    whole = len(frames[1:] + more[1:]) * 1152 / 44100
    return {
        "192 kHz": (encoded(tone(440, 1.0, 192000), 192000), 1.0),
        "1 kHz": (encoded(tone(40, 1.0, 1000), 1000), 1.0),
        "7 channels": (encoded(channels(7)), 1.0),
        "64 channels": (encoded(channels(64, 0.2)), 0.2),
        "8 bit": (encoded(tone(440, 1.0, 44100), subtype="PCM_U8"), 1.0),
        "24 bit": (encoded(tone(440, 1.0, 44100), subtype="PCM_24"), 1.0),
        "32 bit": (encoded(tone(440, 1.0, 44100), subtype="PCM_32"), 1.0),
        "float of 64 bit": (encoded(tone(440, 1.0, 44100), subtype="DOUBLE"), 1.0),
        "A-law": (encoded(tone(440, 1.0, 8000), 8000, subtype="ALAW"), 1.0),
        "µ-law": (encoded(tone(440, 1.0, 8000), 8000, subtype="ULAW"), 1.0),
        "µ-law of Sun": (encoded(tone(440, 1.0, 8000), 8000, "AU", "ULAW"), 1.0),
        "W64": (encoded(tone(440, 1.0, 44100), kind="W64"), 1.0),
        "a length that nobody knew": (counting(wav, 0xFFFFFFFF), 1.0),
        "a length of 2 GiB": (counting(wav, 0x7FFFF024), 1.0),
        "half a sample at the end": (counting(wav, 88199), 1.0),
        "a header of 20 MB": (with_chunk(wav, b"LIST", bytes(20 << 20)), 1.0),
        "tags behind the sound": (wav + b"id3 " + struct.pack("<I", 3000) + bytes(3000), 1.0),
        "padding behind the sound": (wav + bytes(20000), 1.0),
        "a FLAC with a tag of an MP3": (id3(500) + flac, 1.0),
        "an MP3 with a tag of 8 MB": (id3(8 << 20) + mp3, 1.0),
        "a list whose pad byte is missing": (with_chunk(wav, b"LIST", b"INFOISFT\r\0\0\0Lavf58.76.100"), 1.0),
        "an MP3 behind 64 zeros": (bytes(64) + mp3, 1.0),
        "an MP3 whose tag is longer than it says": (id3(500) + bytes(2048) + mp3, 1.0),
        "an MP3 whose tag counts in bytes of eight bits": (b"ID3\x03\0\0\0\0\x01\x90" + bytes(400) + mp3, 1.0),
        "an MP3 in a WAV": (_in_wav(mp3), 1.0),
        "a WAV with lists larger than it": (with_chunk(wav, b"LIST", b"adtlerel\xf8\xff\xff\xff"), 1.0),
        "Apple's lossless codec": (encoded(tone(440, 1.0, 44100), kind="CAF", subtype="ALAC_16"), 1.0),
        "IMA ADPCM, in whole blocks": (encoded(tone(440, 1.0, 44100), subtype="IMA_ADPCM"), 1.01993),
        "GSM, in whole blocks": (encoded(tone(440, 1.0, 8000), 8000, subtype="GSM610"), 1.04),
        "an extensible WAV": (encoded(channels(2), kind="WAVEX"), 1.0),
        "a WAV of big numbers": (_big_endian(wav), 1.0),
        "an MP3 with an old tag at its end": (mp3 + b"TAG" + bytes(125), 1.0),
        "an MP3 without a count of its frames": (b"".join(frames[1:]), len(frames[1:]) * 1152 / 44100),
        "two MP3 put together": (mp3 + other, whole),
        "two MP3 put together, with tags": (id3(300) + mp3 + b"TAG" + bytes(125) + id3(300) + other, whole),
        "two MP3 without counts": (b"".join(frames[1:] + more[1:]), whole),
    }


@cache
def noted() -> dict[str, tuple[bytes, float, str]]:
    """Return sound with a flaw that loses nothing, by the flaw, each with its length and what the operator is told."""
    wav, aiff, au, caf, w64 = (
        encoded(tone(440, 1.0, 44100), kind=kind) for kind in ("WAV", "AIFF", "AU", "CAF", "W64")
    )
    opus = encoded(tone(440, 1.0, 48000), 48000, "OGG", "OPUS")
    size, never = struct.pack("<q", 88200 + 24), "as if it was never finished"
    over = {f"{count} bytes too many": (counting(wav, 88200 + count), 1.0, "too many") for count in (1, 2, 8, 28, 44)}
    return {
        **over,
        "a data length of zero": (counting(wav, 0), 1.0, never),
        "an AIFF of length zero": (aiff.replace(*_sized(b"SSND", ">I", 88208, 0)), 1.0, never),
        "a CAF of length zero": (caf.replace(*_sized(b"data", ">q", 88204, 0)), 1.0, never),
        "an AU of length zero": (au[:8] + bytes(4) + au[12:], 1.0, never),
        "a W64 of length zero": (w64.replace(size, struct.pack("<q", 24)), 1.0, never),
        "an AIFF that counts too many": (aiff.replace(*_sized(b"SSND", ">I", 88208, 88252)), 1.0, "44 bytes"),
        "an Opus without its end": (_endless(opus), 1.0, "is not marked"),
        "a Vorbis without its end": (_endless(encoded(tone(440, 1.0, 44100), kind="OGG")), 1.0, "is not marked"),
    }


def _sized(name: bytes, form: str, before: int, after: int) -> tuple[bytes, bytes]:
    return name + struct.pack(form, before), name + struct.pack(form, after)


def _endless(ogg: bytes) -> bytes:
    """Return an OGG whose last page does not say that it is one; its checksum is right."""
    at = ogg.rindex(b"OggS")
    head = ogg[at : at + 5] + bytes((ogg[at + 5] & ~4,)) + ogg[at + 6 : at + 22] + bytes(4) + ogg[at + 26 :]
    return ogg[:at] + head[:22] + struct.pack("<I", _checksum(head)) + head[26:]


@cache
def wrong() -> dict[str, tuple[bytes, str]]:
    """Return what can be no prompt, by what is wrong, each with what the operator is told."""
    return {**_cut_or_long(), **_no_numbers(), **_several(), **_no_sound()}


def _cut_or_long() -> dict[str, tuple[bytes, str]]:
    wav, long = encoded(noise(1.0)), encoded(noise(LIMIT + 0.5, 8000), 8000)
    ogg, mp3, w64 = (encoded(noise(1.0), kind=kind) for kind in ("OGG", "MP3", "W64"))
    return {
        "cut in its header": (wav[:30], "header cannot be read"),
        "cut in its sound": (wav[:-3000], "cut off: it promises 88,200 bytes"),
        "a FLAC cut early": (encoded(noise(1.0), kind="FLAC")[:30000], "cut off"),
        "a FLAC cut late": (encoded(noise(2.5), kind="FLAC")[:-30000], "cut off"),
        "a cut OGG": (ogg[:-1], "its last OGG page is not whole"),
        "a cut MP3": (mp3[: len(mp3) // 2], "cut off: it promises 1.0 s"),
        "a cut MP3 without a count": (b"".join(mp3_frames(mp3)[1:])[:9000], "its last frame, after 0."),
        "a cut W64": (w64[:50000], "cut off"),
        "zero frames": (encoded(np.zeros(0)), "There is no audio in this file."),
        "zero frames of OGG": (encoded(np.zeros(0), kind="OGG"), "There is no audio in this file."),
        "too long by its header": (long, "The sound is 0:04 long, at most 0:03 allowed."),
        "too long, and says nothing": (flac_of_unknown_length(LIMIT + 0.5), "The sound goes on after 0:03"),
    }


def _no_numbers() -> dict[str, tuple[bytes, str]]:
    wav = encoded(noise(1.0))
    nan, infinite = np.array([0.0, math.nan] * 100), np.array([0.0, math.inf] * 100)
    return {
        "NaN": (encoded(nan, subtype="FLOAT"), "values that are no numbers"),
        "NaN at the end": (encoded(late_nan(), subtype="DOUBLE"), "values that are no numbers"),
        "infinity": (encoded(infinite, subtype="DOUBLE"), "values that are no numbers"),
        "beyond all floats": (encoded(np.full(100, 1e300), subtype="DOUBLE"), "values that are no numbers"),
        "half the data length": (counting(wav, 44100), "counts 44,100 bytes of audio, but 44,100 more follow"),
        "a rate of 2 GHz": (wav.replace(struct.pack("<I", 44100), b"\xff\xff\xff\x7f", 1), "expected 1,000 to 384,000"),
    }


def _several() -> dict[str, tuple[bytes, str]]:
    wav, ogg, mp3, w64, aiff = (encoded(noise(1.0), kind=kind) for kind in ("WAV", "OGG", "MP3", "W64", "AIFF"))
    opus, half_rate = encoded(noise(1.0, 48000), 48000, "OGG", "OPUS"), encoded(noise(1.0, 22050), 22050, "MP3")
    return {
        "two WAV put together": (wav + wav, "several sounds"),
        "two AIFF put together": (aiff + aiff, "several sounds"),
        "two AU put together": (2 * encoded(noise(1.0), kind="AU"), "counts 88,200 bytes of audio, but 88,224 more"),
        "two CAF put together": (2 * encoded(noise(1.0), kind="CAF"), "several sounds"),
        "two W64 put together": (w64 + w64, "several sounds"),
        "two FLAC put together": (2 * encoded(noise(1.0), kind="FLAC"), "cannot be decoded"),
        "chained OGG": (ogg + encoded(noise(0.5), kind="OGG"), "several sounds"),
        "chained Opus": (opus + opus, "several sounds"),
        "MP3 of two rates put together": (mp3 + half_rate, "from 44,100 samples per second in one channel to 22,050"),
        "MP3 with a film between": (mp3 + b"z" * (3 << 20) + mp3, "damaged"),
    }


def _no_sound() -> dict[str, tuple[bytes, str]]:
    return {
        "only a tag": (id3(1024), "no MP3 sound"),
        "a picture": (png(), "This is a PNG picture, not a sound file; upload WAV, FLAC, OGG, MP3 or AIFF."),
        "an MP4 film": (b"\0\0\0\x18ftypisom" + noise(0.1).tobytes(), "an MP4, MOV or M4A file"),
        "a Matroska film": (b"\x1aE\xdf\xa3" + noise(0.1).tobytes(), "a Matroska or WebM file"),
        "an AVI film": (b"RIFF\0\x10\0\0AVI LIST" + noise(0.1).tobytes(), "an AVI video"),
        "an OGG film": (ogg_page(b"\x80theora\x03\x02\x01", 2, 7) + ogg_page(b"frame", 4, 7), "cannot be read"),
        "AAC": (b"\xff\xf1\x50\x80\x2e\x7f\xfc" + noise(0.1).tobytes(), "an AAC file"),
        "AMR": (b"#!AMR\n" + noise(0.1).tobytes(), "an AMR file"),
        "G.729": (_encoded_as(0x83), "encoded as G.729, which cannot be read here; export it as WAV"),
        "G.726": (_encoded_as(0x45), "encoded as G.726"),
        "TrueSpeech": (_encoded_as(0x22), "encoded as TrueSpeech"),
        "WMA in a WAV": (_encoded_as(0x161), "encoded as Windows Media Audio"),
        "an encoding that nobody knows": (_encoded_as(0x7777), "encoded as number 0x7777"),
        "an Amiga's 8SVX": (b"FORM\0\0\0\x648SVXVHDR" + bytes(88), "an IFF file, but not an AIFF"),
        "a W64 with a chunk of 2^63 bytes": (_huge_w64(), "header cannot be read"),
        "an RF64 of 2^63 bytes": (_huge_rf64(), "cut off: it promises 9,223,372,036,854,775,807 bytes"),
        "HTML": (b"<!doctype html><title>404</title>" * 50, "a web page or XML"),
        "text": (b"hello\n" * 1000, "not a sound file that can be read"),
        "nothing but zeros": (bytes(5000), "not a sound file that can be read"),
    }


def _encoded_as(tag: int) -> bytes:
    wav = encoded(noise(0.1, 8000), 8000)
    return wav[:20] + struct.pack("<H", tag) + wav[22:]


def _huge_w64() -> bytes:
    """Return a W64 in which a chunk before the sound says that it is larger than any file."""
    w64 = encoded(noise(0.1), kind="W64")
    return w64[:40] + b"junk" + bytes(12) + struct.pack("<Q", 2**63 - 8) + w64[40:]


def _huge_rf64() -> bytes:
    return encoded(noise(0.1), kind="RF64").replace(struct.pack("<Q", 8820), struct.pack("<Q", 2**63 - 1), 1)
