"""Knows the form of a flow's step: fields drawn from the catalogue, every error on its own field."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar, cast

from django import forms

from callflows.admin.rows import OrderedForm, OrderedFormSet
from callflows.admin.show import pretty
from callflows.admin.step_fields import Choices, Named, form_field
from callflows.admin.step_options import (
    TO,
    Drawn,
    drawn,
    in_turn,
    made,
    read,
    unknown,
    write,
)
from callflows.admin.step_rows import drawn_rows
from callflows.models import AudioPrompt, HeaderSet, Step
from callflows.models.flows import resolved
from callflows.ncco import flow as core
from callflows.ncco.actions import ACTIONS
from callflows.ncco.check import step_problems
from callflows.ncco.document import checked
from callflows.ncco.problems import Problem
from callflows.ncco.served import APP, HEADER_SET, PROMPT, SETTINGS
from callflows.sockets.registry import APPS

# What else an action needs that no option says by itself: unknown by the catalogue, since it knows no prompts.
_EITHER = "choose a prompt, or give an address elsewhere"
_BOTH = "expected a prompt or an address, got both: leave one of them out"
_NO_INPUT = "choose what it waits for: keys, speech, or both"


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

    def blank(self) -> list[Any]:
        """Return an empty form of each action: the page's script takes new fields from them."""
        forms_of = [self.form(prefix=self.add_prefix("__prefix__"), initial={"action": name}) for name in ACTIONS]
        for form in forms_of:
            self.add_fields(form, None)
        return forms_of


