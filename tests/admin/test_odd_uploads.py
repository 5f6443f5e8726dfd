"""Whatever is uploaded as a prompt: a version with all its files, or a sentence and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from pytest_django import Settings

from callflows.admin import prompts
from callflows.audio.apart import check_apart
from callflows.models import AudioPrompt, Job, PromptUpload
from callflows.models.prompts import FILES
from tests.admin.forms import field_errors
from tests.audio import odd

ADD = "/admin/callflows/audioprompt/add/"


@pytest.fixture(autouse=True)
def short(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.PROMPT_MAX_SECONDS = odd.LIMIT
    caplog.set_level(logging.ERROR)


def files(settings: Settings) -> list[str]:
    return sorted(each.name for each in Path(settings.MEDIA_ROOT).rglob("*") if each.is_file())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", odd.right())
def test_odd_sound_becomes_a_version(admin_client: Client, settings: Settings, name: str) -> None:
    sound = SimpleUploadedFile("greeting.raw", odd.right()[name][0])
    assert admin_client.post(ADD, {"name": "Greeting", "sound": sound}).status_code == 302
    assert Job.objects.run_next("test")
    assert AudioPrompt.objects.get().versions.count() == 1
    assert not PromptUpload.objects.exists()
    assert files(settings) == sorted(FILES)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", odd.wrong())
def test_what_is_no_sound_leaves_a_sentence_and_nothing_else(
    admin_client: Client, settings: Settings, name: str
) -> None:
    content, told = odd.wrong()[name]
    response = admin_client.post(ADD, {"name": "Greeting", "sound": SimpleUploadedFile("greeting.wav", content)})
    if response.status_code == 200:
        assert told in " ".join(field_errors(response)["sound"])
        assert not AudioPrompt.objects.exists()
    else:
        Job.objects.run_next("test")
        upload = PromptUpload.objects.get()
        assert (upload.state, told in upload.error, upload.prompt.newest) == (PromptUpload.State.FAILED, True, None)
    assert files(settings) == []
    assert not list(Path(settings.MEDIA_ROOT).rglob("prompts/*"))


@pytest.mark.django_db(transaction=True)
def test_upload_is_examined_once_and_in_no_transaction(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite nobody else writes while one is open: a healthy MP3 of 60 MB cost two calls their flow."""
    within = []

    def examine(source: BinaryIO, max_seconds: float) -> None:
        within.append(connection.in_atomic_block)
        check_apart(source, max_seconds)

    monkeypatch.setattr(prompts, "check_apart", examine)
    content = odd.encoded(odd.noise(1.0, 8000), 8000)
    sent: dict[str, Any] = {"name": "Greeting", "sound": SimpleUploadedFile("greeting.wav", content)}
    assert admin_client.post(ADD, sent).status_code == 302
    prompt = AudioPrompt.objects.get()
    sent["sound"] = SimpleUploadedFile("greeting.wav", content)
    assert admin_client.post(f"/admin/callflows/audioprompt/{prompt.pk}/change/", sent).status_code == 302
    assert within == [False, False]
