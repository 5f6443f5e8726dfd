"""Knows flows: named steps, where each leads, and what a caller's answer chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TargetKind = Literal["next", "end", "step", "flow"]

# What can come of a step besides digits and the outcomes that a socket app names.
NOTHING = "nothing"
WRONG = "wrong"
CONNECT_OUTCOMES = (
    "timeout",
    "failed",
    "rejected",
    "unanswered",
    "busy",
    "disconnected",
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a step or a branch leads: the next step, the end, a step of this flow, or another flow by its id."""

    kind: TargetKind
    step: str = ""
    flow: int | None = None

    def __str__(self) -> str:
        return {"step": f"step {self.step}", "flow": f"flow {self.flow}"}.get(self.kind, self.kind)


NEXT = Target("next")
END = Target("end")


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a flow; ``options`` are Vonage's, as it spells them, and ours (prompt, app, settings)."""

    name: str
    action: str
    options: dict[str, Any] = field(default_factory=dict)
    then: Target = NEXT

    @property
    def stops(self) -> bool:
        """Whether nothing may stand after it: the socket is the rest of the document."""
        return self.action == "connect"


@dataclass(frozen=True, slots=True)
class Branch:
    """Where an outcome of a step leads; with ``at_most`` only while the step was asked no more often than that."""

    step: str
    outcome: str
    target: Target
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """What callers meet: steps in order, the first one is the entry, and the branches of all of them."""

    steps: tuple[Step, ...] = ()
    branches: tuple[Branch, ...] = ()

    def step(self, name: str) -> Step | None:
        return next((each for each in self.steps if each.name == name), None)

    def after(self, step: Step) -> Step | None:
        place = self.steps.index(step) + 1
        return self.steps[place] if place < len(self.steps) else None

    def to_json(self) -> dict[str, Any]:
        return {
            "steps": [asdict(each) for each in self.steps],
            "branches": [asdict(each) for each in self.branches],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Flow:
        return cls(
            tuple(Step(**{**each, "then": Target(**each["then"])}) for each in value["steps"]),
            tuple(Branch(**{**each, "target": Target(**each["target"])}) for each in value["branches"]),
        )


@dataclass(frozen=True, slots=True)
class Version:
    """One published document of a flow, as calls are served from it."""

    id: int
    flow_id: int
    flow: Flow


@dataclass(frozen=True, slots=True)
class Place:
    """A step in a version, and the how-manieth time in a row that the caller is asked it (from 1)."""

    version: Version
    step: Step
    attempt: int = 1


VersionOf = Callable[[int], Version | None]


def walk(start: Place, version_of: VersionOf) -> Iterator[Place]:
    """Yield the places of one document: from ``start`` along ``then``, up to a socket connect, the end, or a place
    that was passed already (a document cannot go round).
    """
    place: Place | None = start
    passed: set[tuple[int, str]] = set()
    while place and (place.version.flow_id, place.step.name) not in passed:
        yield place
        passed.add((place.version.flow_id, place.step.name))
        place = None if place.step.stops else follow(place.version, place.step.then, version_of, place.step)


def follow(version: Version, target: Target, version_of: VersionOf, here: Step | None = None) -> Place | None:
    """Return the place that ``target`` leads to, or None for the end, a missing step or a flow without version."""
    step: Step | None = None
    if target.kind == "flow":
        found = version_of(target.flow) if target.flow is not None else None
        if found is None or not found.flow.steps:
            return None
        return Place(found, found.flow.steps[0])
    if target.kind == "step":
        step = version.flow.step(target.step)
    elif target.kind == "next" and here is not None:
        step = version.flow.after(here)
    return Place(version, step) if step else None


def choose(flow: Flow, step: str, outcomes: Sequence[str], attempt: int) -> Branch | None:
    """Return the first branch of ``step`` that one of ``outcomes`` takes, the most telling outcome first."""
    for outcome in outcomes:
        for branch in flow.branches:
            fits = branch.step == step and branch.outcome == outcome
            if fits and (branch.at_most is None or attempt <= branch.at_most):
                return branch
    return None


def retried(origin: Place, place: Place) -> Place:
    """Return ``place`` with the attempt counted on, when the document comes back to the step it left."""
    same = (origin.version.flow_id, origin.step.name) == (
        place.version.flow_id,
        place.step.name,
    )
    return Place(place.version, place.step, origin.attempt + 1) if same else place
