"""Knows which form field each option of a step is typed into, and how its choices are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Q

from callflows.admin.fields import Json, Lines, Number, Suggesting, Text, Whole
from callflows.admin.several import Pairs, Several
from callflows.admin.step_options import OURS, TO, Drawn, destinations
from callflows.audio.format import Format
from callflows.models import AudioPrompt, HeaderSet, PromptUpload
from callflows.ncco.flow import is_prompt
from callflows.ncco.option import Option
from callflows.ncco.served import HEADER_SET
from callflows.sockets.registry import APPS

Choices = list[tuple[Any, Any]]
# The page's list of the account's own numbers.
OWN_NUMBERS = "own-numbers"

_ENDPOINTS = {
    "websocket": "an audio socket elsewhere",
    "phone": "a phone",
    "sip": "a SIP address",
    "app": "a user of an app (Client SDK)",
    "vbc": "an extension (VBC)",
}
# What choices are called where Vonage's own words say too little; "" is what stands without one.
_CALLED: dict[str, dict[str, str]] = {
    "authorization.type": {"": "none", "vonage": "signed by Vonage", "custom": "a value of one's own"},
    "type": {"dtmf": "keys", "speech": "speech"},
    "mode": {"": "wait for it", "synchronous": "wait for it", "asynchronous": "go on; each key is told by itself"},
    "split": {"": "all in one", "conversation": "the caller apart from the others"},
    "machineDetection": {"": "off", "continue": "tell, and go on", "hangup": "hang up on a machine"},
    "advancedMachineDetection.behavior": {"": "–", "continue": "tell, and go on", "hangup": "hang up on a machine"},
    "advancedMachineDetection.mode": {
        "": "–",
        "default": "human or machine, and the beep",
        "detect": "human or machine",
        "detect_beep": "human or machine, and the beep",
    },
}
# What an empty field stands for, where that is no default of the catalogue's.
_EMPTY = {"from": "the number called", "provider": "Vonage's"}
# An empty list is nobody; no list is everybody. One word tells them apart.
NOBODY = "nobody"
_MAY_BE_NOBODY = ("canSpeak", "canHear")
_LONG = ("text",)
# What a field asks for, where it is typed in another way than it is written in an NCCO.
_TYPED = {
    "canSpeak": f"Legs that hear this call, one a line. Empty: all; the word {NOBODY}: none.",
    "canHear": f"Legs that this call hears, one a line. Empty: all; the word {NOBODY}: none.",
}


@dataclass(frozen=True, slots=True)
class Named:
    """What fields offer of what operators made: read once for a whole page."""

    prompts: Choices
    header_sets: Choices

    @classmethod
    def now(cls) -> Named:
        coming = Q(uploads__in=PromptUpload.objects.coming())
        prompts = AudioPrompt.objects.filter(Q(versions__isnull=False) | coming).distinct()
        return cls(
            [(each.pk, each.name) for each in prompts], [(each.pk, each.name) for each in HeaderSet.objects.all()]
        )


def form_field(each: Drawn, named: Named) -> forms.Field:
    """Return the field for one option. None is required: a wrong or missing value is told by the option's own check."""
    option = each.option
    common: dict[str, Any] = {
        "label": f"{option.label} ({option.unit})" if option.unit else option.label,
        "help_text": _help(option),
        "required": False,
    }
    if each.field == TO:
        return forms.ChoiceField(**common, choices=_destinations(), initial=destinations()[0])
    if each.path == (HEADER_SET,):
        return _id_field(common, [("", "none"), *named.header_sets])
    if is_prompt(option.name) and option.name.endswith("s"):
        return Several(**common, choices=named.prompts)
    if each.chooses:
        return Pairs(**common)
    if is_prompt(option.name):
        return _id_field(common, [("", "choose a prompt" if option.required else "none"), *named.prompts])
    if each.called:
        return forms.TypedChoiceField(**common, choices=list(each.called), empty_value=None)
    field = _by_kind(option, common, each.prefilled)
    if hint := _hint(each):
        field.widget.attrs["placeholder"] = hint
    return field


def _destinations() -> Choices:
    ours = [(f"{OURS}{name}", app.label) for name, app in APPS.items()]
    others = [(name, _ENDPOINTS.get(name, name)) for name in destinations() if not name.startswith(OURS)]
    return [("Our apps", ours), ("Others", others)]


def _id_field(common: dict[str, Any], choices: Choices) -> forms.Field:
    return forms.TypedChoiceField(**common, coerce=int, empty_value=None, choices=choices)


def _hint(each: Drawn) -> str:
    """Return what an empty field stands for."""
    default = each.option.default
    if default in (None, "") or each.prefilled or isinstance(default, bool | list):
        return _EMPTY.get(each.option.name, "")
    return f"{default:g}" if isinstance(default, float) else str(default)


def _by_kind(option: Option, common: dict[str, Any], prefilled: bool) -> forms.Field:
    match option.kind:
        case "flag":
            return forms.BooleanField(**common)
        case "whole":
            return Whole(**common)
        case "number":
            return Number(**common)
        case "choice":
            return _choice(option, common, prefilled)
        case "texts" if option.choices:
            choices = [(each, _called(option, each)) for each in option.choices]
            return forms.MultipleChoiceField(**common, choices=choices, widget=forms.CheckboxSelectMultiple)
        case "texts":
            return Lines(**common, empty_word=NOBODY if option.name in _MAY_BE_NOBODY else "")
        case "object":
            return Json(**common)
        case "text":
            return Text(**common, widget=_text_widget(option.name))


def _text_widget(name: str) -> forms.Widget | None:
    if name == "from":
        return Suggesting(OWN_NUMBERS)
    return forms.Textarea(attrs={"rows": 3}) if name in _LONG else None


def _choice(option: Option, common: dict[str, Any], prefilled: bool) -> forms.Field:
    named = {str(each): each for each in option.choices}
    choices: Choices = [(text, _called(option, text)) for text in named]
    if not prefilled:
        choices.insert(0, ("", _called_without(option)))
    return forms.TypedChoiceField(
        **common, choices=choices, coerce=lambda value: named.get(str(value), value), empty_value=None
    )


def _called_without(option: Option) -> str:
    if "" in _CALLED.get(option.name, {}):
        return _CALLED[option.name][""]
    # The sound of a socket has no default at Vonage: we ask for 16 kHz.
    default = "16 kHz" if option.name == "content-type" else _called(option, str(option.default or ""))
    return f"default ({default})" if default else "default"


def _called(option: Option, text: str) -> str:
    if text.startswith("audio/l16"):
        return f"{Format.parse(text).rate // 1000} kHz"
    return _CALLED.get(option.name, {}).get(text, text)


def _help(option: Option) -> str:
    if option.name in _TYPED:
        return _TYPED[option.name]
    low, high = (f"{bound:g}" if bound is not None else "" for bound in option.usual)
    if low in option.help_text and high in option.help_text and low and high:
        return option.help_text
    span = f"{low} to {high}." if low and high else f"At least {low}." if low and low != "0" else ""
    return f"{option.help_text} {span}".strip()
