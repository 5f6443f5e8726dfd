"""Knows how recordings and transcripts that events name come to us: as jobs, once, whole or not at all.

An event of a shared room belongs to each of its calls: each has a recording of its own, and its own copy of the file,
so that one call can be deleted without the other's.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from callflows.control.accounts import account_of
from callflows.models import Call, Recording, TimelineEntry
from callflows.models.jobs import Hopeless, TryAgain, job
from callflows.models.parts import part
from callflows.payloads.body import BadPayload, from_json
from callflows.payloads.transcript import sentences
from callflows.vonage.account import VonageError
from callflows.vonage.files import RECORDING_BYTES, TRANSCRIPT_BYTES, NotFetched, download

Kind = TimelineEntry.Kind
Source = Recording.Source


def _tell_recording(why: str, call: int, **arguments: str) -> None:
    _note(call, f"Recording could not be fetched: {why}")


def _tell_transcript(why: str, call: int, **arguments: str) -> None:
    _note(call, f"Transcript could not be fetched: {why}")


def _note(call: int, text: str) -> None:
    if found := Call.objects.filter(pk=call).first():
        found.note(Kind.PROBLEM, text)


@job(slow=True, given_up=_tell_recording)
def fetch_recording(call: int, url: str, uuid: str = "", source: str = Source.VONAGE) -> None:
    """Bring a recording of Vonage's into our storage; ``uuid`` is its ``recording_uuid``, empty for speech input."""
    found = _call(call)
    if found is None or not url:
        return
    recording = Recording.objects.of_vonage(found, source, uuid, url)
    if recording.file:
        return
    with part() as file:
        told = _download(found, url, file, RECORDING_BYTES)
        taken = recording.take(Path(file.name))
    if taken and told:
        found.note(Kind.PROBLEM, f"Recording: {told}")


@job(slow=True, given_up=_tell_transcript)
def fetch_transcript(call: int, url: str, uuid: str = "", source: str = Source.VONAGE) -> None:
    """Bring the transcript of a recording into its row, which is made when the recording itself has not come yet."""
    found = _call(call)
    if found is None or not url:
        return
    recording = Recording.objects.of_vonage(found, source, uuid, "" if uuid else url)
    if recording.transcript is not None:
        return
    file = io.BytesIO()
    told = _download(found, url, file, TRANSCRIPT_BYTES)
    try:
        transcript = from_json(file.getvalue())
    except BadPayload as error:
        raise Hopeless(f"it cannot be read: {error}") from None
    if recording.transcribe(transcript, len(sentences(transcript))) and told:
        found.note(Kind.PROBLEM, f"Transcript: {told}")


def _call(call: int) -> Call | None:
    return Call.objects.select_related("application").filter(pk=call).first()


def _download(call: Call, url: str, into: IO[bytes], most: int) -> str:
    try:
        return download(account_of(call.application), url, into, most)
    except NotFetched as error:
        raise (TryAgain if error.again else Hopeless)(str(error)) from error
    except VonageError as error:
        raise Hopeless(str(error)) from error
