"""Knows what a prompt's page shows of its sound: how far an upload is, waveform, loudness, flaws, older versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from callflows.admin.show import duration, moment
from callflows.admin.usage import used_by
from callflows.models import AudioPrompt, PromptUpload, PromptVersion

FOLDER = "admin/callflows/audioprompt"
# A worker looks for jobs many times a second: after so long there is none, or all have much to do.
WAITED = timedelta(seconds=10)
# A column of the picture is at least so high, of 200, so that silence is a line.
THINNEST = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A version as the page shows it. ``facts`` are pairs of a word and a value; ``outline`` is an SVG path."""

    version: PromptVersion
    length: str
    facts: list[tuple[str, Any]]
    outline: str

    @property
    def columns(self) -> int:
        return len(self.version.waveform)


def about(prompt: AudioPrompt) -> dict[str, Any]:
    """Return everything that the page shows of a prompt that exists."""
    return {**parts(prompt), "places": used_by(prompt)}


def parts(prompt: AudioPrompt) -> dict[str, Any]:
    """Return what changes while an upload is converted, as HTML; ``busy`` while there is something to wait for."""
    uploads, versions = list(prompt.uploads.all()), [_shown(each) for each in prompt.versions.all()]
    coming = {"uploads": [_coming(each) for each in uploads]}
    sounds = {"newest": versions[0] if versions else None, "older": versions[1:], "uploads": uploads}
    return {
        "busy": any(each.state != PromptUpload.State.FAILED for each in uploads),
        "coming": render_to_string(f"{FOLDER}/coming.html", coming),
        "sounds": render_to_string(f"{FOLDER}/sounds.html", sounds),
    }


def length(version: PromptVersion) -> str:
    """Return ``1:07``; what is shorter than ten seconds has its tenths: a beep is not 0:00 long."""
    return f"{version.seconds:.1f} s" if version.seconds < 9.95 else duration(version.seconds)


def loudness(version: PromptVersion) -> str:
    """Return how loud it is to people; for what is too short or silent, the level of its samples."""
    if version.loudness is None:
        return decibels(version.level, "dBFS RMS")
    return decibels(version.loudness, "LUFS")


def decibels(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".replace("-", "−")


def _coming(upload: PromptUpload) -> dict[str, Any]:
    waited = timezone.now() - upload.created
    return {
        "upload": upload,
        "failed": upload.state == PromptUpload.State.FAILED,
        "waiting": upload.state == PromptUpload.State.WAITING,
        "long": waited > WAITED,
        "uploaded": moment(upload.created),
    }


def _shown(version: PromptVersion) -> Shown:
    peak = "–" if version.peak is None else decibels(version.peak, "dBFS")
    facts = [
        ("Length", length(version)),
        ("Loudness", loudness(version)),
        ("Level (RMS)", decibels(version.level, "dBFS")),
        ("Peak", peak),
        ("Uploaded", moment(version.created)),
        ("File", _file(version)),
    ]
    return Shown(version, length(version), facts, outline(version.waveform))


def _file(version: PromptVersion) -> SafeString | str:
    if version.source_rate is None or version.channels is None:
        return version.file_name or "–"
    channels = {1: "mono", 2: "stereo"}.get(version.channels, f"{version.channels} channels")
    about = f"{version.source_rate / 1000:g} kHz, {channels}"
    return f"{version.file_name}, {about}" if version.file_name else about


def outline(columns: Sequence[Sequence[int]]) -> str:
    """Return an SVG path around a sound: one unit a column from left to right, 100 up and down."""
    if not columns:
        return ""
    pairs = [(min(low, high - THINNEST), high) for low, high in columns]
    # To the end of the last column too: a sound of one column is a bar.
    above = [f"{place} {-high}" for place, (_, high) in enumerate([*pairs, pairs[-1]])]
    under = [f"{place} {-low}" for place, (low, _) in enumerate([*pairs, pairs[-1]])]
    return f"M{'L'.join([*above, *reversed(under)])}Z"
