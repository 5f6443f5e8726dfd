"""Knows what all pages of ours have in common, in whatever project's admin they stand."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import admin
from django.db.models import Model

M = TypeVar("M", bound=Model)


class OurAdmin(admin.ModelAdmin[M]):
    """With our style, and a dash for what is empty."""

    empty_value_display = "–"

    class Media:
        css = {"all": ("callflows/admin.css",)}
