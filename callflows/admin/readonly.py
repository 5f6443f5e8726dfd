"""Knows how the admin only shows what calls and workers wrote, and who may edit the rows of a page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """Pages that show: nothing is added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PartOfPage:
    """Rows that belong to what their page is about: who may edit that may edit them."""

    parent_model: Any

    def _may(self, request: HttpRequest, *verbs: str) -> bool:
        options = self.parent_model._meta
        user: Any = request.user
        return any(user.has_perm(f"{options.app_label}.{verb}_{options.model_name}") for verb in verbs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", "change")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", "change")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", "change")
