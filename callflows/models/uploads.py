"""Knows uploads of prompts: checked at once, converted to versions by jobs, and nothing is left of what fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from callflows.audio.format import AudioError
from callflows.models.jobs import Hopeless, Job, job
from callflows.models.prompts import (
    FOLDER,
    UPLOAD,
    AudioPrompt,
    Converted,
    PromptVersion,
    converted,
    new_folder,
    remove,
)

# A folder that nobody names is still being made for so long: a request that saves a large upload takes minutes.
ORPHAN_HOURS = 6


def _failed(text: str, upload: int) -> None:
    PromptUpload.objects.fail(upload, text)


@job(slow=True, given_up=_failed)
def convert_prompt(upload: int) -> None:
    """Convert an upload to a version of its prompt. Slow: it computes for seconds, and nobody's call waits for it."""
    PromptUpload.objects.convert(upload)


class PromptUploadQuerySet(models.QuerySet["PromptUpload"]):
    def coming(self) -> models.QuerySet[PromptUpload]:
        """Return those that will be a version soon."""
        return self.exclude(state=PromptUpload.State.FAILED)

    def take(self, prompt: AudioPrompt, source: File[bytes], file_name: str = "") -> PromptUpload:
        """Keep an upload, which was checked, and have it converted by a worker. A failed one before it is forgotten."""
        folder = new_folder()
        try:
            default_storage.save(f"{folder}/{UPLOAD}", source)
            with transaction.atomic():
                self.filter(prompt=prompt, state=PromptUpload.State.FAILED).delete()
                number = prompt.next_number()
                made = self.create(prompt=prompt, number=number, folder=folder, file_name=file_name[-200:])
                Job.objects.enqueue("convert_prompt", upload=made.pk)
        except BaseException:
            remove(folder)
            raise
        return made

    def convert(self, pk: int) -> PromptVersion | None:
        """Make an upload a version; None when it is one already, or its prompt was deleted.

        Safe to repeat, and at several workers: the row is locked while the files get their names. Raises Hopeless with
        a sentence for what is wrong with the sound.
        """
        found = self.filter(pk=pk).first()
        if found is None:
            return None
        if found.state == PromptUpload.State.FAILED:
            raise Hopeless(found.error)
        try:
            with found.opened() as source, converted(source, found.tell) as done:
                return self._keep(pk, done)
        except AudioError as error:
            raise Hopeless(str(error)) from None
        except Exception as error:
            # Tried again; until then the page says why it takes so long.
            trouble = f"{type(error).__name__}: {error}"
            self.filter(pk=pk).update(state=PromptUpload.State.WAITING, error=trouble.replace("\0", ""))
            raise

    def _keep(self, pk: int, done: Converted) -> PromptVersion | None:
        with transaction.atomic():
            row = self.select_for_update(of=("self",)).select_related("prompt").filter(pk=pk).first()
            if row is None:
                return None
            version = done.keep(row.prompt, row.number, row.folder, row.file_name)
            row.delete()
        return version

    def fail(self, pk: int, text: str) -> None:
        """Keep the sentence that says why an upload is no version, and nothing else of it."""
        found = self.filter(pk=pk).first()
        if found and self.filter(pk=pk).update(state=PromptUpload.State.FAILED, error=text, percent=0):
            remove(found.folder)

    def sweep(self, now: datetime) -> int:
        """Remove folders that no row names any more, or never did: a process was killed. Return how many."""
        try:
            there = set(default_storage.listdir(FOLDER)[0])
        except (FileNotFoundError, NotImplementedError):
            return 0
        named = {*self.values_list("folder", flat=True), *PromptVersion.objects.values_list("folder", flat=True)}
        old = [each for name in there if (each := f"{FOLDER}/{name}") not in named and _is_old(each, now)]
        for folder in old:
            remove(folder)
        return len(old)


class PromptUpload(models.Model):
    """A sound file on its way to be a version, or the sentence that says why it is none. Its file is gone then."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        CONVERTING = "converting", "converting"
        FAILED = "failed", "failed"

    prompt = models.ForeignKey(AudioPrompt, on_delete=models.CASCADE, related_name="uploads")
    number = models.PositiveIntegerField()
    folder = models.CharField(max_length=100)
    file_name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    percent = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)

    objects = PromptUploadQuerySet.as_manager()

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=("prompt", "number"), name="upload_number_once_in_a_prompt"),)

    def __str__(self) -> str:
        return f"{self.file_name or 'upload'} ({self.get_state_display()})"

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open its file; from now on it is being converted. Raises Hopeless when the file is gone."""
        try:
            file = default_storage.open(f"{self.folder}/{UPLOAD}")
        except FileNotFoundError:
            raise Hopeless("The file that was uploaded is gone: upload it again.") from None
        self.tell(0.0)
        with file:
            yield cast(BinaryIO, file.file or file)

    def tell(self, part: float) -> None:
        """Write down which part of it is converted, from 0 to 1; every 5 %, since SQLite has one writer."""
        percent = int(part * 20) * 5
        if percent == self.percent and self.state == self.State.CONVERTING:
            return
        self.percent, self.state = percent, self.State.CONVERTING
        PromptUpload.objects.coming().filter(pk=self.pk).update(percent=percent, state=self.state, error="")


@receiver(post_delete, sender=PromptUpload)
def remove_upload(instance: PromptUpload, **kwargs: Any) -> None:
    """An upload's file goes with it; its folder may be that of the version that was made of it."""
    transaction.on_commit(lambda: _remove_upload(instance.folder))


def _remove_upload(folder: str) -> None:
    remove(folder, UPLOAD)
    if not PromptVersion.objects.filter(folder=folder).exists():
        remove(folder)


def _is_old(folder: str, now: datetime) -> bool:
    try:
        made = [default_storage.get_modified_time(f"{folder}/{name}") for name in default_storage.listdir(folder)[1]]
    except OSError:
        return False
    return max(made, default=now - timedelta(days=1)) < now - timedelta(hours=ORPHAN_HOURS)
