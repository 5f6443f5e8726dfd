"""An upload becomes a version when all of it is converted, once, whoever dies over it; until then nothing plays it."""

from __future__ import annotations

import io
import logging
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import Settings

from callflows.models import AudioPrompt, CallFlow, Job, PromptUpload, PromptVersion
from callflows.models import uploads as module
from callflows.models.jobs import ATTEMPTS
from callflows.models.prompts import FILES, Converted
from callflows.ncco.problems import InvalidNcco
from callflows.sockets.registry import outcomes
from tests.audio.odd import encoded, noise
from tests.make import make_flow, make_prompt

pytestmark = pytest.mark.django_db(transaction=True)


def take(prompt: AudioPrompt, seconds: float = 1.0, content: bytes = b"") -> PromptUpload:
    source = ContentFile(content or encoded(noise(seconds, 8000), 8000))
    return PromptUpload.objects.take(prompt, source, "greeting.wav")


def empty() -> AudioPrompt:
    return AudioPrompt.objects.create(name="Greeting")


def files(settings: Settings) -> list[str]:
    return sorted(each.name for each in Path(settings.MEDIA_ROOT).rglob("*") if each.is_file())


def test_upload_is_no_version_before_it_is_converted() -> None:
    prompt = empty()
    upload = take(prompt)
    assert prompt.newest is None
    assert AudioPrompt.objects.named(prompt.pk)["version"] is None
    version = PromptUpload.objects.convert(upload.pk)
    assert version is not None
    assert (version.number, version.source_rate, version.channels, version.seconds) == (1, 8000, 1, 1.0)
    assert prompt.newest == version


def test_conversion_leaves_the_version_and_nothing_else(settings: Settings) -> None:
    upload = take(empty())
    assert files(settings) == ["upload"]
    PromptUpload.objects.convert(upload.pk)
    assert files(settings) == sorted(FILES)
    assert not PromptUpload.objects.exists()


def test_conversion_that_runs_twice_makes_one_version(settings: Settings) -> None:
    upload = take(empty())
    assert PromptUpload.objects.convert(upload.pk)
    assert PromptUpload.objects.convert(upload.pk) is None
    assert (PromptVersion.objects.count(), files(settings)) == (1, sorted(FILES))


