"""Knows recordings: of lines, which we made, and of calls, which Vonage made and we fetch; and their transcripts."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from callflows.audio.apart import seconds_apart
from callflows.audio.format import AudioError
from callflows.audio.kinds import HEAD_BYTES, kind_of
from callflows.audio.timing import Summary, summarize, timing_path
from callflows.audio.wavfile import is_locked, repair
from callflows.models.calls import Call, TimelineEntry
from callflows.models.clock import db_now
from callflows.models.jobs import Hopeless, job
from callflows.models.lines import Line
from callflows.models.parts import Whole

log = logging.getLogger(__name__)

FOLDER = "recordings/kept"
# The ending of what was measured beside a line's sound.
TIMING_KIND = "jsonl"
# A file that is being started gets its name and its lock within milliseconds; after so long its writer is dead.
STARTING_SECONDS = 60.0


@job
def keep_recording(line: str) -> None:
    """Move a line's finished recording to the storage."""
    Recording.objects.keep(line)


class RecordingQuerySet(models.QuerySet["Recording"]):
    def keep(self, line_id: str) -> Recording | None:
        """Move a finished recording from ``recordings/open`` to the storage; None when there is nothing to keep.

        Safe to repeat, and at several workers: the row is made once.
        """
        path = open_path(line_id)
        line = Line.objects.select_related("call").filter(pk=line_id).first()
        if line is None or not path.exists() or is_locked(path):
            return None
        seconds, recording = repair(path), None
        if seconds:
            with transaction.atomic():
                recording, made = self.get_or_create(line=line, defaults={"call": line.call, "seconds": seconds})
                if made:
                    recording.take_open(path)
        # The sound last: as long as it is there, another try has both.
        timing_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return recording

    def repair(self) -> int:
        """Keep the recordings whose worker died; return how many. Those still being written are locked, and left."""
        folder = Path(settings.RECORDINGS_OPEN)
        found = sorted(folder.glob("*.wav")) if folder.is_dir() else []
        kept = [each for path in found if (each := self._try_to_keep(path))]
        lost = Line.objects.filter(pk__in=[each.line_id for each in kept], state=Line.State.OPEN)
        lost.update(state=Line.State.LOST, closed=db_now())
        for part in folder.glob("*.part"):
            # Its file system's clock is this machine's own.
            with suppress(FileNotFoundError):
                if timezone.now().timestamp() - part.stat().st_mtime > STARTING_SECONDS and not is_locked(part):
                    part.unlink()
        return len(kept)

    def _try_to_keep(self, path: Path) -> Recording | None:
        """Keep one; a file that nobody can mend, or that another worker keeps right now, stops none of the others."""
        try:
            return self.keep(path.stem)
        except FileNotFoundError:
            return None
        except (AudioError, OSError) as error:
            log.warning("the recording of line %s could not be kept: %s", path.stem, error)
            return None

    def of_vonage(self, call: Call, source: str, uuid: str, url: str = "") -> Recording:
        """Return the row of what Vonage recorded in a call, made if it is new: its transcript may come first.

        Known by its uuid in this call; speech that was recorded for an input has none, and is known by its address.
        """
        uuid = uuid[:255]
        with transaction.atomic():
            Call.objects.select_for_update().get(pk=call.pk)
            known = {"recording_uuid": uuid} if uuid else {"recording_uuid": None, "source": source, "url": url}
            found = self.filter(call=call, **known).first()
            found = found or self.create(call=call, source=source, recording_uuid=uuid or None, url=url)
            if url and not found.url:
                found.url = url
                found.save(update_fields=["url"])
            return found


def open_path(line_id: str) -> Path:
    """Return where a line's recording is written while it lasts."""
    return Path(settings.RECORDINGS_OPEN) / f"{line_id}.wav"


