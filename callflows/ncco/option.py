"""Knows what an option of an NCCO is: the one line from which checks, forms and documents are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

REFERENCE = "NCCO reference"


class Options(BaseModel):
    """A JSON object of an NCCO.

    Names are Vonage's (camelCase); unknown ones are kept, and warned of by ``document.problems``.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", strict=True, frozen=True)


def option(
    help_text: str,
    default: Any = None,
    *,
    label: str = "",
    unit: str = "",
    form: bool = True,
    source: str = REFERENCE,
    **rules: Any,
) -> Any:
    """Return the description of one option.

    ``default`` is what Vonage does when the option is left out (``...``: it is required). ``rules`` are pydantic's
    (``ge``, ``le``, ``min_length``, ``alias``). ``form=False`` keeps an option out of the operators' forms: those that
    we write ourselves, such as ``eventUrl``.
    """
    extra: JsonDict = {"label": label, "unit": unit, "form": form, "source": source}
    return Field(default, description=help_text, json_schema_extra=extra, **rules)


Kind = Literal["text", "whole", "number", "flag", "choice", "texts", "object"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option as forms and documents draw it; ``name`` is dotted inside an object (``dtmf.timeOut``)."""

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


def options(model: type[BaseModel], prefix: str = "") -> Iterator[Option]:
    """Yield the options of ``model`` in the order in which they are written down, objects opened."""
    for name, field in model.model_fields.items():
        inner = _object(field.annotation)
        found = _option(f"{prefix}{field.alias or name}", field)
        if inner is None:
            yield found
        else:
            # What is no part of the forms as a whole is none in its parts either.
            yield from (replace(each, form=each.form and found.form) for each in options(inner, f"{found.name}."))


def _option(name: str, field: FieldInfo) -> Option:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, choices = _kind(field.annotation)
    return Option(
        name=name,
        kind=kind,
        choices=choices,
        label=str(extra.get("label") or _label(name)),
        help_text=field.description or "",
        unit=str(extra.get("unit", "")),
        default=None if field.default is PydanticUndefined else field.default,
        required=field.is_required(),
        form=bool(extra.get("form", True)),
        source=str(extra.get("source", "")),
        minimum=_bound(field, "ge"),
        maximum=_bound(field, "le"),
    )


def _label(name: str) -> str:
    """``dtmf.maxDigits`` -> ``Max digits``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.rpartition(".")[2])
    return words[:1].upper() + words[1:]


def _bound(field: FieldInfo, name: str) -> float | None:
    found = (getattr(rule, name, None) for rule in field.metadata)
    return next((float(bound) for bound in found if bound is not None), None)


def _plain(annotation: Any) -> Any:
    """Return the type without ``| None`` and without ``Annotated``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return _plain(kept[0]) if len(kept) == 1 else annotation
    return annotation


def _object(annotation: Any) -> type[BaseModel] | None:
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
