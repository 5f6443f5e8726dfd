"""Knows the form fields of more than one value: prompts in turn, and keys with what each chooses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Choices = list[tuple[Any, Any]]


class _Rows(forms.Widget):
    """Rows of inputs of one name, and an empty one at the end: the page's script adds the next when that is used."""

    use_fieldset = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return data.getlist(name) if hasattr(data, "getlist") else data.get(name)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = enumerate(self.rows(name, list(value or ())), start=1)
        return format_html(
            '<div data-several id="{}">{}</div>',
            (attrs or {}).get("id", ""),
            format_html_join("", '<span class="one" data-one="{}">{}</span>', rows),
        )

    def rows(self, name: str, values: list[Any]) -> Iterator[SafeString]:
        raise NotImplementedError


class _Selects(_Rows):
    def __init__(self, label: str, choices: Choices) -> None:
        super().__init__(label)
        self.choices = choices

    def rows(self, name: str, values: list[Any]) -> Iterator[SafeString]:
        known = {str(value) for value, _ in self.choices}
        lost = [(each, f"{each} (not known here)") for each in dict.fromkeys(values) if str(each) not in known]
        select = forms.Select(choices=[("", "–"), *self.choices, *lost])
        for place, value in enumerate([*values, ""], start=1):
            yield select.render(name, value, {"aria-label": f"{self.label}, {place}"})


class _Pairs(_Rows):
    def rows(self, name: str, values: list[Any]) -> Iterator[SafeString]:
        pairs = [*zip(values[::2], values[1::2], strict=False), ("", "")]
        for place, (keys, outcome) in enumerate(pairs, start=1):
            said = f"{self.label}, {place}"
            yield format_html(
                '<input type="text" class="keys" name="{0}" value="{1}" aria-label="{3}: keys" placeholder="key"> '
                '<span aria-hidden="true">→</span> '
                '<input type="text" name="{0}" value="{2}" aria-label="{3}: outcome" placeholder="outcome" '
                "data-outcome>",
                *(name, keys, outcome, said),
            )


class Several(forms.Field):
    """A list of ids, in order, each chosen by its name; the empty list for none."""

    def __init__(self, *, choices: Choices, **kwargs: Any) -> None:
        super().__init__(**kwargs, widget=_Selects(kwargs["label"], choices))

    def prepare_value(self, value: Any) -> Any:
        return [each for each in value if each != ""] if isinstance(value, list) else []

    def to_python(self, value: Any) -> list[int]:
        chosen = [str(each) for each in value or () if each != ""]
        if wrong := [each for each in chosen if not each.isdecimal()]:
            raise ValidationError(f"expected one of the list, got {wrong[0][:40]!r}")
        return [int(each) for each in chosen]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return [str(each) for each in initial or ()] != [str(each) for each in data or () if each != ""]


class Pairs(forms.Field):
    """Keys and what each chooses: ``{"1": "sales"}``; browsers send them one after the other, in one list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, widget=_Pairs(kwargs["label"]))

    def prepare_value(self, value: Any) -> list[str]:
        return [str(each) for pair in _pairs(value) for each in pair]

    def to_python(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for keys, outcome in _pairs(value):
            if not keys or not outcome:
                missing = f"{keys}: which outcome it chooses" if keys else f"{outcome}: the key that chooses it"
                raise ValidationError(f"expected a key and an outcome; missing is, for {missing}")
            if keys in found:
                raise ValidationError(f"{keys} stands twice: each key chooses one outcome")
            found[keys] = outcome
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _pairs(initial) != _pairs(data)


def _pairs(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [(str(keys), str(outcome)) for keys, outcome in value.items()]
    flat = [str(each).strip() for each in value or ()]
    return [pair for pair in zip(flat[::2], flat[1::2], strict=False) if any(pair)]
