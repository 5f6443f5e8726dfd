"""Knows what keeps a flow from being published: steps, targets and options that do not fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from callflows.ncco.document import problems
from callflows.ncco.flow import (
    CONNECT_OUTCOMES,
    NOTHING,
    WRONG,
    Flow,
    Place,
    Step,
    Target,
    Version,
    walk,
)
from callflows.ncco.problems import Problem
from callflows.ncco.served import APP, SETTINGS, Context, action
from callflows.ncco.template import CALL_VALUES, variables

_HOST = "callflows.example"
SAMPLE = Context(
    values={},
    event_url=lambda place: f"https://{_HOST}/webhooks/events",
    socket_uri=lambda place: f"wss://{_HOST}/socket",
    prompt_url=lambda version: f"https://{_HOST}/prompts/{version}.wav",
)


def step_problems(step: Step) -> list[Problem]:
    """Return what is wrong with one step by itself; paths begin at the action (``$[0].text``)."""
    place = Place(Version(0, 0, Flow((step,))), step)
    # Rules between actions need the neighbours: only the flow as a whole can tell.
    alone = [each for each in problems([action(place, SAMPLE)]) if not each.path.endswith(".bargeIn")]
    return alone + [_unknown(name) for name in dict.fromkeys(variables(step.options)) if name not in CALL_VALUES]


def _unknown(name: str) -> Problem:
    return Problem(
        "$[0]",
        "warning",
        f"no value is called {name!r}: callers get its default, or nothing",
    )


def flow_problems(flow: Flow, flows: Collection[int], outcomes: Mapping[str, Collection[str]]) -> list[Problem]:
    """Return everything that is wrong with a flow; errors keep it from being published.

    ``flows`` are the ids of the flows that a target may name and that have a version or this flow itself;
    ``outcomes`` gives the named outcomes of each socket app. Paths name the step (``menu``, ``menu.text``).
    """
    if not flow.steps:
        return [Problem("", "error", "a flow needs at least one step: add one, then publish")]
    return [
        *_names(flow),
        *_targets(flow, flows),
        *_after_socket(flow),
        *_outcomes(flow, outcomes),
        *_prompts(flow),
        *_documents(flow),
    ]


def _names(flow: Flow) -> Iterator[Problem]:
    for name, times in Counter(step.name for step in flow.steps).items():
        if times > 1:
            yield Problem(
                name,
                "error",
                f"{times} steps are called {name!r}: each needs a name of its own",
            )


def _targets(flow: Flow, flows: Collection[int]) -> Iterator[Problem]:
    for step in flow.steps:
        yield from _target(flow, flows, step.then, f"{step.name}.then")
    for branch in flow.branches:
        where = f"{branch.step}.{branch.outcome}"
        if flow.step(branch.step) is None:
            yield Problem(
                where,
                "error",
                f"a branch of {branch.step!r}, but no step is called that",
            )
        yield from _target(flow, flows, branch.target, where)


def _target(flow: Flow, flows: Collection[int], target: Target, where: str) -> Iterator[Problem]:
    if target.kind == "step" and flow.step(target.step) is None:
        names = ", ".join(step.name for step in flow.steps)
        yield Problem(where, "error", f"leads to {target.step!r}, but the steps are {names}")
    if target.kind == "flow" and target.flow not in flows:
        yield Problem(
            where,
            "error",
            "leads to a flow that has not been published: publish that one first",
        )


def _after_socket(flow: Flow) -> Iterator[Problem]:
    """Nothing stands after a socket connect: live tests saw it start at once, over the socket's sound."""
    wanted = {branch.target.step for branch in flow.branches} | {step.then.step for step in flow.steps}
    for step in flow.steps:
        follower = flow.after(step)
        if step.stops and step.then.kind in ("step", "flow"):
            yield Problem(
                f"{step.name}.then",
                "error",
                "nothing can follow a socket: use a branch for what comes after it",
            )
        elif step.stops and step.then.kind == "next" and follower is not None and follower.name not in wanted:
            message = f"stands after the socket of {step.name!r}, where no caller comes: reach it by a branch"
            yield Problem(follower.name, "error", message)


def _outcomes(flow: Flow, outcomes: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    for branch in flow.branches:
        step = flow.step(branch.step)
        if step is None:
            continue
        known = possible(step, outcomes)
        digits = step.action == "input" and branch.outcome and set(branch.outcome) <= set("0123456789*#")
        if branch.outcome not in known and not digits:
            expected = (
                ", ".join([*known, *(["digits"] if step.action == "input" else [])]) or "none: it has no outcomes"
            )
            message = f"expected an outcome of {step.action} ({expected}), got {branch.outcome!r}"
            yield Problem(f"{branch.step}.{branch.outcome}", "error", message)


def _prompts(flow: Flow) -> Iterator[Problem]:
    for step in flow.steps:
        for options in (step.options, step.options.get(SETTINGS) or {}):
            for name, value in options.items():
                if isinstance(value, dict) and "version" in value and value["version"] is None:
                    yield Problem(f"{step.name}.{name}", "error", "names a prompt without sound: upload one first")


def possible(step: Step, outcomes: Mapping[str, Collection[str]]) -> list[str]:
    """Return the outcomes, besides digits, that a step can have."""
    if step.action == "input":
        return [NOTHING, WRONG]
    if step.action == "connect":
        return [*CONNECT_OUTCOMES, *outcomes.get(step.options.get(APP, ""), ())]
    return []


def _documents(flow: Flow) -> Iterator[Problem]:
    """Check the document from each place where one can begin; which that is, only names that are unique tell."""
    if len({step.name for step in flow.steps}) < len(flow.steps):
        return
    version = Version(0, 0, flow)
    starts = [
        flow.steps[0],
        *(step for branch in flow.branches if (step := flow.step(branch.target.step))),
    ]
    seen: set[Problem] = set()
    for start in dict.fromkeys(step.name for step in starts):
        first = flow.step(start)
        if first is None:
            continue
        places = list(walk(Place(version, first), lambda flow_id: None))
        yield from _round(flow, places)
        found = problems([action(place, SAMPLE) for place in places])
        if places[-1].step.then.kind == "flow":
            # The other flow may begin with the input that a bargeIn needs.
            found = [each for each in found if not each.path.endswith(".bargeIn")]
        for problem in found:
            named = _named(problem, [place.step for place in places])
            if named not in seen:
                seen.add(named)
                yield named


def _round(flow: Flow, places: list[Place]) -> Iterator[Problem]:
    """A document that would come back to a step of its own can only be cut off there."""
    last = places[-1].step
    if last.stops or last.then.kind in ("end", "flow"):
        return
    following = flow.step(last.then.step) if last.then.kind == "step" else flow.after(last)
    if following is not None:
        message = f"goes round to {following.name!r} without waiting for an answer: use a branch, or end there"
        yield Problem(f"{last.name}.then", "error", message)


def _named(problem: Problem, steps: list[Step]) -> Problem:
    """``$[1].text`` -> ``menu.text``."""
    index, _, rest = problem.path.removeprefix("$[").partition("]")
    name = steps[int(index)].name if index.isdigit() else ""
    return Problem(f"{name}{rest}", problem.severity, problem.message, problem.source)


def messages(found: list[Problem]) -> list[dict[str, Any]]:
    """Return problems as JSON for pages and commands."""
    return [
        {
            "path": each.path,
            "severity": each.severity,
            "message": each.message,
            "source": each.source,
        }
        for each in found
    ]