class Recording(models.Model):
    """What was said: on a line (``others`` left and ``us`` right, in one WAV), or as Vonage recorded it.

    Vonage's have no line, and no file until it was fetched; ``transcript`` is its JSON, once that was fetched.
    ``seconds`` is None until there is a file, and where its length cannot be told.
    """

    class Source(models.TextChoices):
        LINE = "line", "audio socket"
        VONAGE = "vonage", "recorded by Vonage"
        SPEECH = "speech", "speech input"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings")
    line = models.OneToOneField(Line, on_delete=models.CASCADE, null=True, blank=True, related_name="recording")
    source = models.CharField(max_length=10, choices=Source, default=Source.LINE)
    # Vonage's recording_uuid; None for our own. It is not the id of the file in the address.
    recording_uuid = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  (several have none)
    url = models.TextField(blank=True)
    file = models.FileField(upload_to=FOLDER, blank=True)
    seconds = models.FloatField(null=True)
    transcript = models.JSONField(null=True, blank=True)
    made = models.DateTimeField(auto_now_add=True)

    objects = RecordingQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        permissions = (("listen_recording", "Can listen to recordings"),)
        constraints = (models.UniqueConstraint(fields=("call", "recording_uuid"), name="recording_once_in_a_call"),)

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s" if self.seconds is not None else self.get_source_display()

    @property
    def kind(self) -> str:
        """``wav``, ``mp3`` or ``ogg``, as its file's name says, which we chose by its content; empty without a file."""
        return Path(str(self.file.name or "")).suffix.lstrip(".")

    @property
    def timing_name(self) -> str:
        """Where the storage has what was measured beside a line's sound; empty when it is no line's."""
        return str(timing_path(Path(str(self.file.name)))) if self.file and self.line_id else ""

    def take_open(self, path: Path) -> None:
        """Copy a line's finished recording into the storage, with what was measured; say so on the timeline.

        Its names are always the same: what a worker left that was killed right then is replaced.
        """
        assert self.line is not None
        timing = timing_path(path)
        for each in (path, timing):
            default_storage.delete(f"{FOLDER}/{each.name}")
        with path.open("rb") as file:
            self.file.save(path.name, File(file), save=False)
        self.save()
        data: dict[str, Any] = {"recording": self.pk}
        told = ""
        if timing.exists():
            with timing.open("rb") as file:
                default_storage.save(self.timing_name, File(file))
            summary = summarize(timing)
            data["timing"], told = asdict(summary), _told(summary)
        text = f"{self.seconds:.1f} s kept{told}"
        self.call.note(TimelineEntry.Kind.RECORDING, text, line=self.line, data=data)

    def take(self, path: Path) -> bool:
        """Move a whole file into the storage and say so on the timeline; False when another worker did.

        Its name is always the same: what a worker left that was killed right then is replaced. Raises Hopeless when
        it is no sound.
        """
        kind, seconds, size = _kind(path), seconds_apart(path), path.stat().st_size
        with transaction.atomic():
            row = Recording.objects.select_for_update(of=("self",)).select_related("call").get(pk=self.pk)
            if row.file:
                return False
            name = f"{row.source}-{row.pk}.{kind}"
            default_storage.delete(f"{FOLDER}/{name}")
            with path.open("rb") as file:
                row.file.save(name, Whole(file, str(path)), save=False)
            row.seconds = seconds
            row.save(update_fields=["file", "seconds"])
            length = f"{seconds:.1f} s" if seconds is not None else f"{size:,} bytes"
            data = {"recording": row.pk, "kind": kind, "bytes": size}
            row.call.note(TimelineEntry.Kind.RECORDING, f"fetched, {length}", data=data)
        return True

    def transcribe(self, transcript: Any, count: int) -> bool:
        """Keep a transcript of ``count`` sentences and say so on the timeline; False when there is one."""
        with transaction.atomic():
            row = Recording.objects.select_for_update(of=("self",)).select_related("call").get(pk=self.pk)
            if row.transcript is not None:
                return False
            row.transcript = transcript
            row.save(update_fields=["transcript"])
            text = f"transcript fetched, {count} {'sentence' if count == 1 else 'sentences'}"
            row.call.note(TimelineEntry.Kind.RECORDING, text, data={"recording": row.pk})
        return True


def _told(summary: Summary) -> str:
    """Return what a timeline says of how the sound came; nothing when it came well."""
    if not summary.gaps:
        return ""
    ours = "" if not summary.ours else ", ours" if summary.gaps == 1 else f", {summary.ours} of them ours"
    return f"; {summary.gaps} {'gap' if summary.gaps == 1 else 'gaps'} in what came{ours}"


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if kind := kind_of(head):
        return kind
    came = f"a file that begins with {head!r}" if head else "an empty file"
    raise Hopeless(f"expected sound as MP3, WAV or Ogg, got {came}")


@receiver(post_delete, sender=Recording)
def remove_file(instance: Recording, **kwargs: Any) -> None:
    """A recording's file goes with it, once that is certain."""
    names = [name for name in (str(instance.file.name or ""), instance.timing_name) if name]
    for name in names:
        transaction.on_commit(partial(default_storage.delete, name))
