"""Knows what differs between two JSON objects, member by member."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A member, by its path; None stands for one that is not there."""

    member: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.member}: {_shown(self.was)} -> {_shown(self.now)}"

    def as_json(self) -> dict[str, Any]:
        return {"member": self.member, "was": self.was, "is": self.now}


def differences(was: Any, now: Any, path: str = "") -> list[Difference]:
    """Return the members that changed, in the order in which they stand; lists are compared as wholes."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        same = was.strip() == now.strip() if isinstance(was, str) and isinstance(now, str) else was == now
        return [] if same else [Difference(path, was, now)]
    found = []
    for name in [*was, *(each for each in now if each not in was)]:
        member = f"{path}.{name}" if path else name
        before, after = was.get(name), now.get(name)
        # A whole object that came or went is told by its members.
        if before is None and isinstance(after, Mapping) and after:
            before = {}
        if after is None and isinstance(before, Mapping) and before:
            after = {}
        found += differences(before, after, member)
    return found


def lost(meant: Any, kept: Any) -> list[Difference]:
    """Return the members of ``meant`` that ``kept`` has otherwise; what ``kept`` has besides is none of them."""
    return [each for each in differences(meant, kept) if each.was is not None]


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
