"""Knows the rows of a flow's page, steps and branches: their order, and which of them are there after saving."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import DELETION_FIELD_NAME

from callflows.admin.fields import Suggesting
from callflows.admin.step_fields import Choices
from callflows.models import Branch, CallFlow
from callflows.models.flows import STEP_NAME

# Ids of the page's lists of suggestions.
STEP_NAMES = "step-names"
OUTCOMES = "outcomes"


class OrderedForm(forms.ModelForm[Any]):
    """A row whose place on the page is its hidden ``position``; the page's script writes it."""

    position = forms.IntegerField(required=False, widget=forms.HiddenInput)
    to_step = forms.CharField(
        label="Step", max_length=50, required=False, validators=[STEP_NAME], widget=Suggesting(STEP_NAMES)
    )
    to_flow = forms.ModelChoiceField(CallFlow.objects.all(), label="Flow", required=False, empty_label="–")

    @cached_property
    def changed_data(self) -> list[str]:
        """A new row that only has a place is an empty one."""
        hidden = {*self.unused(), *(["position"] if self.instance.pk is None else [])}
        return [name for name in super().changed_data if name not in hidden]

    def unused(self) -> set[str]:
        """Return the fields that are not shown, and do not count."""
        return set()

    def clean_position(self) -> int:
        return self.cleaned_data["position"] or 0


class OrderedFormSet(forms.BaseInlineFormSet[Any, Any, Any]):
    """Rows in order; the flows to choose from are read once for all of them."""

    @cached_property
    def flow_choices(self) -> Choices:
        return [("", "–"), *((flow.pk, flow.name) for flow in CallFlow.objects.all())]

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["to_flow"].choices = self.flow_choices

    def kept(self) -> Iterator[Any]:
        """Yield the rows that will be there after saving."""
        for form in self.forms:
            is_empty = form in self.extra_forms and not form.has_changed()
            if not is_empty and not form.cleaned_data.get(DELETION_FIELD_NAME):
                yield form


class BranchForm(OrderedForm):
    """What comes of an outcome: exactly one target."""

    class Meta:
        model = Branch
        fields = ("step", "outcome", "at_most", "to_step", "to_flow", "position")
        widgets = {
            "step": Suggesting(STEP_NAMES),
            "outcome": Suggesting(OUTCOMES),
            "at_most": forms.TextInput(attrs={"inputmode": "numeric", "size": 4}),
        }
        labels = {"step": "After step", "at_most": "At most"}
        help_texts = {"at_most": ""}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to_step"].label, self.fields["to_flow"].label = "Go to step", "or to flow"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        chosen = [name for name in ("to_step", "to_flow") if cleaned.get(name)]
        if len(chosen) != 1 and not {"to_step", "to_flow"} & self.errors.keys():
            got = "both" if chosen else "neither"
            raise ValidationError({"to_step": f"expected a step or a flow to lead to, got {got}"})
        return cleaned
