"""Knows what is wrong with an NCCO: where, how badly, and who says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document.

    ``path`` is JSONPath-like (``$[1].endpoint[0].headers``); ``message`` says what was expected and what came;
    ``source`` names the documentation that the rule comes from.
    """

    path: str
    severity: Severity
    message: str
    source: str = ""


class InvalidNcco(ValueError):
    """A document with errors; ``problems`` holds them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{each.path}: {each.message}" for each in self.problems))


def shown(value: object) -> str:
    """Return ``value`` as an error message quotes it: short, and never a whole document."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
