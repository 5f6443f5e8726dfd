"""Knows how operators upload prompts, see how far they are, hear them, and see where they are used."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from callflows.admin import prompt_page
from callflows.admin.ours import OurAdmin
from callflows.admin.show import badge, duration, moment
from callflows.admin.usage import KeepsUsed
from callflows.audio.apart import check_apart
from callflows.audio.format import AudioError
from callflows.audio.kinds import USABLE
from callflows.models import AudioPrompt, PromptUpload


class PromptForm(forms.ModelForm[AudioPrompt]):
    """Checks an upload as far as its beginning tells, so that what is wrong with it stands on its field."""

    sound = forms.FileField(
        required=False,
        error_messages={"empty": f"This file is empty; {USABLE}."},
        widget=forms.FileInput(attrs={"accept": "audio/*,.wav,.flac,.ogg,.opus,.mp3,.aiff"}),
    )

    class Meta:
        model = AudioPrompt
        fields = ("name", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if sound := self.fields.get("sound"):
            first = self.instance.pk is None
            sound.required = first
            sound.label = "Sound" if first else "Another sound"
            limit = f"WAV, FLAC, OGG, MP3 or AIFF, at most {duration(settings.PROMPT_MAX_SECONDS)} minutes long."
            sound.help_text = limit if first else f"{limit} Callers hear a new one when their flow is published again."

    def clean_sound(self) -> UploadedFile[Any] | None:
        upload: UploadedFile[Any] | None = self.cleaned_data["sound"]
        if upload and (trouble := _trouble(upload)):
            raise forms.ValidationError(trouble)
        return upload


def _trouble(upload: UploadedFile[Any]) -> str:
    """Return what is wrong with an upload as far as its beginning tells; it is examined once."""
    known = vars(upload)
    if "trouble" not in known:
        try:
            check_apart(upload, settings.PROMPT_MAX_SECONDS)  # type: ignore[arg-type]  # a binary file
            known["trouble"] = ""
        except AudioError as error:
            known["trouble"] = str(error)
    return str(known["trouble"])


@admin.register(AudioPrompt)
class AudioPromptAdmin(KeepsUsed, OurAdmin[AudioPrompt]):
    form = PromptForm
    fields = ("name", "description", "sound")
    list_display = ("name", "length", "loudness", "newest_version", "uploaded")
    search_fields = ("name", "description")
    empty_text = "Sound for callers will stand here: greetings, announcements, music. It is checked when uploaded."

    class Media:
        js = ("callflows/prompts.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AudioPrompt]:
        return super().get_queryset(request).prefetch_related("versions", "uploads")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Examine an upload before Django opens its transaction: on SQLite nobody else writes from there on."""
        may = self.has_change_permission(request) if object_id else self.has_add_permission(request)
        if may and (upload := request.FILES.get("sound")):
            _trouble(upload)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: AudioPrompt, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if upload := form.cleaned_data.get("sound"):
            upload.seek(0)
            PromptUpload.objects.take(obj, upload, upload.name)

    def response_post_save_add(self, request: HttpRequest, obj: AudioPrompt) -> HttpResponseRedirect:
        return self._to_its_page(obj) or super().response_post_save_add(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: AudioPrompt) -> HttpResponseRedirect:
        return self._to_its_page(obj) or super().response_post_save_change(request, obj)

    def _to_its_page(self, prompt: AudioPrompt) -> HttpResponseRedirect | None:
        """Lead to where one sees how far an upload is."""
        if not PromptUpload.objects.coming().filter(prompt=prompt).exists():
            return None
        return HttpResponseRedirect(reverse("admin:callflows_audioprompt_change", args=(prompt.pk,)))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Model | None = None,
    ) -> HttpResponse:
        context |= prompt_page.about(obj) if isinstance(obj, AudioPrompt) else {}
        return super().render_change_form(request, context, add, change, form_url, obj)  # type: ignore[arg-type]  # stub

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.sounds))
        return [path("<int:prompt_id>/sounds/", view, name="callflows_audioprompt_sounds"), *super().get_urls()]

    def sounds(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """What of a prompt's page changes while an upload is converted; the page asks for it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return JsonResponse(prompt_page.parts(get_object_or_404(AudioPrompt, pk=prompt_id)))

    @admin.display(description="length")
    def length(self, prompt: AudioPrompt) -> SafeString | str:
        newest, upload = _newest(prompt), next(iter(prompt.uploads.all()), None)
        known = prompt_page.length(newest) if newest else ""
        if upload is None:
            return known or "no sound yet"
        state = badge("failed") if upload.state == PromptUpload.State.FAILED else badge("converting", "busy")
        return format_html("{} {}", known, state)

    @admin.display(description="loudness")
    def loudness(self, prompt: AudioPrompt) -> str:
        return prompt_page.loudness(newest) if (newest := _newest(prompt)) else "–"

    @admin.display(description="version")
    def newest_version(self, prompt: AudioPrompt) -> str:
        return str(newest.number) if (newest := _newest(prompt)) else "–"

    @admin.display(description="uploaded")
    def uploaded(self, prompt: AudioPrompt) -> SafeString | str:
        return moment(newest.created) if (newest := _newest(prompt)) else "–"


def _newest(prompt: AudioPrompt) -> Any:
    return next(iter(prompt.versions.all()), None)
