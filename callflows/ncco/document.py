"""Knows whether an NCCO is one that Vonage accepts: all its problems, with their paths."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option
from callflows.ncco.problems import OURS, REFERENCE, Problem, member, shown
from callflows.ncco.rules import across, within
from callflows.ncco.tolerated import LEFT_OUT, doubts, meant, table, unknown
from callflows.ncco.wording import message

# More than any payload needs, and less than makes Python's own JSON fail.
DEEPEST = 100

# Names that are no action, and what to do instead.
_NO_ACTIONS = {
    "pay": "Vonage has taken that preview back, and it must go",
    "text": "the action that speaks is called talk",
    "hangup": "the call ends by itself after the last action",
}


def problems(document: object, *, own: Collection[str] | None = None) -> list[Problem]:
    """Return everything wrong with an NCCO; an empty list means that Vonage accepts it as it is.

    ``error`` makes Vonage refuse the whole document; ``warning`` is a form about which the sources disagree, or
    that works with a catch. ``own`` are the account's numbers, where they are known: a call out from another one
    shows an unknown caller.
    """
    if not isinstance(document, list):
        return [Problem("$", "error", f"expected a list of actions, got {_kind(document)}", REFERENCE)]
    carried = list(_carried(document))
    if any(each.path == "$" for each in carried):
        return carried
    found = [problem for place, each in enumerate(document) for problem in _action(each, f"$[{place}]", own)]
    told = {each.path for each in found}
    return [*found, *(each for each in carried if each.path not in told), *across(document)]


def errors(document: object) -> list[Problem]:
    """Return only those problems for which Vonage would refuse the document."""
    return [problem for problem in problems(document) if problem.severity == "error"]


def _kind(document: object) -> str:
    """A long value that is no list is told by its kind: the document may be nested without end."""
    return "an object" if isinstance(document, dict) and document else shown(document)


def _carried(document: object) -> Iterator[Problem]:
    """Yield what JSON or UTF-8 cannot carry; a problem of ``$`` when the rest cannot be looked at."""
    waiting: list[tuple[str, object, int]] = [("$", document, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > DEEPEST:
            yield Problem("$", "error", f"expected at most {DEEPEST} levels of nesting, got more", OURS)
            return
        if isinstance(value, float) and not math.isfinite(value):
            yield Problem(path, "error", f"expected a number that JSON has, got {value!r}", "RFC 8259")
        elif isinstance(value, str) and not _is_unicode(value):
            yield Problem(path, "warning", f"expected whole characters, got {shown(value)}: half of one", "RFC 8259")
        elif isinstance(value, dict):
            waiting += [(member(path, name), inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(member(path, place), inner, depth + 1) for place, inner in enumerate(value)]


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _action(value: object, path: str, own: Collection[str] | None) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "error", f"expected an action, got {shown(value)}", REFERENCE)
        return
    yield from _named(ACTIONS, "action", value, path)
    yield from within(value, path, own)
    if value.get("action") == "connect" and isinstance(value.get("endpoint"), list):
        for place, endpoint in enumerate(value["endpoint"]):
            if isinstance(endpoint, dict):
                yield from _named(ENDPOINTS, "type", endpoint, f"{path}.endpoint[{place}]")


def _named(models: Mapping[str, type[BaseModel]], by: str, value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Check an object by the model that its ``action`` or ``type`` names."""
    name = value.get(by)
    model = models.get(name) if isinstance(name, str) else None
    if model is not None:
        yield from checked(model, value, path)
    elif by not in value:
        yield Problem(f"{path}.{by}", "error", f"is required: one of {', '.join(models)}", REFERENCE)
    else:
        words = f"expected one of {', '.join(models)}, got {shown(name)}{_instead(models, name)}"
        yield Problem(f"{path}.{by}", "error", words, REFERENCE)


def _instead(models: Mapping[str, type[BaseModel]], name: object) -> str:
    if not isinstance(name, str):
        return ""
    if name.strip().lower() in models:
        return f": its name is {name.strip().lower()}"
    return f": {_NO_ACTIONS[name]}" if models is ACTIONS and name in _NO_ACTIONS else ""


def checked(model: type[BaseModel], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong with one object by its model: wrong and doubtful values, and options that nobody knows."""
    found = _errors(model, value)
    plain = value
    for error in found:
        for instead in meant(error, _option(model, error)):
            plain = _replaced(plain, error["loc"], instead)
    left = _errors(model, plain) if plain is not value else found
    wrong = {error["loc"] for error in left}
    for error in found:
        if error["loc"] not in wrong:
            yield _problem(model, error, path, "warning")
    refused = [_problem(model, error, path, "error") for error in left if not _is_doubtful(model, error)]
    yield from refused
    told = {each.path for each in refused}
    yield from (each for each in doubts(model, plain, path) if each.path not in told)
    yield from unknown(model, value, path)


def _errors(model: type[BaseModel], value: object) -> list[ErrorDetails]:
    try:
        model.model_validate(value, strict=True)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _replaced(value: Any, location: tuple[int | str, ...], instead: Any) -> Any:
    """Return a copy of ``value`` with another part at ``location``, or without it."""
    if not location:
        return instead
    copy = value.copy()
    if instead is LEFT_OUT and len(location) == 1:
        del copy[location[0]]
        return copy
    copy[location[0]] = _replaced(copy[location[0]], location[1:], instead)
    return copy


def _is_doubtful(model: type[BaseModel], error: ErrorDetails) -> bool:
    """Whether a value that is no choice is one of those that ``doubts`` warns of."""
    option = table(model).get(_name(error))
    return option is not None and isinstance(error["input"], str) and error["input"] in option.doubtful


def _option(model: type[BaseModel], error: ErrorDetails) -> Option | None:
    """Return the option of an error; of a value inside an object with names of one's own, that object's."""
    known = table(model)
    return known.get(_name(error)) or known.get(str(error["loc"][0]) if error["loc"] else "")


def _name(error: ErrorDetails) -> str:
    """``("dtmf", "maxDigits")`` -> ``dtmf.maxDigits``, as options are called."""
    return ".".join(part for part in error["loc"] if isinstance(part, str))


def _problem(model: type[BaseModel], error: ErrorDetails, path: str, severity: Any) -> Problem:
    option = _option(model, error)
    return Problem(_path(path, error["loc"]), severity, message(error), option.source if option else REFERENCE)


def _path(path: str, location: tuple[int | str, ...]) -> str:
    for part in location:
        path = member(path, part)
    return path
