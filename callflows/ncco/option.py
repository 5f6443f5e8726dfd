"""Knows what an option of an NCCO is: the one line from which checks, forms and documents are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from callflows.ncco.problems import OURS, REFERENCE

# What a pattern means, in words; see ``shape``.
SHAPES: dict[str, str] = {}
DISPUTED = "Vonage's sources disagree about that"

Bounds = tuple[float | None, float | None]
Tolerated = Literal["", "plus", "list", "entry", "values", "flag"]


class Options(BaseModel):
    """A JSON object of an NCCO.

    Names are Vonage's (camelCase); unknown ones are kept, and warned of by ``document.problems``. An option that may
    be left out is typed as if it were always there: null is no value of its type.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="allow",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        regex_engine="rust-regex",
    )


def shape(pattern: str, words: str) -> Any:
    """Return the rule that a text has this form; ``words`` are what an error message calls it."""
    SHAPES[pattern] = words
    return Field(pattern=pattern)


def option(
    help_text: str,
    default: Any = None,
    *,
    label: str = "",
    unit: str = "",
    form: bool = True,
    source: str = REFERENCE,
    usual: Bounds | None = None,
    beyond: str = DISPUTED,
    step: float | None = None,
    known: tuple[str, ...] = (),
    doubtful: Mapping[str, str] | None = None,
    tolerated: Tolerated = "",
    old: str = "",
    **rules: Any,
) -> Any:
    """Return the description of one option.

    ``default`` is what Vonage does when the option is left out (``...``: it is required). ``rules`` are pydantic's
    (``ge``, ``le``, ``min_length``, ``alias``), and errors when broken. ``form=False`` keeps an option out of the
    operators' forms: those that we write ourselves, such as ``eventUrl``. The others make warnings:

    - ``usual``: a number outside these bounds, with ``beyond`` as the reason; ``step``: a number between the steps;
    - ``known``: a text that is none of these; ``doubtful``: this text, even where it would be an error, and why;
    - ``tolerated``: a number with ``plus`` before it, a text as a ``list`` of one or none, the one ``entry`` of a list
      without the list, ``values`` of an object that are no texts, a ``flag`` for a number;
    - ``old``: the option as such, and what to do instead.
    """
    extra: JsonDict = {
        "label": label,
        "unit": unit,
        "form": form,
        "source": source,
        "usual": list(usual) if usual else None,
        "beyond": beyond,
        "step": step,
        "known": list(known),
        "doubtful": dict(doubtful or {}),
        "tolerated": tolerated,
        "old": old,
    }
    return Field(default, description=help_text, json_schema_extra=extra, **rules)


Kind = Literal["text", "whole", "number", "flag", "choice", "texts", "object"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option as forms and documents draw it; ``name`` is dotted inside an object (``dtmf.timeOut``).

    ``minimum`` and ``maximum`` are the widest bounds, beyond which is an error; ``usual`` are those to tell people.
    ``form_of_text`` says in words what a text (or each text of a list) looks like; ``longest`` counts characters, of a
    list entries.
    """

    name: str
    kind: Kind
    label: str
    help_text: str
    unit: str
    default: Any
    required: bool
    form: bool
    source: str
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    form_of_text: str = ""
    longest: int | None = None
    usual: Bounds = (None, None)
    beyond: str = DISPUTED
    step: float | None = None
    known: tuple[str, ...] = ()
    doubtful: Mapping[str, str] = field(default_factory=dict, hash=False)
    tolerated: str = ""
    old: str = ""


def options(model: type[BaseModel], prefix: str = "") -> Iterator[Option]:
    """Yield the options of ``model`` in the order in which they are written down, objects opened."""
    for name, info in model.model_fields.items():
        inner = object_of(info.annotation)
        found = _option(f"{prefix}{info.alias or name}", info)
        if inner is None:
            yield found
        else:
            # What is no part of the forms as a whole is none in its parts either, nor required if the whole is not.
            for each in options(inner, f"{found.name}."):
                yield replace(each, form=each.form and found.form, required=each.required and found.required)


def _option(name: str, info: FieldInfo) -> Option:
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, choices = _kind(info.annotation)
    minimum, maximum = _bound(info, "ge"), _bound(info, "le")
    return Option(
        name=name,
        kind=kind,
        choices=choices,
        label=str(extra.get("label") or _label(name)),
        help_text=info.description or "",
        unit=str(extra.get("unit", "")),
        default=None if info.default is PydanticUndefined else info.default,
        required=info.is_required(),
        form=bool(extra.get("form", True)),
        source=str(extra.get("source") or OURS),
        minimum=minimum,
        maximum=maximum,
        form_of_text=_form_of_text(info),
        longest=next((rule.max_length for rule in info.metadata if hasattr(rule, "max_length")), None),
        usual=tuple(extra.get("usual") or (minimum, maximum)),
        beyond=extra.get("beyond", DISPUTED),
        step=extra.get("step"),
        known=tuple(extra.get("known", ())),
        doubtful=extra.get("doubtful", {}),
        tolerated=extra.get("tolerated", ""),
        old=extra.get("old", ""),
    )


def _label(name: str) -> str:
    """``dtmf.maxDigits`` -> ``Max digits``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.rpartition(".")[2])
    return words[:1].upper() + words[1:]


def _bound(info: FieldInfo, name: str) -> float | None:
    found = (getattr(rule, name, None) for rule in info.metadata)
    return next((float(bound) for bound in found if bound is not None), None)


def _form_of_text(info: FieldInfo) -> str:
    """Return what a text must look like, in words; of a list, what its entries must."""
    entries = get_args(info.annotation)[:1] if get_origin(info.annotation) is list else ()
    rules = [*info.metadata, *(rule for entry in entries for rule in getattr(entry, "__metadata__", ()))]
    rules += [part for rule in rules if isinstance(rule, FieldInfo) for part in rule.metadata]
    found = (SHAPES.get(getattr(rule, "pattern", None) or "") for rule in rules)
    return next((words for words in found if words), "")


def _plain(annotation: Any) -> Any:
    """Return the type without ``| None`` and without ``Annotated``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return _plain(kept[0]) if len(kept) == 1 else annotation
    return annotation


def object_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of an option that is an object with options of its own, else None."""
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _kind(annotation: Any) -> tuple[Kind, tuple[Any, ...]]:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return "choice", get_args(plain)
    if get_origin(plain) is list:
        inner, choices = _kind(get_args(plain)[0])
        return ("object", ()) if inner == "object" else ("texts", choices)
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}
    return kinds.get(plain, "object"), ()
