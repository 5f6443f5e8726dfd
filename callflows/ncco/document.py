"""Knows whether an NCCO is one that Vonage accepts: all its problems, with their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options
from callflows.ncco.problems import Problem, shown
from callflows.ncco.rules import across, within

_WORDS = {
    "missing": "is required",
    "string_type": "expected text, got {got}",
    "int_type": "expected a whole number, got {got}",
    "int_from_float": "expected a whole number, got {got}",
    "float_type": "expected a number, got {got}",
    "bool_type": "expected true or false, got {got}",
    "list_type": "expected a list, got {got}",
    "dict_type": "expected an object, got {got}",
    "model_type": "expected an object, got {got}",
    "greater_than_equal": "expected at least {ge}, got {got}",
    "less_than_equal": "expected at most {le}, got {got}",
    "literal_error": "expected {expected}, got {got}",
    "too_long": "expected exactly one entry, got {actual_length}",
    "too_short": "expected exactly one entry, got none",
    "string_too_short": "expected at least {min_length} characters, got {got}",
    "string_too_long": "expected at most {max_length} characters, got more",
    "string_pattern_mismatch": "expected {form}, got {got}",
}

_FORMS = {
    r"^https?://\S+$": "an address that begins with https:// or http://",
    r"^wss?://\S+$": "an address that begins with wss:// or ws://",
    r"^[0-9*#]$": "one of the keys 0 to 9, * and #",
    r"^[\x20-\x7e]+$": "printable ASCII characters",
}

# Vonage's own examples quote numbers and flags ("timeout": "45"): it tolerates that, so we only warn.
_QUOTED = {"int_type", "float_type", "bool_type"}


def problems(document: object) -> list[Problem]:
    """Return everything wrong with an NCCO; an empty list means that Vonage accepts it as it is.

    ``error`` makes Vonage refuse the whole document; ``warning`` is a form about which the sources disagree, or
    that works with a catch.
    """
    if not isinstance(document, list):
        return [
            Problem(
                "$",
                "error",
                f"expected a list of actions, got {shown(document)}",
                "NCCO reference",
            )
        ]
    found = [problem for place, each in enumerate(document) for problem in _action(each, f"$[{place}]")]
    return found + list(across(document))


def errors(document: object) -> list[Problem]:
    """Return only those problems for which Vonage would refuse the document."""
    return [problem for problem in problems(document) if problem.severity == "error"]


def _action(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "error", f"expected an action, got {shown(value)}", "NCCO reference")
        return
    name = value.get("action")
    model = ACTIONS.get(name) if isinstance(name, str) else None
    if model is None:
        known = ", ".join(ACTIONS)
        yield Problem(
            f"{path}.action",
            "error",
            f"expected one of {known}, got {shown(name)}",
            "NCCO reference",
        )
        return
    yield from checked(model, value, path)
    yield from within(value, path)
    if model is ACTIONS["connect"] and isinstance(value.get("endpoint"), list):
        for place, endpoint in enumerate(value["endpoint"]):
            yield from _endpoint(endpoint, f"{path}.endpoint[{place}]")


def _endpoint(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    kind = value.get("type")
    model = ENDPOINTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(ENDPOINTS)
        yield Problem(
            f"{path}.type",
            "error",
            f"expected one of {known}, got {shown(kind)}",
            "NCCO reference",
        )
        return
    yield from checked(model, value, path)


def checked(model: type[BaseModel], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong with one object by its model: wrong values, and options that nobody knows."""
    if found := _errors(model, value):
        yield from _wrong(model, value, path, found)
    yield from _unknown(model, value, path)


def _wrong(model: type[BaseModel], value: dict[str, Any], path: str, found: list[ErrorDetails]) -> Iterator[Problem]:
    known = {each.name: each for each in options(model)}
    tolerated = {error["loc"] for error in found} - {error["loc"] for error in _errors(model, value, strict=False)}
    for error in found:
        lenient = error["loc"] in tolerated and error["type"] in _QUOTED and isinstance(error["input"], str)
        yield Problem(
            path + _suffix(error["loc"]),
            "warning" if lenient else "error",
            _message(error),
            _source(known, error),
        )


def _errors(model: type[BaseModel], value: object, *, strict: bool = True) -> list[ErrorDetails]:
    try:
        model.model_validate(value, strict=strict)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _unknown(model: type[BaseModel], value: dict[str, Any], path: str) -> Iterator[Problem]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, inner in value.items():
        if name not in fields:
            known = ", ".join(fields)
            yield Problem(
                f"{path}.{name}",
                "warning",
                f"an option that Vonage does not document; known are {known}",
            )
        elif isinstance(inner, dict) and (nested := _nested(fields[name].annotation)):
            yield from _unknown(nested, inner, f"{path}.{name}")


def _nested(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next(
        (each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)),
        None,
    )


def _suffix(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _message(error: ErrorDetails) -> str:
    words = _WORDS.get(error["type"])
    if words is None:
        return error["msg"]
    context = error.get("ctx", {})
    form = _FORMS.get(context.get("pattern", ""), f"the form {context.get('pattern')}")
    return words.format(**{**context, "form": form, "got": shown(error["input"])})


def _source(known: dict[str, Option], error: ErrorDetails) -> str:
    name = ".".join(str(part) for part in error["loc"] if isinstance(part, str))
    return known[name].source if name in known else "NCCO reference"
