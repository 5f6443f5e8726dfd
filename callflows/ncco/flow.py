"""Knows flows: named steps, where each leads, and what a caller's answer chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from callflows.ncco.phrases import meant

TargetKind = Literal["next", "end", "step", "flow"]

# What can come of a step besides digits, phrases, and the outcomes that a socket app names.
NOTHING = "nothing"
WRONG = "wrong"
NOTIFIED = "notified"
# Who picked up, where Vonage listens for it: a phone that a connect dials, or a call out, at its flow's first step.
ANSWERED_BY = ("human", "machine", "beep")
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


def is_prompt(name: str) -> bool:
    """Whether an option holds a prompt, or a list of them, by its name: ``prompt``, ``app.menu.more_prompts``."""
    return name.endswith(("prompt", "prompts"))


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a flow; ``options`` are Vonage's, as it spells them, and ours (prompt, app, settings).

    A connect has its one endpoint as an object under ``endpoint``; without one it leads to an audio socket.
    """

    name: str
    action: str
    options: dict[str, Any] = field(default_factory=dict)
    then: Target = NEXT

    @property
    def endpoint(self) -> str:
        """The type of endpoint that a connect leads to; empty for other actions."""
        found = self.options.get("endpoint")
        inner = found if isinstance(found, dict) else {}
        return str(inner.get("type", "websocket")) if self.action == "connect" else ""

    def prompts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the prompts that a stream or an app plays, with the option that names each."""
        if self.action == "stream":
            named = {name: value for name, value in self.options.items() if name == "prompt"}
        else:
            named = self.options.get("settings") or {} if self.endpoint == "websocket" else {}
        for name, value in named.items():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict) and "version" in each:
                    yield name, each

    @property
    def stops(self) -> bool:
        """Whether nothing may stand after it: a socket, or another conversation, is the rest of the document."""
        return self.action == "transfer" or self.endpoint == "websocket"


@dataclass(frozen=True, slots=True)
class Branch:
    """Where an outcome of a step leads; with ``at_most`` only while the step was asked no more often than that."""

    step: str
    outcome: str
    target: Target
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """What callers meet: steps in order, the first one is the entry, and the branches of all of them.

    ``joinable``: callers, and whom they are connected to, meet in a room that others can join. ``prefixes``: how
    numbers and addresses begin that callers may choose to be connected to.
    """

    steps: tuple[Step, ...] = ()
    branches: tuple[Branch, ...] = ()
    joinable: bool = False
    prefixes: tuple[str, ...] = ()

    def step(self, name: str) -> Step | None:
        return next((each for each in self.steps if each.name == name), None)

    def after(self, step: Step) -> Step | None:
        place = self.steps.index(step) + 1
        return self.steps[place] if place < len(self.steps) else None

    def named(self) -> set[str]:
        """Return the names of the steps to which a branch or a ``then`` leads by name."""
        return {each.target.step for each in self.branches} | {each.then.step for each in self.steps}

    def to_json(self) -> dict[str, Any]:
        return {
            "steps": [asdict(each) for each in self.steps],
            "branches": [asdict(each) for each in self.branches],
            "joinable": self.joinable,
            "prefixes": list(self.prefixes),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Flow:
        return cls(
            tuple(Step(**{**each, "then": Target(**each["then"])}) for each in value["steps"]),
            tuple(Branch(**{**each, "target": Target(**each["target"])}) for each in value["branches"]),
            bool(value.get("joinable", False)),
            tuple(value.get("prefixes", ())),
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

    @property
    def in_room(self) -> bool:
        """Whether the caller waits in a room of its own for the endpoint, which we call into it ourselves."""
        return self.version.flow.joinable and self.step.action == "connect"

    @property
    def stops(self) -> bool:
        """Whether the document ends with it; what comes after a room, we send when its time has come."""
        return self.step.stops or self.in_room


VersionOf = Callable[[int], Version | None]


def walk(start: Place, version_of: VersionOf) -> Iterator[Place]:
    """Yield the places of one document: from ``start`` along ``then``, up to one that stops, the end, or a place that
    was passed already (a document cannot go round).
    """
    place: Place | None = start
    passed: set[tuple[int, str]] = set()
    while place and (place.version.flow_id, place.step.name) not in passed:
        yield place
        passed.add((place.version.flow_id, place.step.name))
        place = None if place.stops else follow(place.version, place.step.then, version_of, place.step)


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


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller said, as one alternative of speech recognition has it: an outcome that fits only nearly."""

    text: str


def choose(flow: Flow, step: str, outcomes: Sequence[str | Said], attempt: int) -> Branch | None:
    """Return the branch of ``step`` that one of ``outcomes`` takes, the most telling outcome first.

    Of several branches for the same outcome the first counts that still holds at this ``attempt``.
    """
    held = [each for each in flow.branches if each.step == step and (each.at_most is None or attempt <= each.at_most)]
    for outcome in outcomes:
        fitting = _spoken(held, outcome.text) if isinstance(outcome, Said) else _exact(held, outcome)
        if fitting is not None:
            return fitting
    return None


def _exact(branches: Sequence[Branch], outcome: str) -> Branch | None:
    return next((each for each in branches if each.outcome == outcome), None)


def _spoken(branches: Sequence[Branch], text: str) -> Branch | None:
    """Return the branch whose phrase or digits a caller meant; None as well when that could be one of several."""
    phrases = list(dict.fromkeys(each.outcome for each in branches if each.outcome not in (NOTHING, WRONG)))
    found = [_exact(branches, phrase) for phrase in meant(text, phrases)]
    return found[0] if found and len({each.target for each in found if each}) == 1 else None


def retried(origin: Place, place: Place) -> Place:
    """Return ``place`` with the attempt counted on, when the document comes back to the step it left."""
    same = (origin.version.flow_id, origin.step.name) == (
        place.version.flow_id,
        place.step.name,
    )
    return Place(place.version, place.step, origin.attempt + 1) if same else place
