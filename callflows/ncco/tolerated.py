"""Knows what Vonage takes although it is not as documented, and what works with a catch: the warnings of one object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from callflows.ncco.option import Option, object_of, options
from callflows.ncco.problems import REFERENCE, Problem, member, shown
from callflows.ncco.wording import span

# Vonage's own examples quote numbers and flags ("timeout": "45"); only what would be right without the quotes is meant.
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?")
_FLAGS = {"true": True, "false": False}
_METHODS = ("GET", "POST")
# In place of a value that means none.
LEFT_OUT = object()


@cache
def table(model: type[BaseModel]) -> dict[str, Option]:
    """Return the options of a model by their dotted names."""
    return {each.name: each for each in options(model)}


def meant(error: ErrorDetails, option: Option | None) -> list[Any]:
    """Return what was meant by a value that is an error, as a list of one; an empty list: it is just wrong.

    ``LEFT_OUT`` says that nothing was meant.
    """
    value, tolerated = error["input"], option.tolerated if option else ""
    match error["type"]:
        case "int_type" | "int_from_float" if isinstance(value, float):
            return [int(value)] if value.is_integer() else []
        case "int_type" if isinstance(value, str):
            return [int(value)] if _WHOLE.fullmatch(value) else []
        case "float_type" if tolerated == "flag" and isinstance(value, bool):
            return [option.default] if option else []
        case "float_type" if isinstance(value, str):
            return [float(value)] if _NUMBER.fullmatch(value) else []
        case "bool_type" if isinstance(value, str):
            return [_FLAGS[value]] if value in _FLAGS else []
        case "string_pattern_mismatch" if tolerated == "plus":
            return [value[1:]] if value.startswith("+") else []
        case "string_type" if tolerated == "list" and isinstance(value, list):
            return [LEFT_OUT] if not value else value if len(value) == 1 and isinstance(value[0], str) else []
        case "string_type" if tolerated == "values" and isinstance(value, int | float):
            return [str(value)]
        case "list_type" if tolerated == "entry" and isinstance(value, str):
            return [[value]]
        case "literal_error" if option and option.choices == _METHODS and isinstance(value, str):
            return [value.upper()]
    return []


def doubts(model: type[BaseModel], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield a warning for each value that sources disagree about, and for each old option."""
    for name, option in table(model).items():
        inner = value
        *parents, last = name.split(".")
        for parent in parents:
            found = inner.get(parent)
            inner = found if isinstance(found, dict) else {}
        if last in inner and (message := _doubt(option, inner[last])):
            yield Problem(f"{path}.{name}", "warning", message, option.source)


def _doubt(option: Option, value: object) -> str:
    if option.old:
        return f"an old option: {option.old}"
    if isinstance(value, str):
        return _doubtful_text(option, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _doubtful_number(option, value)
    return ""


def _doubtful_text(option: Option, value: str) -> str:
    if value in option.doubtful:
        return f"{option.doubtful[value]}, got {value!r}"
    if option.known and value.lower() not in map(str.lower, option.known):
        return f"expected {' or '.join(option.known)}, got {shown(value)}"
    return ""


def _doubtful_number(option: Option, value: float) -> str:
    if not _inside(value, (option.minimum, option.maximum)):
        return ""
    if not _inside(value, option.usual):
        return f"expected {span(option.usual)}, got {value!r}: {option.beyond}"
    if option.step and abs(value / option.step - round(value / option.step)) > 1e-6:
        return f"expected steps of {option.step:g}, got {value!r}"
    return ""


def _inside(value: float, bounds: tuple[float | None, float | None]) -> bool:
    low, high = bounds
    return (low is None or value >= low) and (high is None or value <= high)


def unknown(model: type[BaseModel], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield a warning for each option that Vonage does not document, in inner objects too."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, inner in value.items():
        if name not in fields:
            message = f"an option that Vonage does not document; known are {', '.join(fields)}{_hint(model, name)}"
            yield Problem(member(path, name), "warning", message, REFERENCE)
        elif isinstance(inner, dict) and (nested := object_of(fields[name].annotation)):
            yield from unknown(nested, inner, member(path, name))


def _hint(model: type[BaseModel], name: str) -> str:
    """Return what a name may stand for: ``event_url`` for ``eventUrl``, ``maxDigits`` for ``dtmf.maxDigits``."""
    known = [*(field.alias or each for each, field in model.model_fields.items()), *table(model)]
    found = (each for each in known if _letters(each.rpartition(".")[2]) == _letters(name))
    return "".join(f"; perhaps {each} is meant" for each in list(found)[:1])


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