def test_second_of_two_workers_at_one_upload_keeps_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one was slow, its lease ran out, and both have converted it now."""
    upload = take(empty())
    keep = PromptUpload.objects.all()._keep

    def slow(self: object, pk: int, done: Converted) -> PromptVersion | None:
        monkeypatch.undo()
        assert PromptUpload.objects.convert(pk)
        return keep(pk, done)

    monkeypatch.setattr(module.PromptUploadQuerySet, "_keep", slow)
    assert PromptUpload.objects.convert(upload.pk) is None
    assert (PromptVersion.objects.count(), files(settings)) == (1, sorted(FILES))


def test_files_of_a_worker_that_was_killed_are_replaced(settings: Settings) -> None:
    upload = take(empty())
    for name in FILES[:2]:
        default_storage.save(f"{upload.folder}/{name}", ContentFile(b"half"))
    version = PromptUpload.objects.convert(upload.pk)
    assert version is not None
    assert files(settings) == sorted(FILES)
    assert default_storage.size(f"{version.folder}/8000.l16") == 16000


def test_later_upload_is_the_newer_version_whichever_is_converted_first() -> None:
    prompt = make_prompt()
    first, second = take(prompt, 1.0), take(prompt, 2.0)
    for upload in (second, first):
        PromptUpload.objects.convert(upload.pk)
    assert [(each.number, each.seconds) for each in prompt.versions.all()] == [(3, 2.0), (2, 1.0), (1, 1.0)]


def test_progress_is_written_every_five_percent_and_never_onto_a_failure() -> None:
    upload = take(empty())
    upload.tell(0.549)
    assert list(PromptUpload.objects.values_list("state", "percent")) == [("converting", 50)]
    PromptUpload.objects.fail(upload.pk, "It is no sound.")
    upload.tell(0.9)
    assert list(PromptUpload.objects.values_list("state", "error")) == [("failed", "It is no sound.")]


def test_trouble_is_tried_again_and_told_in_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    upload = take(empty())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Converted, "keep", full)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        Job.objects.run_next("worker")
        upload.refresh_from_db()
        assert (upload.state, upload.error) == ("waiting", "OSError: [Errno 28] No space left on device")
        assert files(settings) == ["upload"]
        for _ in range(ATTEMPTS - 1):
            clock.shift(timedelta(hours=1))
            assert Job.objects.run_next("worker")
    upload.refresh_from_db()
    assert (upload.state, upload.error) == ("failed", "OSError: [Errno 28] No space left on device")
    assert files(settings) == []
    # Tried again by hand, it says the same: its file is gone.
    assert Job.objects.get().try_again()
    Job.objects.run_next("worker")
    upload.refresh_from_db()
    assert upload.error == "OSError: [Errno 28] No space left on device"


def test_upload_whose_file_is_gone_says_so(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    upload = take(empty())
    default_storage.delete(f"{upload.folder}/upload")
    Job.objects.run_next("worker")
    upload.refresh_from_db()
    assert (upload.state, upload.error) == ("failed", "The file that was uploaded is gone: upload it again.")


def test_prompt_that_is_deleted_takes_its_upload_with_it(settings: Settings) -> None:
    prompt = make_prompt()
    upload = take(prompt)
    prompt.delete()
    assert files(settings) == []
    assert not list(Path(settings.MEDIA_ROOT).glob("prompts/*"))
    assert PromptUpload.objects.convert(upload.pk) is None


def test_folder_that_no_row_names_is_removed_once_it_is_old(settings: Settings) -> None:
    """A request was killed between its file and its row; one that goes on is left alone."""
    prompt = make_prompt()
    upload = take(prompt)
    default_storage.save("prompts/orphan/upload", ContentFile(b"x"))
    # By the clock of the files: it is no test that moves it.
    now = default_storage.get_modified_time("prompts/orphan/upload")
    assert PromptUpload.objects.sweep(now) == 0
    assert PromptUpload.objects.sweep(now + timedelta(hours=7)) == 1
    assert sorted(default_storage.listdir("prompts")[0]) == sorted(
        Path(each.folder).name for each in (upload, prompt.versions.get())
    )


def test_flow_is_not_published_before_its_prompt_has_a_sound() -> None:
    prompt = empty()
    upload = take(prompt)
    flow = make_flow(("hello", "stream", {"prompt": prompt.pk}), publish=False)
    with pytest.raises(InvalidNcco, match="names a prompt without sound: upload one, or wait until it is converted"):
        flow.publish(outcomes())
    version = PromptUpload.objects.convert(upload.pk)
    assert version is not None
    published = flow.publish(outcomes())
    assert published.document["steps"][0]["options"]["prompt"]["version"] == version.pk


def test_flow_is_published_with_the_sound_that_is_there_and_says_that_another_is_coming() -> None:
    prompt = make_prompt()
    old, upload = prompt.newest, take(prompt)
    assert old is not None
    flow = make_flow(("hello", "stream", {"prompt": prompt.pk}), publish=False)
    published = flow.publish(outcomes())
    assert published.document["steps"][0]["options"]["prompt"]["version"] == old.pk
    assert [(each.path, each.severity) for each in flow.problems(outcomes())] == [("hello.prompt", "warning")]
    assert "still being converted" in flow.problems(outcomes())[0].message
    assert not CallFlow.objects.get().unpublished
    PromptUpload.objects.convert(upload.pk)
    assert flow.problems(outcomes()) == []
    # Callers go on hearing the old one until it is published again.
    assert CallFlow.objects.get().unpublished


def test_sound_that_is_added_at_once_is_a_version_at_once(settings: Settings) -> None:
    version = empty().add_version(io.BytesIO(encoded(noise(0.5, 16000), 16000)), "demo.wav")
    assert (version.number, version.seconds, len(version.waveform)) == (1, 0.5, 250)
    assert version.loudness is not None
    assert files(settings) == sorted(FILES)
