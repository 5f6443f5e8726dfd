from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from callflows.audio.files import wav_bytes
from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone
from callflows.models import AudioPrompt
from tests.admin.forms import field_errors, someone
from tests.make import make_flow, make_prompt

pytestmark = pytest.mark.django_db

PROMPTS = "/admin/callflows/audioprompt/"


def wav(seconds: float = 1.0, channels: int = 1, rate: int = 16000) -> bytes:
    mono = to_int16(tone(440, seconds, rate))
    return wav_bytes(np.repeat(mono, channels).astype(np.dtype("<i2")).tobytes(), rate, channels)


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")


def upload(client: Client, content: bytes, name: str = "greeting.wav", page: str = "add/") -> Any:
    sound = SimpleUploadedFile(name, content)
    return client.post(f"{PROMPTS}{page}", {"name": "Greeting", "description": "", "sound": sound})


def test_upload_becomes_a_version_with_length_and_level(admin_client: Client) -> None:
    assert upload(admin_client, wav(1.5)).status_code == 302
    prompt = AudioPrompt.objects.get()
    version = prompt.versions.get()
    assert (version.number, version.seconds, version.file_name) == (1, 1.5, "greeting.wav")
    page = admin_client.get(f"{PROMPTS}{prompt.pk}/change/").content.decode()
    assert f'<audio controls preload="none" src="/files/prompts/{version.pk}.wav">' in page
    assert f"{version.level:.1f} dBFS" in page


def test_another_upload_is_another_version(admin_client: Client) -> None:
    upload(admin_client, wav())
    prompt = AudioPrompt.objects.get()
    assert upload(admin_client, wav(2.0), page=f"{prompt.pk}/change/").status_code == 302
    assert [each.number for each in prompt.versions.all()] == [2, 1]


def test_seven_channels_are_mixed_to_one(admin_client: Client) -> None:
    assert upload(admin_client, wav(channels=7)).status_code == 302
    assert AudioPrompt.objects.get().versions.get().seconds == 1.0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "This file is empty; upload WAV, FLAC, OGG, MP3 or AIFF."),
        (wav()[:-3000], "cut off"),
        (png(), "This is a PNG picture, not a sound file; upload WAV, FLAC, OGG, MP3 or AIFF."),
        (wav(3.0), "The sound is 0:03 long, at most 0:02 allowed."),
        (wav(0.0), "There is no audio in this file."),
    ],
    ids=["empty", "truncated", "png", "too-long", "no-sound"],
)
def test_wrong_upload_is_told_on_its_field_and_keeps_nothing(
    admin_client: Client, settings: Settings, content: bytes, told: str
) -> None:
    settings.PROMPT_MAX_SECONDS = 2.0
    (message,) = field_errors(upload(admin_client, content))["sound"]
    assert told in message
    assert not AudioPrompt.objects.exists()
    assert not [each for each in Path(settings.MEDIA_ROOT).rglob("*") if each.is_file()]


def test_wrong_upload_leaves_the_old_version(admin_client: Client) -> None:
    prompt = make_prompt()
    assert "sound" in field_errors(upload(admin_client, png(), page=f"{prompt.pk}/change/"))
    assert prompt.versions.count() == 1


def test_new_prompt_needs_a_sound_and_an_old_one_does_not(admin_client: Client) -> None:
    sent = {"name": "Greeting", "description": "Says hello"}
    assert "sound" in field_errors(admin_client.post(f"{PROMPTS}add/", sent))
    prompt = make_prompt()
    assert admin_client.post(f"{PROMPTS}{prompt.pk}/change/", sent).status_code == 302
    assert prompt.versions.count() == 1


def test_page_says_where_a_prompt_is_used(admin_client: Client) -> None:
    prompt = make_prompt()
    make_flow(("sound", "connect", {"app": "play", "settings": {"prompt": prompt.pk}}))
    page = admin_client.get(f"{PROMPTS}{prompt.pk}/change/").content.decode()
    assert "step sound of flow Echo (draft)" in page
    assert "step sound of flow Echo (version 1, live)" in page


def test_reader_sees_a_prompt_and_cannot_upload() -> None:
    prompt = make_prompt()
    reader = someone("view_audioprompt")
    assert reader.get(f"{PROMPTS}{prompt.pk}/change/").status_code == 200
    assert upload(reader, wav(), page=f"{prompt.pk}/change/").status_code == 403


def test_upload_is_read_once_however_it_arrives(admin_client: Client, settings: Settings) -> None:
    """A large upload is a file on disk, a small one stands in memory."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert upload(admin_client, wav()).status_code == 302
    assert io.BytesIO(wav()).getbuffer().nbytes > 1000
    assert AudioPrompt.objects.get().versions.count() == 1
