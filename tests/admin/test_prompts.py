"""Prompts in the admin: uploaded, converted, heard, and told what is wrong with them."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as settings_of_django
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.audio.files import wav_bytes
from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone
from callflows.models import AudioPrompt, Job
from tests.admin.forms import field_errors, someone
from tests.audio import odd
from tests.make import make_flow, make_prompt

pytestmark = pytest.mark.django_db

PROMPTS = "/admin/callflows/audioprompt/"


def wav(seconds: float = 1.0, channels: int = 1, rate: int = 16000, level_db: float = -12) -> bytes:
    mono = to_int16(tone(440, seconds, rate, level_db=level_db))
    return wav_bytes(np.repeat(mono, channels).astype(np.dtype("<i2")).tobytes(), rate, channels)


def upload(
    client: Client, content: bytes, name: str = "greeting.wav", page: str = "add/", title: str = "Greeting"
) -> Any:
    sound = SimpleUploadedFile(name, content)
    return client.post(f"{PROMPTS}{page}", {"name": title, "description": "", "sound": sound})


def work() -> None:
    """Do what a worker does, until nothing is due."""
    while Job.objects.run_next("test"):
        pass


def page_of(client: Client, prompt: AudioPrompt) -> str:
    return client.get(f"{PROMPTS}{prompt.pk}/change/").content.decode()


def files() -> list[Path]:
    return [each for each in Path(settings_of_django.MEDIA_ROOT).rglob("*") if each.is_file()]


def test_upload_becomes_a_version_once_a_worker_has_converted_it(admin_client: Client) -> None:
    response = upload(admin_client, wav(12.5))
    prompt = AudioPrompt.objects.get()
    assert response["Location"] == f"{PROMPTS}{prompt.pk}/change/"
    page = page_of(admin_client, prompt)
    assert "greeting.wav, version 1" in page
    assert "Reload it to see how far it is." in page
    assert "data-busy" in page
    work()
    version = prompt.versions.get()
    assert (version.number, version.seconds, version.file_name) == (1, 12.5, "greeting.wav")
    page = page_of(admin_client, prompt)
    assert f'<audio controls preload="none" src="/files/prompts/{version.pk}.wav"' in page
    assert '<svg class="wave" viewBox="0 -100 400 200"' in page
    for said in ("0:12", "−15.6 LUFS", "−15.0 dBFS", "−12.0 dBFS", "greeting.wav, 16 kHz, mono"):
        assert said in page, said
    assert "data-busy" not in page
    assert Job.objects.get().state == Job.State.DONE


def test_page_asks_for_what_changed_until_there_is_nothing_to_wait_for(admin_client: Client) -> None:
    upload(admin_client, wav())
    prompt = AudioPrompt.objects.get()
    address = f"{PROMPTS}{prompt.pk}/sounds/"
    before = admin_client.get(address).json()
    assert (before["busy"], "waiting" in before["coming"], before["sounds"].strip()) == (True, True, "")
    prompt.uploads.get().tell(0.43)
    assert 'value="40"' in admin_client.get(address).json()["coming"]
    work()
    after = admin_client.get(address).json()
    assert (after["busy"], after["coming"].strip(), "<audio" in after["sounds"]) == (False, "", True)


def test_page_says_when_no_worker_comes(admin_client: Client) -> None:
    upload(admin_client, wav())
    prompt = AudioPrompt.objects.get()
    assert "does <code>manage.py work</code> run?" not in page_of(admin_client, prompt)
    prompt.uploads.update(created=timezone.now() - timedelta(seconds=11))
    assert "does <code>manage.py work</code> run?" in page_of(admin_client, prompt)


def test_list_says_what_is_converted_and_what_failed(admin_client: Client) -> None:
    old = make_prompt(name="Old")
    upload(admin_client, wav())
    upload(admin_client, noisy_end(), page=f"{old.pk}/change/", title="Old")
    assert admin_client.get(PROMPTS).content.decode().count("converting") == 2
    work()
    page = admin_client.get(PROMPTS).content.decode()
    assert ("converting" in page, page.count('"badge bad">failed')) == (False, 1)


def noisy_end() -> bytes:
    """A sound that only shows that it is none when it is converted."""
    return odd.wrong()["NaN at the end"][0]


def test_conversion_that_fails_leaves_a_sentence_and_nothing_else(admin_client: Client) -> None:
    prompt = make_prompt(name="Greeting")
    before = files()
    upload(admin_client, noisy_end(), name="bad.wav", page=f"{prompt.pk}/change/")
    work()
    page = page_of(admin_client, prompt)
    assert "bad.wav" in page
    assert "The file holds values that are no numbers (NaN or infinity); export it again." in page
    assert "data-busy" not in page
    assert (prompt.versions.count(), files()) == (1, before)
    assert Job.objects.get().state == Job.State.FAILED
    # The next upload takes the sentence away, and the number that was not used.
    upload(admin_client, wav(), page=f"{prompt.pk}/change/")
    work()
    assert "could not be converted" not in page_of(admin_client, prompt)
    assert [each.number for each in prompt.versions.all()] == [2, 1]


def test_older_versions_are_kept_and_heard(admin_client: Client) -> None:
    upload(admin_client, wav())
    prompt = AudioPrompt.objects.get()
    work()
    assert upload(admin_client, wav(2.0), page=f"{prompt.pk}/change/").status_code == 302
    work()
    assert [(each.number, each.seconds) for each in prompt.versions.all()] == [(2, 2.0), (1, 1.0)]
    page = page_of(admin_client, prompt)
    assert "Older versions (1)" in page
    assert page.count("<audio") == 2


def test_flaws_stand_on_the_page(admin_client: Client) -> None:
    upload(admin_client, wav(0.2, level_db=-70))
    work()
    page = page_of(admin_client, AudioPrompt.objects.get())
    assert "Silent: its loudest sample is at -70 dBFS." in page
    assert "0.2 s" in page


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "This file is empty; upload WAV, FLAC, OGG, MP3 or AIFF."),
        (wav()[:-3000], "cut off"),
        (odd.png(), "This is a PNG picture, not a sound file; upload WAV, FLAC, OGG, MP3 or AIFF."),
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
    assert not files()


def test_wrong_upload_leaves_the_old_version(admin_client: Client) -> None:
    prompt = make_prompt()
    assert "sound" in field_errors(upload(admin_client, odd.png(), page=f"{prompt.pk}/change/"))
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
    assert reader.get(f"{PROMPTS}{prompt.pk}/sounds/").status_code == 200
    assert someone("view_call", name="bea").get(f"{PROMPTS}{prompt.pk}/sounds/").status_code == 403
    assert reader.get(f"{PROMPTS}{prompt.pk}/change/").status_code == 200
    assert upload(reader, wav(), page=f"{prompt.pk}/change/").status_code == 403


def test_upload_is_read_once_however_it_arrives(admin_client: Client, settings: Settings) -> None:
    """A large upload is a file on disk, a small one stands in memory."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert upload(admin_client, wav()).status_code == 302
    assert io.BytesIO(wav()).getbuffer().nbytes > 1000
    work()
    assert AudioPrompt.objects.get().versions.count() == 1
