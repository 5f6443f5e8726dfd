"""Knows which options of a step the forms draw, for which action, and where a step stores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from callflows.admin.fields import Json, Lines, Number, Text, Whole
from callflows.audio.format import Format
from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options
from callflows.ncco.served import APP, PROMPT, SETTINGS
from callflows.sockets.registry import APPS

HEADER_SET = "headerSet"
# A connect to an address that is none of our apps.
ELSEWHERE = ""
Choices = list[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One option as a field of a step's form, shown with ``action`` and, unless None, only with ``app``.

    ``path`` is where ``Step.options`` holds it. ``prefilled``: the field begins with the default, since empty is a
    value of its own; else empty stands for the default, which the field only hints at.
    """

    field: str
    action: str
    app: str | None
    path: tuple[str, ...]
    option: Option
    prefilled: bool = False

    def belongs(self, action: str, app: str) -> bool:
        return self.action == action and self.app in (None, app)

    @property
    def starts_with_default(self) -> bool:
        return self.prefilled or self.option.kind == "flag"


def drawn() -> Iterator[Drawn]:
    """Yield every option that the forms draw: those of the catalogue, ours, and each app's settings."""
    for action, model in ACTIONS.items():
        if action == "stream":
            yield _ours("stream", PROMPT, "Prompt", "What callers hear.")
        if action == "connect":
            yield from _connect()
        yield from (_catalogued(action, None, each) for each in offered(model))


def offered(model: type[BaseModel]) -> Iterator[Option]:
    """Yield the options of ``model`` that forms draw: not those of an object that is kept out of forms as a whole."""
    kept_out = {field.alias or name for name, field in model.model_fields.items() if not _in_forms(field)}
    yield from (each for each in options(model) if each.form and each.name.partition(".")[0] not in kept_out)


def _in_forms(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return not isinstance(extra, dict) or bool(extra.get("form", True))


def _connect() -> Iterator[Drawn]:
    sockets = list(offered(ENDPOINTS["websocket"]))
    yield _ours("connect", APP, "Connect to", "One of our apps, or an address elsewhere.")
    for app in APPS.values():
        for each in options(app.settings):
            titled = replace(each, label=app.settings.model_fields[each.name].title or each.label)
            yield Drawn(f"app.{app.name}.{each.name}", "connect", app.name, (SETTINGS, each.name), titled, True)
    yield from (_catalogued("connect", ELSEWHERE, each) for each in sockets if each.name == "uri")
    yield from (_catalogued("connect", None, each) for each in sockets if each.name != "uri")
    yield _ours("connect", HEADER_SET, "Header set", "What the socket is told of the call in its first message.")


def _catalogued(action: str, app: str | None, option: Option) -> Drawn:
    return Drawn(f"{action}.{option.name}", action, app, tuple(option.name.split(".")), option)


def _ours(action: str, name: str, label: str, help_text: str) -> Drawn:
    option = Option(name, "choice", label, help_text, "", None, required=False, form=True, source="Callflows")
    return Drawn(f"{action}.{name}", action, None, (name,), option)


def read(path: Iterable[str], stored: Mapping[str, Any]) -> Any:
    """Return what ``stored`` holds under a path; None for nothing."""
    value: Any = stored
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def write(path: tuple[str, ...], stored: dict[str, Any], value: Any) -> None:
    """Put ``value`` under a path; None takes it away, and objects that it leaves empty."""
    name, *rest = path
    if rest:
        inner = stored[name] if isinstance(stored.get(name), dict) else {}
        write(tuple(rest), inner, value)
        value = inner or None
    if value is None:
        stored.pop(name, None)
    else:
        stored[name] = value


def unknown(stored: Mapping[str, Any], shown: Iterable[Drawn]) -> dict[str, Any]:
    """Return the options that no field shows: they came with an import, and stay."""
    left: dict[str, Any] = {name: dict(value) if isinstance(value, dict) else value for name, value in stored.items()}
    for each in shown:
        write(each.path, left, None)
    return left


def is_prompt(name: str) -> bool:
    """Whether an option holds the id of an audio prompt, by its name."""
    return name.rpartition(".")[2].endswith(PROMPT)


def form_field(each: Drawn, prompts: Choices, header_sets: Choices) -> forms.Field:
    """Return the field for one option. None is required: a wrong or missing value is told by the option's own check."""
    option = each.option
    common: dict[str, Any] = {
        "label": f"{option.label} ({option.unit})" if option.unit else option.label,
        "help_text": _help(option),
        "required": False,
    }
    if each.path == (APP,):
        apps: Choices = [*((name, app.label) for name, app in APPS.items()), (ELSEWHERE, "An address elsewhere")]
        return forms.ChoiceField(**common, choices=apps, initial=apps[0][0])
    if each.path == (HEADER_SET,):
        return forms.TypedChoiceField(**common, coerce=int, empty_value=None, choices=[("", "none"), *header_sets])
    if is_prompt(option.name):
        none = "choose a prompt" if option.required else "none"
        return forms.TypedChoiceField(**common, coerce=int, empty_value=None, choices=[("", none), *prompts])
    return _by_kind(option, common, each.prefilled)


def _by_kind(option: Option, common: dict[str, Any], prefilled: bool) -> forms.Field:
    if option.default not in (None, "") and not prefilled:
        hint = {"placeholder": f"{option.default:g}" if isinstance(option.default, float) else str(option.default)}
    else:
        hint = {}
    match option.kind:
        case "flag":
            field: forms.Field = forms.BooleanField(**common)
        case "whole":
            field = Whole(**common)
        case "number":
            field = Number(**common)
        case "choice":
            field = _choice(option, common, prefilled)
        case "texts" if option.choices:
            field = forms.MultipleChoiceField(
                **common, choices=[(each, each) for each in option.choices], widget=forms.CheckboxSelectMultiple
            )
        case "texts":
            field = Lines(**common)
        case "object":
            field = Json(**common)
        case "text":
            field = Text(**common, widget=forms.Textarea(attrs={"rows": 3}) if option.name == "text" else None)
    field.widget.attrs.update(hint)
    return field


def _choice(option: Option, common: dict[str, Any], prefilled: bool) -> forms.Field:
    named = {str(each): each for each in option.choices}
    choices: Choices = [(text, _choice_label(text)) for text in named]
    if not prefilled:
        # The sound of a socket has no default at Vonage: we ask for 16 kHz.
        default = "16 kHz" if option.name == "content-type" else _choice_label(str(option.default or ""))
        choices.insert(0, ("", f"default ({default})" if default else "default"))
    return forms.TypedChoiceField(
        **common, choices=choices, coerce=lambda value: named.get(str(value), value), empty_value=None
    )


def _choice_label(text: str) -> str:
    return f"{Format.parse(text).rate // 1000} kHz" if text.startswith("audio/l16") else text


def _help(option: Option) -> str:
    low, high = (f"{bound:g}" if bound is not None else "" for bound in (option.minimum, option.maximum))
    if low in option.help_text and high in option.help_text and low and high:
        return option.help_text
    span = f"{low} to {high}." if low and high else f"At least {low}." if low and low != "0" else ""
    return f"{option.help_text} {span}".strip()
