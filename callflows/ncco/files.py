"""Knows how the bytes of a file become a document, and what is wrong with them as JSON."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, NoReturn

from callflows.ncco.problems import OURS, Problem, member

_JSON = "RFC 8259"


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its names came more than once; the last value counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = [name for name in self if names.count(name) > 1] if len(names) > len(self) else []


def parse(raw: bytes) -> tuple[Any, list[Problem]]:
    """Return the document that ``raw`` holds and its problems as JSON; an error among them: there is no document."""
    text = raw.removeprefix(codecs.BOM_UTF8)
    found = []
    if text is not raw:
        found.append(Problem("$", "warning", "expected plain UTF-8, got a byte order mark before it", _JSON))
    try:
        document = json.loads(text.decode(), object_pairs_hook=_Object, parse_constant=_refuse)
    except RecursionError:
        return None, [Problem("$", "error", "expected an NCCO, got JSON nested far too deep", OURS)]
    except UnicodeDecodeError as error:
        message = f"expected UTF-8, got the byte {text[error.start]:#04x} at {error.start}"
        return None, [Problem("$", "error", message, _JSON)]
    except json.JSONDecodeError as error:
        message = f"expected JSON, got {_came(error)} at line {error.lineno}, column {error.colno}"
        return None, [Problem("$", "error", message, _JSON)]
    except ValueError as error:
        # A number without end, or NaN.
        return None, [Problem("$", "error", f"expected JSON, got {error}", _JSON)]
    return document, [*found, *_twice(document)]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number in JSON")


def _came(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "nothing"
    return f"{error.doc[error.pos : error.pos + 20]!r}" if error.pos < len(error.doc) else "its end"


def _twice(document: Any) -> Iterator[Problem]:
    waiting = [("$", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Object):
            for name in value.twice:
                message = "expected each name once, got it again: readers differ about which value counts"
                yield Problem(member(path, name), "warning", message, _JSON)
            waiting += [(member(path, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(member(path, place), inner) for place, inner in enumerate(value)]
