"""Knows what a file is by its content: names and content types of others may be wrong."""

from __future__ import annotations

# Bytes at the start that are enough to tell.
HEAD_BYTES = 16
USABLE = "upload WAV, FLAC, OGG, MP3 or AIFF"
HEADER_UNREADABLE = "The file is cut off or damaged: its header cannot be read."
# What people take for a sound file, by its first bytes.
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"\x1f\x8b": "a GZIP archive",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"0&\xb2u": "a Windows Media file",
    b"FLV\x01": "a Flash video",
    b"\0\0\x01\xba": "an MPEG video",
    b"\0\0\x01\xb3": "an MPEG video",
    b"#!AMR": "an AMR file",
    b"MThd": "a MIDI file, notes without sound",
    b"<": "a web page or XML",
    b"{": "a text file",
}
_SOUND_HEADS = (b"RIFF", b"RF64", b"RIFX", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff")


def kind_of(head: bytes) -> str:
    """Return ``mp3``, ``wav`` or ``ogg``, what Vonage records, by a file's first 16 bytes; empty for anything else."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        return "ogg"
    return "mp3" if head[:3] == b"ID3" or is_mpeg(head) else ""


def named_other(head: bytes) -> str:
    """Return the sentence for a file that is no sound we read, where its first 16 bytes tell; else nothing."""
    for start, name in _OTHERS.items():
        if head.startswith(start):
            return f"This is {name}, not a sound file; {USABLE}."
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return f"This is an MP4, MOV or M4A file, which cannot be read here; {USABLE}."
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return f"This is an AVI video, not a sound file; {USABLE}."
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return f"This is an AAC file, which cannot be read here; {USABLE}."
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] != b"WAVE" and len(head) >= 12:
        return f"This is a RIFF file, but not a WAV; {USABLE}."
    if head[:4] == b"FORM" and head[8:12] not in (b"AIFF", b"AIFC") and len(head) >= 12:
        return f"This is an IFF file, but not an AIFF; {USABLE}."
    return ""


def why_unreadable(head: bytes) -> str:
    """Return the sentence for a file that cannot be decoded, by its first 16 bytes."""
    if other := named_other(head):
        return other
    if head[:3] == b"ID3":
        return f"There is a tag with a title, but no MP3 sound that can be read behind it; {USABLE}."
    if head[:4] in _SOUND_HEADS or is_mpeg(head):
        return HEADER_UNREADABLE
    return f"This is not a sound file that can be read; {USABLE}."


def is_mpeg(head: bytes) -> bool:
    """Whether these are the first bytes of an MPEG audio frame: eleven bits set, layer III, a real bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    return head[1] & 0x06 == 0x02 and head[1] & 0x18 != 0x08 and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C
