"""Knows how operators upload prompts, hear them, and see where they are used."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from callflows.admin.show import duration, moment
from callflows.admin.usage import KeepsUsed, used_by
from callflows.audio.files import Prompt, read_prompt
from callflows.audio.format import AudioError
from callflows.models import AudioPrompt


class PromptForm(forms.ModelForm[AudioPrompt]):
    """Reads an upload while it is checked, so that what is wrong with it stands on its field."""

    sound = forms.FileField(
        required=False,
        error_messages={"empty": "This file is empty; upload WAV, FLAC, OGG, MP3 or AIFF."},
        widget=forms.FileInput(attrs={"accept": "audio/*,.wav,.flac,.ogg,.opus,.mp3,.aiff"}),
    )
    read: Prompt | None = None

    class Meta:
        model = AudioPrompt
        fields = ("name", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if sound := self.fields.get("sound"):
            first = self.instance.pk is None
            sound.required = first
            limit = f"WAV, FLAC, OGG, MP3 or AIFF, at most {duration(settings.PROMPT_MAX_SECONDS)} minutes long."
            sound.help_text = limit if first else f"{limit} Callers hear a new one when their flow is published again."

    def clean_sound(self) -> UploadedFile[Any] | None:
        upload: UploadedFile[Any] | None = self.cleaned_data["sound"]
        if upload:
            try:
                self.read = read_prompt(upload, settings.PROMPT_MAX_SECONDS)  # type: ignore[arg-type]  # a binary file
            except AudioError as error:
                raise forms.ValidationError(str(error)) from None
        return upload


@admin.register(AudioPrompt)
class AudioPromptAdmin(KeepsUsed, admin.ModelAdmin[AudioPrompt]):
    form = PromptForm
    fields = ("name", "description", "sound", "versions", "places")
    readonly_fields = ("versions", "places")
    list_display = ("name", "length", "level", "newest_version", "uploaded")
    search_fields = ("name", "description")
    empty_text = "Sound for callers will stand here: greetings, announcements, music. It is checked when uploaded."

    def get_queryset(self, request: HttpRequest) -> QuerySet[AudioPrompt]:
        return super().get_queryset(request).prefetch_related("versions")

    def get_fields(self, request: HttpRequest, obj: AudioPrompt | None = None) -> Any:
        return self.fields if obj else ("name", "description", "sound")

    def save_model(self, request: HttpRequest, obj: AudioPrompt, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.read:
            obj.add_read(form.read, form.cleaned_data["sound"].name)

    @admin.display(description="length")
    def length(self, prompt: AudioPrompt) -> str:
        return duration(newest.seconds) if (newest := _newest(prompt)) else "no sound yet"

    @admin.display(description="level")
    def level(self, prompt: AudioPrompt) -> str:
        return f"{newest.level:.0f} dBFS" if (newest := _newest(prompt)) else "–"

    @admin.display(description="version")
    def newest_version(self, prompt: AudioPrompt) -> str:
        return str(newest.number) if (newest := _newest(prompt)) else "–"

    @admin.display(description="uploaded")
    def uploaded(self, prompt: AudioPrompt) -> SafeString | str:
        return moment(newest.created) if (newest := _newest(prompt)) else "–"

    @admin.display(description="versions")
    def versions(self, prompt: AudioPrompt) -> SafeString:
        rows = [
            {"version": each, "length": duration(each.seconds), "uploaded": moment(each.created)}
            for each in prompt.versions.all()
        ]
        return render_to_string("admin/callflows/audioprompt/versions.html", {"rows": rows})

    @admin.display(description="used by")
    def places(self, prompt: AudioPrompt) -> SafeString | str:
        return format_html_join("", "<div>{}</div>", ((each,) for each in used_by(prompt))) or "nothing yet"


def _newest(prompt: AudioPrompt) -> Any:
    return next(iter(prompt.versions.all()), None)
