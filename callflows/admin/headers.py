"""Knows how operators edit header sets: rows of key and value, checked together."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from callflows.admin.fields import parse_json
from callflows.admin.ours import OurAdmin
from callflows.admin.readonly import PartOfPage
from callflows.admin.usage import KeepsUsed, used_by
from callflows.models import HeaderRow, HeaderSet
from callflows.models.flows import check_headers, header_warnings
from callflows.ncco.headers import HEADERS_BYTES, size


class HeaderRows(forms.BaseInlineFormSet[Any, Any, Any]):
    """All headers of a set: together at most 512 bytes, no key twice, none of Vonage's own."""

    def clean(self) -> None:
        super().clean()
        rows = []
        for form in self.forms:
            if form.cleaned_data.get(DELETION_FIELD_NAME) or not form.cleaned_data.get("key"):
                continue
            if not form.errors:
                rows.append((form.instance.key, form.instance.parsed()))
        check_headers(rows)


class HeaderRowForm(forms.ModelForm[HeaderRow]):
    class Meta:
        model = HeaderRow
        fields = ("key", "kind", "value")
        widgets = {"value": forms.Textarea(attrs={"rows": 1, "class": "one-line"})}

    def clean_value(self) -> str:
        return str(self.cleaned_data["value"]).replace("\r\n", "\n")

    def clean(self) -> None:
        """Refuse NaN and Infinity, that Python would read; other wrong JSON the model tells of."""
        super().clean()
        value = self.cleaned_data.get("value", "")
        if self.cleaned_data.get("kind") == HeaderRow.Kind.JSON:
            try:
                parse_json(value)
            except json.JSONDecodeError:
                return
            except ValueError as error:
                raise ValidationError({"value": f"expected JSON, got {value[:40]!r}: {error}"}) from None


class HeaderRowInline(PartOfPage, admin.TabularInline[HeaderRow, HeaderSet]):
    model = HeaderRow
    form = HeaderRowForm
    formset = HeaderRows
    extra = 0
    verbose_name = "header"


@admin.register(HeaderSet)
class HeaderSetAdmin(KeepsUsed, OurAdmin[HeaderSet]):
    fields = ("name", "bytes", "places")
    readonly_fields = ("bytes", "places")
    list_display = ("name", "keys", "bytes")
    search_fields = ("name", "rows__key")
    inlines = (HeaderRowInline,)
    empty_text = "Header sets will stand here: what a socket is told of its call in the first message."

    def get_queryset(self, request: HttpRequest) -> QuerySet[HeaderSet]:
        return super().get_queryset(request).prefetch_related("rows")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # Read again: the rows of the page's own instance are those of before.
        for warning in header_warnings([*HeaderSet.objects.get(pk=form.instance.pk).values().items()]):
            messages.warning(request, warning)

    @admin.display(description="headers")
    def keys(self, headers: HeaderSet) -> str:
        return ", ".join(row.key for row in headers.rows.all()) or "none yet"

    @admin.display(description="size")
    def bytes(self, headers: HeaderSet) -> str:
        return f"{size(headers.values()) if headers.pk else 2} of {HEADERS_BYTES} bytes"

    @admin.display(description="used by")
    def places(self, headers: HeaderSet) -> SafeString | str:
        return format_html_join("", "<div>{}</div>", ((each,) for each in used_by(headers))) or "nothing yet"
