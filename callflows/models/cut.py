"""Knows columns for words of others, of any length: what does not fit is cut as it is written."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

# As django-stubs names them: what may be assigned, and what is read.
_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)


class CutField(models.CharField[_ST, _GT]):
    """A CharField that refuses no text for its length; all of it stands in the raw webhook."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        cut = value[: self.max_length] if isinstance(value, str) else value
        return super().get_db_prep_save(cut, connection)

    def deconstruct(self) -> Any:
        """For migrations it is the same column."""
        name, _, arguments, named = super().deconstruct()
        return name, "django.db.models.CharField", arguments, named
