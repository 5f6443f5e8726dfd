"""Knows how operators find recordings, hear them, and read what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from callflows.admin import parties
from callflows.admin.asking import key_of
from callflows.admin.filters import When
from callflows.admin.ours import OurAdmin
from callflows.admin.readonly import ReadOnly
from callflows.admin.show import duration, moment
from callflows.models import Call, Line, Recording, TimelineEntry
from callflows.models.recordings import TIMING_KIND
from callflows.payloads.transcript import sentences


@dataclass(frozen=True, slots=True)
class Shown:
    """A recording as a call's page shows it. ``kind`` is empty without a file.

    ``said`` are time, channel and text of each sentence; ``several`` channels are named. ``timing`` says how the frames
    of an audio socket came, ``gaps`` when and for how long none did, and whether that was our own doing.
    """

    pk: int
    what: str
    length: str
    kind: str
    transcribed: bool
    several: bool
    said: list[tuple[str, int, str]]
    timing: list[tuple[str, str]]
    gaps: list[tuple[str, str, bool]]
    timing_kind: str


def shown(call: Call) -> list[Shown]:
    """Return the recordings of a call, whoever made them."""
    # Measured when it was kept, and told on the timeline then.
    kept = call.timeline.filter(kind=TimelineEntry.Kind.RECORDING, line__isnull=False)
    timings = {each.data.get("recording"): each.data.get("timing") for each in kept}
    return [_shown(each, timings.get(each.pk) or {}) for each in call.recordings.select_related("line")]


def _shown(recording: Recording, timing: dict[str, Any]) -> Shown:
    line, said = recording.line, sentences(recording.transcript)
    return Shown(
        pk=recording.pk,
        what=f"{line.app}, {place(line)}" if line else _capital(recording.get_source_display()),
        length="" if recording.seconds is None else duration(recording.seconds),
        kind=recording.kind,
        transcribed=recording.transcript is not None,
        several=len({each.channel for each in said}) > 1,
        said=[(duration(each.seconds), each.channel, each.text) for each in said],
        timing=_timing(timing),
        gaps=[(duration(gap["at"]), f"{gap['ms']:,.0f} ms", gap["ours"]) for gap in timing.get("longest", ())],
        timing_kind=TIMING_KIND if timing else "",
    )


def _timing(timing: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the frames came, as words and figures."""
    if not timing:
        return []
    lag, ours = timing["lag"], timing["ours"]
    return [
        ("Frames", f"{timing['frames']:,}"),
        ("Latest frame", f"{timing['late']:,.0f} ms late"),
        ("Jitter", f"{timing['jitter']:.1f} ms, in the worst second {timing['worst_jitter']:,.0f} ms"),
        ("Gaps over 60 ms", f"{timing['gaps']:,}" + (f", {ours:,} of them ours" if ours else "")),
        ("Bursts", f"{timing['bursts']:,}" + (f", up to {timing['burst']:,} frames" if timing["bursts"] else "")),
        ("Our own lag", "not measured" if lag is None else f"{lag:,.0f} ms at most"),
    ]


def place(line: Line) -> str:
    """Return how a line came to be: by a step, or because somebody called its app into the call."""
    return "joined the call" if line.joined else f"step {line.step}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@admin.register(Recording)
class RecordingAdmin(ReadOnly, OurAdmin[Recording]):
    """A list; each recording is heard on its call's page."""

    list_display = ("shown_call", "shown_source", "length", "transcribed", "shown_made", "listen")
    list_display_links = None
    list_filter = ("source", ("made", When))
    list_per_page = 50
    list_select_related = ("call",)
    search_fields = ("call__caller", "call__called", "call__uuid", "recording_uuid")
    search_help_text = "Caller, called number, call or Vonage's recording_uuid."
    empty_text = "Recordings will stand here: of which call, who made them, how long they are."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Recording]:
        """A transcript may have megabytes; a list only says whether there is one."""
        there = ExpressionWrapper(Q(transcript__isnull=False), output_field=BooleanField())
        return super().get_queryset(request).defer("transcript").annotate(has_transcript=there)

    @admin.display(description="call", ordering="call__caller")
    def shown_call(self, recording: Recording) -> SafeString:
        call = recording.call
        address = reverse("admin:callflows_call_change", args=(call.pk,))
        return format_html('<a href="{}">{}</a> to {}', address, parties.caller(call), parties.called(call))

    @admin.display(description="source", ordering="source")
    def shown_source(self, recording: Recording) -> str:
        return _capital(recording.get_source_display())

    @admin.display(description="length", ordering="seconds")
    def length(self, recording: Recording) -> str:
        return duration(recording.seconds) if recording.file else "not fetched"

    @admin.display(description="transcript", ordering="has_transcript")
    def transcribed(self, recording: Recording) -> str:
        return "yes" if vars(recording)["has_transcript"] else ""

    @admin.display(description="when", ordering="made")
    def shown_made(self, recording: Recording) -> SafeString | str:
        return moment(recording.made, recording.call.time_zone)

    @admin.display(description="sound")
    def listen(self, recording: Recording) -> SafeString | str:
        return format_html('<a href="{}">Listen</a>', address(recording)) if recording.file else ""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to where it is heard."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = get_object_or_404(Recording, pk=key_of(object_id))
        return HttpResponseRedirect(address(found))


def address(recording: Recording) -> str:
    """Return where a recording stands on its call's page."""
    return f"{reverse('admin:callflows_call_change', args=(recording.call_id,))}#recording-{recording.pk}"
