"""Knows the forms of a flow's steps and branches: fields drawn from the catalogue, every error on its own field."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar, cast

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import DELETION_FIELD_NAME

from callflows.admin.fields import Suggesting
from callflows.admin.show import pretty
from callflows.admin.step_options import (
    ELSEWHERE,
    HEADER_SET,
    Choices,
    Drawn,
    drawn,
    form_field,
    is_prompt,
    read,
    unknown,
    write,
)
from callflows.models import AudioPrompt, Branch, CallFlow, HeaderSet, Step
from callflows.models.flows import STEP_NAME, resolved
from callflows.ncco import flow as core
from callflows.ncco.actions import ACTIONS
from callflows.ncco.check import step_problems
from callflows.ncco.document import checked
from callflows.ncco.problems import Problem
from callflows.ncco.served import APP, PROMPT, SETTINGS
from callflows.sockets.registry import APPS

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
        """Return the fields that the chosen action does not have."""
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


class StepFormSet(OrderedFormSet):
    """All steps of a flow: each needs a name of its own."""

    def clean(self) -> None:
        super().clean()
        seen = set()
        for form in self.kept():
            name = form.cleaned_data.get("name")
            if name and name in seen:
                form.add_error("name", f"another step is called {name!r}: each needs a name of its own")
            seen.add(name)


class StepForm(OrderedForm):
    """One step. ``drawn`` are the options of all actions; those of the chosen one count."""

    drawn: ClassVar[tuple[Drawn, ...]] = ()
    action = forms.ChoiceField(choices=[], initial=next(iter(ACTIONS)))

    class Meta:
        model = Step
        fields = ("name", "action", "then", "to_step", "to_flow", "position")
        labels = {"then": "Then"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored: dict[str, Any] = self.instance.options
        self.stored_action, self.stored_app = self.instance.action, self.stored.get(APP, ELSEWHERE)
        self._fill()
        names = dict.fromkeys([*ACTIONS, *([self.stored_action] if self.stored_action else [])])
        cast(forms.ChoiceField, self.fields["action"]).choices = [(name, name) for name in names]

    def _fill(self) -> None:
        """Put what the step stores into the fields; a stored value that is no choice any more stays one."""
        if self.stored_action == "connect":
            self.initial[f"connect.{APP}"] = self.stored_app
        for each in self.drawn:
            value = None
            if each.belongs(self.stored_action, self.stored_app):
                value = read(each.path, self.stored)
            if value is None and each.starts_with_default:
                value = each.option.default
            if value is not None:
                self.initial[each.field] = value
            field = self.fields[each.field]
            if isinstance(field, forms.ChoiceField) and value is not None and not field.valid_value(str(value)):
                field.choices = [*cast(Choices, field.choices), (value, f"{value} (not known here)")]

    @property
    def chosen(self) -> tuple[str, str]:
        """The action and, for a connect, the app that the form shows now."""
        action = self["action"].value() or ""
        return action, (self[f"connect.{APP}"].value() or "") if action == "connect" else ELSEWHERE

    def shown(self) -> tuple[Drawn, ...]:
        return tuple(each for each in self.drawn if each.belongs(*self.chosen))

    def unused(self) -> set[str]:
        return {each.field for each in self.drawn} - {each.field for each in self.shown()}

    def groups(self) -> list[dict[str, Any]]:
        """Return the fields for the page: one group for each action, and for each app of a connect."""
        chosen = self.chosen
        return [
            {
                "action": action,
                "app": app,
                "by_app": app is not None,
                "open": chosen[0] == action and app in (None, chosen[1]),
                "fields": [(self[each.field], each.option.kind) for each in members],
            }
            for (action, app), members in groupby(self.drawn, key=lambda each: (each.action, each.app))
        ]

    def kept_options(self) -> dict[str, Any]:
        """Return the stored options that no field shows."""
        stored_fields = [each for each in self.drawn if each.belongs(self.stored_action, self.stored_app)]
        return unknown(self.stored, stored_fields)

    def kept_json(self) -> str:
        return pretty(self.kept_options())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.unused():
            self.errors.pop(name, None)
        self._clean_target(cleaned)
        self.instance.options = self._written(cleaned)
        for field, message in self._problems(self.instance.options):
            if field not in self.errors:
                self.add_error(field, message)
        return cleaned

    def _clean_target(self, cleaned: dict[str, Any]) -> None:
        """Keep only the target that ``then`` asks for; it must be there."""
        then = cleaned.get("then")
        for kind, field in ((Step.Then.STEP, "to_step"), (Step.Then.FLOW, "to_flow")):
            if then != kind:
                cleaned[field] = None if field == "to_flow" else ""
                self.errors.pop(field, None)
            elif not cleaned.get(field) and field not in self.errors:
                self.add_error(field, f"expected the {kind.value} to go to, got nothing")

    def _written(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """Return the step's options: what was stored, with the fields that were changed written over it."""
        action, app = self.chosen
        same = action == self.stored_action
        options = copy.deepcopy(self.stored) if same else {}
        if app != self.stored_app or not same:
            options.pop(SETTINGS, None)
        if app != ELSEWHERE:
            options.pop("uri", None)
        changed = set(self.changed_data)
        for each in self.shown():
            fresh = not same or (each.app is not None and app != self.stored_app)
            if each.field not in self.errors and (fresh or each.field in changed):
                write(each.path, options, _value(each, cleaned.get(each.field)))
        return options

    def _problems(self, options: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
        """Yield everything that is wrong with the options, with its field."""
        action, app = self.chosen
        yield from self._choices_gone(options)
        if action == "stream" and PROMPT in options and "streamUrl" in options:
            yield "stream.streamUrl", "expected a prompt or an address, got both: leave one of them out"
        elif action == "stream" and not {PROMPT, "streamUrl"} & options.keys():
            yield f"stream.{PROMPT}", "choose a prompt, or give an address elsewhere"
        if action == "connect" and app == ELSEWHERE and "uri" not in options:
            yield "connect.uri", "is required: an address that begins with wss:// or ws://"
        found = step_problems(core.Step("step", action, resolved(options)))
        if app in APPS:
            found += checked(APPS[app].settings, options.get(SETTINGS, {}), f"$[0].{SETTINGS}")
        found = [each for each in found if each.severity == "error"]
        if action == "stream" and PROMPT not in options and "streamUrl" not in options:
            found = [each for each in found if "streamUrl" not in each.path]
        yield from map(self._placed, found)

    def _choices_gone(self, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Prompts and header sets are named by their id: the one that a step names may be gone."""
        for each in self.shown():
            value = read(each.path, options)
            if value is not None and is_prompt(each.option.name) and not AudioPrompt.objects.filter(pk=value).exists():
                yield each.field, f"prompt {value} does not exist any more: choose another one"
            if value is not None and each.path == (HEADER_SET,) and not HeaderSet.objects.filter(pk=value).exists():
                yield each.field, f"header set {value} does not exist any more: choose another one"

    def _placed(self, problem: Problem) -> tuple[str | None, str]:
        """Return a problem with its field: ``$[0].endpoint[0].uri`` is ``connect.uri``; None: of the whole step."""
        path = re.sub(r"\[\d+\]", "", problem.path).removeprefix("$").removeprefix(".endpoint").strip(".")
        if path.startswith("headers"):
            path = HEADER_SET
        for each in self.shown():
            name = ".".join(each.path)
            if path == name or path.startswith(f"{name}."):
                return each.field, problem.message
        if path == "action":
            return "action", problem.message
        return None, f"{path}: {problem.message}" if path else problem.message


def _value(each: Drawn, value: Any) -> Any:
    """Return what a field's value is stored as; None: nothing, Vonage's or the app's default counts."""
    if each.starts_with_default:
        return None if value == each.option.default else value
    return None if value in ("", None) or value == [] else value


def step_form() -> type[StepForm]:
    """Return the form of a step as the catalogue and the registry are now; prompts and header sets are read once."""
    prompts: Choices = [
        (prompt.pk, prompt.name) for prompt in AudioPrompt.objects.filter(versions__isnull=False).distinct()
    ]
    header_sets: Choices = [(each.pk, each.name) for each in HeaderSet.objects.all()]
    options = tuple(drawn())
    fields = {each.field: form_field(each, prompts, header_sets) for each in options}
    return cast(type[StepForm], type("StepForm", (StepForm,), {**fields, "drawn": options}))


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
