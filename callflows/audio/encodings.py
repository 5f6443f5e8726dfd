"""Knows the names of the encodings in a WAV or AIFF file, and which of them are never given to the decoder."""

from __future__ import annotations

import struct

from callflows.audio.format import AudioError

EXPORT = "export it as WAV with 16-bit PCM, A-law or µ-law"
MP3 = 0x55
EXTENSIBLE = 0xFFFE
# Format tags of WAV that the decoder knows: PCM, MS ADPCM, float, A-law, µ-law, IMA ADPCM, GSM 6.10,
# two of dialling machines, G.721, MP3.
DECODED = {0x01, 0x02, 0x03, 0x06, 0x07, 0x11, 0x31, 0x38, 0x40, MP3}
# What recorders, call centres and old Windows write besides, by its format tag (mmreg.h).
NAMED = {
    0x0A: "Windows Media Voice",
    0x10: "OKI ADPCM",
    0x14: "G.723 ADPCM",
    0x17: "Dialogic (VOX) ADPCM",
    0x22: "TrueSpeech",
    0x41: "G.728",
    0x42: "G.723.1",
    0x45: "G.726",
    0x50: "MPEG layer I or II",
    0x64: "G.726",
    0x65: "G.722",
    0x83: "G.729",
    0x84: "G.729",
    0x92: "Dolby AC-3",
    0xFF: "AAC",
    0x111: "G.723.1",
    0x130: "ACELP.net",
    0x133: "G.729",
    0x135: "G.729",
    0x160: "Windows Media Audio",
    0x161: "Windows Media Audio",
    0x162: "Windows Media Audio",
    0x163: "Windows Media Audio",
    0x270: "ATRAC3",
    0x1600: "AAC",
    0x1602: "AAC",
    0x1610: "AAC",
    0x2000: "Dolby AC-3",
    0x2001: "DTS",
    0x566F: "Vorbis",
    0x674F: "Vorbis",
    0x704F: "Opus",
    0xA100: "G.723.1",
    0xA107: "G.726",
    0xA109: "Speex",
    0xA112: "G.722",
    0xF1AC: "FLAC",
}
# Compression types of AIFF-C that the decoder knows.
DECODED_AIFC = {
    *(b"NONE", b"none", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42ni", b"23ni", b"fl32", b"FL32", b"fl64"),
    *(b"FL64", b"ulaw", b"ULAW", b"alaw", b"ALAW", b"ima4", b"GSM ", b"AGSM", b"DWVW"),
}
DECODED_CAF = {b"lpcm", b"ulaw", b"alaw", b"alac"}
# Encodings of AU: µ-law, PCM of 8, 16, 24 and 32 bits, float, double, G.721, G.723 twice, A-law.
DECODED_AU = {1, 2, 3, 4, 5, 6, 7, 23, 25, 26, 27}
# Codecs in an OGG by how their first packet begins.
DECODED_OGG = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")


def wav_tag(form: bytes, order: str) -> int:
    """Return the format tag in the content of a ``fmt `` chunk; of an extensible one its sub-format's."""
    tag: int = struct.unpack(f"{order}H", form[:2])[0]
    if tag == EXTENSIBLE and len(form) >= 26:
        return int(struct.unpack(f"{order}H", form[24:26])[0])
    return tag


def refuse_undecoded(known: bool, name: str) -> None:
    """Raise AudioError for an encoding that is never given to the decoder."""
    if not known:
        raise AudioError(f"The sound in this file is encoded as {name}, which cannot be read here; {EXPORT}.")


def shown(code: bytes) -> str:
    """Return four bytes of a file as text for a person."""
    return repr(code.decode("latin-1")) if code.isascii() and code.decode().isprintable() else f"0x{code.hex()}"
