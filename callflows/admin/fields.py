"""Knows the form fields that the admin needs besides Django's: whole numbers that say why not, JSON, suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class Text(forms.CharField):
    """Text in which a new line is one character, as it is stored; browsers send two."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\r\n", "\n") if isinstance(value, str) else value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Blanks around a text are no change: what came with an import stays as it was."""
        return super().has_changed(self.to_python(initial), data)


class Whole(forms.IntegerField):
    """A whole number in a text field: a browser's number field would silently drop what is none."""

    widget = forms.TextInput(attrs={"inputmode": "numeric", "size": 8})

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except ValidationError:
            raise ValidationError(f"expected a whole number, got {str(value)[:40]!r}") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _shown(initial) != _shown(data)


class Number(forms.FloatField):
    """A number in a text field."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "size": 8})

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except ValidationError:
            raise ValidationError(f"expected a number, got {str(value)[:40]!r}") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _shown(initial) != _shown(data)


class Lines(forms.CharField):
    """A list of texts, one a line; None for nothing. ``empty_word`` stands for the empty list, where that is one."""

    widget = forms.Textarea(attrs={"rows": 1})

    def __init__(self, *, empty_word: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.empty_word = empty_word

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(map(str, value)) or self.empty_word
        return value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return [str(each).strip() for each in value] or ([] if self.empty_word else None)
        lines = [line.strip() for line in str(value or "").splitlines() if line.strip()]
        return [] if self.empty_word and lines == [self.empty_word] else lines or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class Json(forms.JSONField):
    """JSON, shown on several lines; what is none is told with its place."""

    widget = forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField json", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values or not isinstance(value, str):
            return None if value in self.empty_values else value
        try:
            parsed = parse_json(value)
        except ValueError as error:
            raise ValidationError(f"expected JSON, got {value[:40]!r}: {error}") from None
        return forms.fields.JSONString(parsed) if isinstance(parsed, str) else parsed


def parse_json(text: str) -> Any:
    """Return what a JSON text holds. Raises ValueError, also for NaN and Infinity, which Python would take."""
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _shown(value: Any) -> str:
    return "" if value is None else str(value).strip()


class Suggesting(forms.TextInput):
    """A text field that offers values and takes others too. Without ``values`` the page has the list already."""

    def __init__(self, list_id: str, values: Iterable[str] = (), attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"list": list_id, "autocomplete": "off", **(attrs or {})})
        self.list_id, self.values = list_id, tuple(values)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        field = super().render(name, value, attrs, renderer)
        if not self.values:
            return field
        rows = format_html_join("", '<option value="{}"></option>', ((each,) for each in self.values))
        return format_html('{}<datalist id="{}">{}</datalist>', field, self.list_id, rows)
