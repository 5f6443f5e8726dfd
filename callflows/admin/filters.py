"""Knows the filters beside the lists: in words, with numbers as people read them, and a word for what is empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from callflows.admin.show import readable
from callflows.models import PhoneNumber

NONE = SafeString("none")


class Words(admin.AllValuesFieldListFilter):
    """Every value that there is, as words: ``fetch_recording`` is "fetch recording"."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            shown = str(choice["display"]).replace("_", " ")
            # With its count an empty value is " (3)".
            empty = not shown or shown.startswith(" (")
            yield {**choice, "display": f"{NONE}{shown}" if empty else shown}


class Named(admin.RelatedOnlyFieldListFilter):
    """What the rows name, and a word for those that name none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_value_display = NONE


class Numbers(Named):
    """Numbers of ours, as people read them."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        used = model_admin.get_queryset(request).values_list(f"{self.field_path}__pk", flat=True)
        return [(each.pk, spoken(each)) for each in PhoneNumber.objects.filter(pk__in=used.distinct())]


class When(admin.DateFieldListFilter):
    """When it began, or was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "time"


def spoken(number: PhoneNumber) -> str:
    """Return a number of ours with its name: ``+44 7700 900001 Demo: Echo``."""
    return f"{readable(number.digits)} {number.name}".strip()
