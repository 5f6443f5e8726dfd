"""Knows audio prompts: sound for callers, converted when it is uploaded, not when it is played."""

from __future__ import annotations

import mmap
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core import signing
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from callflows.audio.apart import convert_apart
from callflows.audio.files import Sound, write_wav
from callflows.audio.format import RATES
from callflows.models.parts import Whole, part

# What stream actions fetch and pages play: Vonage asks for MP3 or 16-bit WAV.
WAV_RATE = 16000
FOLDER = "prompts"
# The files of a version, and the upload that they were made of, in one folder.
FILES = (*(f"{rate}.l16" for rate in RATES), "prompt.wav")
UPLOAD = "upload"
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
    """Sound for callers. A new upload makes a new version; published flows keep the version they name.

    Every version can be played: an upload becomes one only when all of it is converted.
    """

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
        """Check, convert and keep a sound file at once. Raises AudioError with what is wrong; then nothing is kept."""
        folder = new_folder()
        with converted(source) as done, transaction.atomic():
            return done.keep(self, self.next_number(), folder, file_name[-200:])

    def next_number(self) -> int:
        """Return the number of the next version: counted when it is uploaded, whichever is converted first."""
        AudioPrompt.objects.select_for_update().get(pk=self.pk)
        taken = [*self.versions.values_list("number", flat=True), *self.uploads.values_list("number", flat=True)]
        return max(taken, default=0) + 1


@dataclass(frozen=True, slots=True)
class Converted:
    """A sound at all rates, in files of ours that are gone unless they are kept."""

    sound: Sound
    files: dict[str, Path]

    def keep(self, prompt: AudioPrompt, number: int, folder: str, file_name: str) -> PromptVersion:
        """Move the files into the storage, then make the row that names them."""
        # What a worker left that was killed right here is replaced.
        remove(folder, *FILES)
        try:
            for name, path in self.files.items():
                with path.open("rb") as file:
                    default_storage.save(f"{folder}/{name}", Whole(file, str(path)))
            return prompt.versions.create(
                number=number,
                folder=folder,
                file_name=file_name,
                seconds=self.sound.seconds,
                level=self.sound.level,
                peak=self.sound.peak,
                loudness=self.sound.loudness,
                source_rate=self.sound.source_rate,
                channels=self.sound.channels,
                notes=list(self.sound.notes),
                waveform=[list(each) for each in self.sound.waveform],
            )
        except BaseException:
            remove(folder, *FILES)
            raise


@contextmanager
def converted(source: BinaryIO, progress: Callable[[float], object] = lambda part: None) -> Iterator[Converted]:
    """Yield a sound file converted to all rates. In blocks, from file to file. Raises AudioError."""
    with ExitStack() as stack:
        files: dict[str, Any] = {name: stack.enter_context(part()) for name in FILES}
        rates = {rate: files[f"{rate}.l16"] for rate in RATES}
        sound = convert_apart(source, settings.PROMPT_MAX_SECONDS, rates, progress)
        write_wav(rates[WAV_RATE], WAV_RATE, files["prompt.wav"])
        for file in files.values():
            file.flush()
        yield Converted(sound, {name: Path(file.name) for name, file in files.items()})


def new_folder() -> str:
    return f"{FOLDER}/{secrets.token_hex(8)}"


def remove(folder: str, *names: str) -> None:
    """Remove files of a folder, without names all of them and the folder."""
    for name in names or (*FILES, UPLOAD):
        default_storage.delete(f"{folder}/{name}")
    if not names:
        # Gone already, or a storage without folders.
        with suppress(OSError):
            default_storage.delete(folder)


class PromptVersion(models.Model):
    """One upload of a prompt, converted to all rates of the socket.

    ``peak``, ``loudness``, ``source_rate`` and ``channels`` are None for what was uploaded before they were measured.
    """

    prompt = models.ForeignKey(AudioPrompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    folder = models.CharField(max_length=100)
    file_name = models.CharField(max_length=200, blank=True)
    seconds = models.FloatField()
    level = models.FloatField(help_text="RMS in dBFS.")
    peak = models.FloatField(null=True, help_text="In dBFS.")
    loudness = models.FloatField(null=True, help_text="Integrated, in LUFS; empty for less than 0.4 s and for silence.")
    source_rate = models.PositiveIntegerField(null=True, help_text="Samples per second of what was uploaded.")
    channels = models.PositiveIntegerField(null=True)
    notes = models.JSONField(default=list)
    waveform = models.JSONField(default=list, help_text="Lowest and highest sample of each column, -100 to 100.")
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
    transaction.on_commit(lambda: remove(instance.folder))


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
