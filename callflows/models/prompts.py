"""Knows audio prompts: sound for callers, checked and converted when it is uploaded, not when it is played."""

from __future__ import annotations

import mmap
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from callflows.audio.files import Prompt, read_prompt, wav_bytes
from callflows.audio.format import RATES

# What stream actions fetch and pages play: Vonage asks for MP3 or 16-bit WAV.
WAV_RATE = 16000
_SALT = "callflows.sound"


class AudioPromptQuerySet(models.QuerySet["AudioPrompt"]):
    def named(self, prompt_id: int) -> dict[str, Any]:
        """Return how a flow's version names a prompt: id, newest version, length in seconds."""
        version = PromptVersion.objects.filter(prompt_id=prompt_id).order_by("-number").first()
        return {
            "id": prompt_id,
            "version": version.pk if version else None,
            "seconds": version.seconds if version else 0,
        }


class AudioPrompt(models.Model):
    """Sound for callers. A new upload makes a new version; published flows keep the version they name."""

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)

    objects = AudioPromptQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def newest(self) -> PromptVersion | None:
        return self.versions.first()

    def add_version(self, source: BinaryIO, file_name: str = "") -> PromptVersion:
        """Check, convert and keep a sound file. Raises AudioError with what is wrong; then nothing is kept."""
        return self.add_read(read_prompt(source, settings.PROMPT_MAX_SECONDS), file_name)

    def add_read(self, prompt: Prompt, file_name: str = "") -> PromptVersion:
        """Keep a sound that was read already: files first, then the row that names them."""
        folder = PurePosixPath("prompts", secrets.token_hex(8))
        try:
            for rate in RATES:
                default_storage.save(str(folder / f"{rate}.l16"), ContentFile(prompt.pcm[rate]))
            default_storage.save(str(folder / "prompt.wav"), ContentFile(wav_bytes(prompt.pcm[WAV_RATE], WAV_RATE)))
            with transaction.atomic():
                AudioPrompt.objects.select_for_update().get(pk=self.pk)
                newest = self.newest
                return self.versions.create(
                    number=newest.number + 1 if newest else 1,
                    folder=str(folder),
                    file_name=file_name[-200:],
                    seconds=prompt.seconds,
                    level=max(prompt.level, -120.0),
                    notes=list(prompt.notes),
                )
        except BaseException:
            _remove(folder)
            raise


def _remove(folder: PurePosixPath) -> None:
    for name in (*(f"{rate}.l16" for rate in RATES), "prompt.wav"):
        default_storage.delete(str(folder / name))


class PromptVersion(models.Model):
    """One upload of a prompt, converted to all rates of the socket."""

    prompt = models.ForeignKey(AudioPrompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    folder = models.CharField(max_length=100)
    file_name = models.CharField(max_length=200, blank=True)
    seconds = models.FloatField()
    level = models.FloatField(help_text="Loudness in dBFS.")
    notes = models.JSONField(default=list)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=("prompt", "number"), name="version_number_once_in_a_prompt"),)

    def __str__(self) -> str:
        return f"{self.prompt.name} {self.number}"

    @property
    def wav(self) -> str:
        """The storage name of the WAV that pages play and Vonage fetches."""
        return f"{self.folder}/prompt.wav"


@receiver(post_delete, sender=PromptVersion)
def remove_files(instance: PromptVersion, **kwargs: Any) -> None:
    """A version's files go with it, once that is certain."""
    transaction.on_commit(lambda: _remove(PurePosixPath(instance.folder)))


def sound_path(version: int, at: datetime) -> str:
    """Return the path under which Vonage fetches a prompt's version.

    It is the same all day, since Vonage caches by address, and valid for at least 24 hours more.
    """
    last_day = (at + timedelta(days=2)).strftime("%Y%m%d")
    return f"/sounds/{signing.Signer(salt=_SALT).sign(f'{version}-{last_day}')}.wav"


def sound_version(signed: str, at: datetime) -> int | None:
    """Return the version that a signed name stands for; None when it is forged or its last day is over."""
    try:
        version, last_day = signing.Signer(salt=_SALT).unsign(signed).split("-")
    except (signing.BadSignature, ValueError):
        return None
    return int(version) if at.strftime("%Y%m%d") <= last_day else None


@lru_cache(maxsize=256)
def sound(version: int, rate: int) -> memoryview:
    """Return a version's sound as L16 at ``rate``, shared by all calls; it never changes.

    Where the storage is a folder the file is mapped and not read, so that a prompt of any length begins at once. Blocks
    for the database and the disk: call it in a thread. Raises PromptVersion.DoesNotExist.
    """
    found = PromptVersion.objects.get(pk=version)
    name = f"{found.folder}/{rate}.l16"
    try:
        path = default_storage.path(name)
    except NotImplementedError:
        with default_storage.open(name) as file:
            return memoryview(file.read())
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
