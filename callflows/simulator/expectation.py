"""Knows what an expectation is, what it is held against, and how it fails: in words, with its step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PrivateAttr

from callflows.simulator.ears import Ears
from callflows.simulator.effects import Note
from callflows.simulator.legs import Leg
from callflows.simulator.platform import Platform

# A call by its place, from 1, or a leg by its number or kind.
Who = int | str
# The place in the timeline after which the next event, or the next document or text, is looked for.
Places = dict[str, int]


@dataclass(eq=False, slots=True)
class Came:
    """What came of a scenario: ``legs`` are those of its calls, in their order."""

    platform: Platform
    legs: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    ears: Ears = field(default_factory=Ears)

    def leg(self, who: Who) -> Leg | None:
        """Return the leg of the call with that place (from 1), else the first one of a number."""
        if isinstance(who, int) and 1 <= who <= len(self.legs):
            return self.platform.legs[self.legs[who - 1]]
        return next((leg for leg in self.platform.legs.values() if str(who) in (leg.to, leg.from_, leg.kind)), None)

    def seconds(self, leg: Leg) -> float:
        """Return when a leg was answered."""
        return (leg.answered - self.platform.began).total_seconds() if leg.answered else 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met."""

    step: str
    expected: str
    came: str

    def __str__(self) -> str:
        return f"{self.step}: expected {self.expected}; came {self.came}"


class Expectation(BaseModel):
    """One line of `expect`. Events come in their order, and so do documents with their texts."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
    _step: str = PrivateAttr("")
    _folder: Path = PrivateAttr(Path())

    @property
    def step(self) -> str:
        return self._step

    def check(self, came: Came, places: Places) -> Failure | None:
        """Return what is wrong; ``places`` is where those before have found theirs, and where this one does."""
        raise NotImplementedError

    def fails(self, expected: str, came: str) -> Failure:
        return Failure(self._step, expected, came or "nothing")