class StepForm(OrderedForm):
    """One step. It has the fields of its action only; which of them are shown, others of them decide."""

    drawn: ClassVar[dict[str, tuple[Drawn, ...]]] = {}
    option_fields: ClassVar[dict[str, forms.Field]] = {}
    action = forms.ChoiceField(choices=[], initial=next(iter(ACTIONS)))

    class Meta:
        model = Step
        fields = ("name", "action", "then", "to_step", "to_flow", "position")
        labels = {"then": "Then"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored: dict[str, Any] = self.instance.options
        self.stored_action = self.instance.action
        names = dict.fromkeys([*ACTIONS, *([self.stored_action] if self.stored_action else [])])
        cast(forms.ChoiceField, self.fields["action"]).choices = [(name, name) for name in names]
        self.chosen: str = self["action"].value() or ""
        self.own = self.drawn.get(self.chosen, ())
        for each in self.own:
            self.fields[each.field] = copy.deepcopy(self.option_fields[each.field])
            self._fill(each, self.fields[each.field])

    def _fill(self, each: Drawn, field: forms.Field) -> None:
        """Put what the step stores into a field; a stored value that is no choice any more stays one."""
        value = None
        if self.chosen == self.stored_action and self._leads_there(each):
            value = read(each, self.stored)
        if value is None and each.starts_with_default:
            value = each.option.default
        if value is None:
            return
        self.initial[each.field] = value
        if isinstance(field, forms.ChoiceField):
            for one in value if isinstance(value, list) else [value]:
                if not field.valid_value(str(one)):
                    field.choices = [*cast(Choices, field.choices), (one, f"{one} (not known here)")]

    def _leads_there(self, each: Drawn) -> bool:
        """Return whether the stored connect leads where this option belongs, shown or not."""
        return TO not in each.when or bool(self.stored_state.get(TO, frozenset()) & each.when[TO])

    @cached_property
    def stored_state(self) -> dict[str, frozenset[str]]:
        """Return the choices that are stored, as ``Drawn.when`` asks for them."""
        found: dict[str, frozenset[str]] = {}
        for each in in_turn(self.drawn.get(self.stored_action, ())):
            if each.fits(found):
                value = read(each, self.stored)
                found[each.field] = made(each.option.default if value is None else value)
        return found

    @cached_property
    def state(self) -> dict[str, frozenset[str]]:
        """Return the choices that the form shows now; a field that is not shown chooses nothing."""
        found: dict[str, frozenset[str]] = {}
        for each in in_turn(self.own):
            if each.fits(found):
                found[each.field] = made(self[each.field].value())
        return found

    @property
    def shown(self) -> tuple[Drawn, ...]:
        return tuple(each for each in self.own if each.field in self.state)

    @property
    def shown_before(self) -> tuple[Drawn, ...]:
        """Return the options that the page showed for what is stored."""
        return tuple(each for each in self.drawn.get(self.stored_action, ()) if each.field in self.stored_state)

    def unused(self) -> set[str]:
        return {each.field for each in self.own} - self.state.keys()

    def rows(self) -> dict[str, Any]:
        """Return the fields for the page: those that most steps need, and those that fold away."""
        return drawn_rows(self, self.own, self.state)

    def kept_options(self) -> dict[str, Any]:
        """Return the stored options that no field shows."""
        return unknown(self.stored, self.shown_before)

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
        same = self.chosen == self.stored_action
        options = copy.deepcopy(self.stored) if same else {}
        before = self.shown_before if same else ()
        for each in before:
            # What the page showed, and shows no more, was given up; what it never showed stays.
            if each.field not in self.state:
                write(each, options, None)
        there, changed = {each.field for each in before}, set(self.changed_data)
        # Switches last: an object that its own fields left empty is still there when its switch is on.
        for each in sorted(self.shown, key=lambda each: each.switch):
            if each.field not in self.errors and (each.field not in there or each.field in changed):
                write(each, options, _value(each, cleaned.get(each.field)))
        return options

    def _problems(self, options: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
        """Yield everything that is wrong with the options, with its field."""
        yield from self._choices_gone(options)
        if self.chosen == "stream":
            yield from _stream(options)
        if self.chosen == "input" and not self.cleaned_data.get("input.type"):
            yield "input.type", _NO_INPUT
        found = step_problems(core.Step("step", self.chosen, resolved(options)))
        if app := APPS.get(str(options.get(APP))):
            found += checked(app.settings, options.get(SETTINGS, {}), f"$[0].{SETTINGS}")
        if self.chosen == "stream" and "streamUrl" not in options:
            found = [each for each in found if "streamUrl" not in each.path]
        yield from (self._placed(each) for each in found if each.severity == "error")

    def _choices_gone(self, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Prompts and header sets are named by their id: the one that a step names may be gone."""
        for each in self.shown:
            value = read(each, options)
            for one in value if isinstance(value, list) else [value]:
                if one is not None and core.is_prompt(each.option.name) and not _is_there(one):
                    yield each.field, f"prompt {one} does not exist any more: choose another one"
            if value is not None and each.path == (HEADER_SET,) and not HeaderSet.objects.filter(pk=value).exists():
                yield each.field, f"header set {value} does not exist any more: choose another one"

    def _placed(self, problem: Problem) -> tuple[str | None, str]:
        """Return a problem with its field: ``$[0].endpoint[0].number`` is ``connect.phone.number``; None: the step."""
        path = tuple(re.sub(r"\[\d+\]", "", problem.path).removeprefix("$").strip(".").split("."))
        if path == ("action",):
            return "action", problem.message
        if path[0] == "endpoint" and "".join(path[1:2]).startswith("headers"):
            path = (HEADER_SET,)
        for each in self.shown:
            if each.field != TO and path[: len(each.path)] == each.path:
                return each.field, problem.message
        # A problem of a whole object stands on the first field of it, one of the endpoint where it is chosen.
        if path in (("endpoint",), ("endpoint", "type")):
            return TO, problem.message
        for each in self.shown:
            if path != ("",) and each.path[: len(path)] == path:
                return each.field, problem.message
        name = ".".join(path)
        return None, f"{name}: {problem.message}" if name else problem.message


def _is_there(prompt: Any) -> bool:
    return AudioPrompt.objects.filter(pk=prompt).exists()


def _stream(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A stream plays a prompt or an address: the catalogue knows no prompts."""
    if PROMPT in options and "streamUrl" in options:
        yield "stream.streamUrl", _BOTH
    elif PROMPT not in options and "streamUrl" not in options:
        yield f"stream.{PROMPT}", _EITHER


def _value(each: Drawn, value: Any) -> Any:
    """Return what a field's value is stored as; None: nothing, Vonage's or the app's default counts."""
    if each.option.required:
        return value or None
    if each.starts_with_default:
        return None if value == each.option.default or (value is False and not each.option.default) else value
    return None if value == "" or (each.option.choices and value == []) else value


def step_form() -> type[StepForm]:
    """Return the form of a step as the catalogue and the registry are now; prompts and header sets are read once."""
    named, options = Named.now(), list(drawn())
    fields = {each.field: form_field(each, named) for each in options}
    by_action = {action: tuple(members) for action, members in groupby(options, key=lambda each: each.action)}
    return cast(type[StepForm], type("StepForm", (StepForm,), {"drawn": by_action, "option_fields": fields}))
