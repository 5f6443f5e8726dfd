"""Knows how a step's fields stand on the page: by object, rare ones folded, hidden ones with their condition."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms

from callflows.admin.step_options import Drawn

# Objects inside an action, as operators read of them.
_TITLES = {"dtmf": "Keys", "standardHeaders": "Standard headers", "onAnswer": "When the phone is answered"}


@dataclass(frozen=True, slots=True)
class Row:
    """A field as the page draws it, hidden or not by the choices of other fields."""

    drawn: Drawn
    field: forms.BoundField
    hidden: bool

    @property
    def kind(self) -> str:
        return self.drawn.option.kind

    @property
    def when(self) -> str:
        """Return with which values of which fields it is shown, for the page's script; empty: always."""
        return json.dumps({name: sorted(values) for name, values in self.drawn.when.items()}) if self.drawn.when else ""

    @property
    def is_set(self) -> bool:
        value = self.field.value()
        return value not in (None, "", [], False) and str(value) != str(self.drawn.option.default)


def drawn_rows(form: forms.BaseForm, own: Iterable[Drawn], shown: Container[str]) -> dict[str, Any]:
    """Return a form's fields for the page: those that most steps need, the others, and how many of these are set."""
    rows = [Row(each, form[each.field], each.field not in shown) for each in own]
    folded = [row for row in rows if not row.drawn.first]
    told = [row for row in folded if not row.hidden]
    return {
        "first": list(_parts(row for row in rows if row.drawn.first)),
        "more": list(_parts(folded)),
        "open": any(row.field.errors for row in told),
        "set": sum(row.is_set for row in told),
    }


def _parts(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Yield rows by the object that their options belong to; those of none come first, under no heading."""
    in_order = sorted(rows, key=lambda row: bool(row.drawn.part))
    for part, members in groupby(in_order, key=lambda row: row.drawn.part):
        found, title = list(members), _TITLES.get(part, _words(part))
        # A heading that its first field repeats says nothing.
        yield {"title": "" if title == found[0].drawn.option.label else title, "rows": found}


def _words(name: str) -> str:
    """``advancedMachineDetection`` -> ``Advanced machine detection``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words[:1].upper() + words[1:]
