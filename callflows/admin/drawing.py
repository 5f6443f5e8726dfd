"""Knows how a flow is drawn: its steps in a column, and on their right what leads from one to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from callflows.ncco.flow import Flow, Step, Target

# In pixels of the drawing.
BOX_WIDTH = 230
LABEL_WIDTH = 200
SLOT = 22
PADDING = 11
GAP = 26
LANE = 14
# More letters than that, and a label would run into the lanes.
LABEL_LETTERS = 28
BOX_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Box:
    """A step. ``slots`` are the heights at which lines come (the first) and leave, from the top of the drawing."""

    name: str
    what: str
    top: int
    height: int

    @property
    def middle(self) -> int:
        return BOX_WIDTH // 2

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def short(self) -> str:
        return shortened(self.name, BOX_LETTERS)


@dataclass(frozen=True, slots=True)
class Line:
    """What leads from a step elsewhere: a path, its label, and the words at its end where that is no box."""

    path: str
    label: str = ""
    ends: str = ""
    lost: bool = False
    at: int = 0

    @property
    def short(self) -> str:
        return shortened(self.label, LABEL_LETTERS)


@dataclass(frozen=True, slots=True)
class Drawing:
    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int
    end_x: int
    label_x: int = BOX_WIDTH + 8
    box_width: int = BOX_WIDTH


@dataclass(slots=True)
class _Lanes:
    """Which heights each upright lane is taken at: lines that do not meet share one."""

    taken: list[list[tuple[int, int]]] = field(default_factory=list)

    def take(self, one: int, other: int) -> int:
        """Return the x of a lane that is free between two heights."""
        low, high = min(one, other) - 2, max(one, other) + 2
        free = (all(high < start or low > end for start, end in spans) for spans in self.taken)
        place = next((place for place, is_free in enumerate(free) if is_free), len(self.taken))
        if place == len(self.taken):
            self.taken.append([])
        self.taken[place].append((low, high))
        return BOX_WIDTH + LABEL_WIDTH + LANE * (place + 1)


def draw(flow: Flow, flows: Mapping[int, str]) -> Drawing:
    """Return the drawing of a flow; ``flows`` are the names of other flows by their id."""
    ways = {step.name: list(_ways(flow, step)) for step in flow.steps}
    boxes = list(_boxes(flow, ways))
    at, lanes = {box.name: box for box in boxes}, _Lanes()
    lines = [_down(box, after) for box, after in _falling(flow, boxes)]
    away = []
    for box in boxes:
        for slot, (label, target) in enumerate(ways[box.name], start=1):
            height, to = box.top + PADDING + SLOT * slot, at.get(target.step) if target.kind == "step" else None
            if to:
                lines.append(_back(height, label, to, lanes))
            else:
                away.append((height, label, target))
    right = BOX_WIDTH + LABEL_WIDTH + LANE * (len(lanes.taken) + 1)
    # What leaves the drawing ends beyond all lanes, so that no lane runs through its words.
    lines += [_out(height, label, right, *words(target, flows)) for height, label, target in away]
    letters = max((len(line.ends) for line in lines), default=0)
    height = boxes[-1].bottom + GAP if boxes else 0
    return Drawing(boxes, lines, right + 8 * letters + 16, height, right + 8)


def _boxes(flow: Flow, ways: Mapping[str, list[tuple[str, Target]]]) -> Iterator[Box]:
    top = 1
    for step in flow.steps:
        height = 2 * PADDING + SLOT * max(1, len(ways[step.name]))
        yield Box(step.name, _what(step), top, height)
        top += height + GAP


def _what(step: Step) -> str:
    if step.action != "connect":
        return step.action
    return f"connect: {step.options.get('app') or step.endpoint}"


def _ways(flow: Flow, step: Step) -> Iterator[tuple[str, Target]]:
    """Yield what leads away from a step sideways: its branches by target, and a ``then`` that is not the next step."""
    alike: dict[tuple[Target, int | None], list[str]] = {}
    for branch in flow.branches:
        if branch.step == step.name:
            alike.setdefault((branch.target, branch.at_most), []).append(branch.outcome)
    for (target, most), outcomes in alike.items():
        yield ", ".join(outcomes) + (f" (at most {most})" if most else ""), target
    after = flow.after(step)
    straight = step.then.kind == "next" or (after is not None and step.then == Target("step", after.name))
    if not step.stops and not straight:
        yield "", step.then


def _falling(flow: Flow, boxes: list[Box]) -> Iterator[tuple[Box, Box]]:
    """Yield each box from which one goes straight on to the box below it."""
    for step, box, below in zip(flow.steps, boxes, boxes[1:], strict=False):
        on = step.then.kind == "next" or step.then == Target("step", below.name)
        if on and not step.stops:
            yield box, below


def _down(box: Box, below: Box) -> Line:
    return Line(f"M {box.middle} {box.bottom} V {below.top}")


def _back(at: int, label: str, to: Box, lanes: _Lanes) -> Line:
    """Return a line that leaves a box to the right, and comes back to another."""
    into = to.top + PADDING
    return Line(f"M {BOX_WIDTH} {at} H {lanes.take(at, into)} V {into} H {BOX_WIDTH}", label, at=at)


def _out(at: int, label: str, right: int, ends: str, lost: bool) -> Line:
    return Line(f"M {BOX_WIDTH} {at} H {right}", label, ends, lost, at)


def words(target: Target, flows: Mapping[int, str]) -> tuple[str, bool]:
    """Return where a target leads, in words, and whether nothing is there; a step is taken for one that is not."""
    if target.kind == "flow":
        name = flows.get(target.flow or 0)
        return (f"flow {name}", False) if name else ("a flow that is gone", True)
    return (f"no step {target.step}", True) if target.kind == "step" else ("the call ends", False)


def shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
