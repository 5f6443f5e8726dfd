"""Knows what keeps a flow from being published: steps, targets and options that do not fit together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from callflows.ncco.dialling import open_problems
from callflows.ncco.document import problems
from callflows.ncco.fit import excesses, fitted
from callflows.ncco.flow import (
    ANSWERED_BY,
    CONNECT_OUTCOMES,
    NOTHING,
    NOTIFIED,
    WRONG,
    Flow,
    Place,
    Step,
    Target,
    Version,
    follow,
    walk,
)
from callflows.ncco.phrases import words
from callflows.ncco.problems import Problem
from callflows.ncco.served import APP, SETTINGS, Context, action, dialled
from callflows.ncco.template import ANSWERS, fill, in_keys, longest_value, variables

_HOST = "callflows.example"
SAMPLE = Context(
    values={},
    event_url=lambda place: f"https://{_HOST}/webhooks/events",
    socket_uri=lambda place: f"wss://{_HOST}/socket",
    prompt_url=lambda version: f"https://{_HOST}/prompts/{version}.wav",
    room="callflows-1",
)
# Looks right wherever a value can stand: as a number, as a text, in an address.
_USUAL_VALUE = "447700900123"
_KEYS = frozenset("0123456789*#")


def step_problems(step: Step) -> list[Problem]:
    """Return what is wrong with one step by itself; paths begin at the action (``$[0].text``)."""
    place = Place(Version(0, 0, Flow((step,))), step)
    # Rules between actions need the neighbours: only the flow as a whole can tell.
    return [each for each in _form([place]) if not each.path.endswith(".bargeIn")] + list(_values(place))


def _form(places: Sequence[Place]) -> list[Problem]:
    """Return what is wrong with the document of ``places`` with usual values in it."""
    templates = [_template(place) for place in places]
    found = problems([_usual(template) for template in templates])
    return [_judged(each, templates) for each in found]


def _template(place: Place) -> dict[str, Any]:
    """Return a step's action; of a joinable flow too the endpoint, which is called all the same."""
    return dialled(place, SAMPLE) if place.step.action == "connect" else action(place, SAMPLE)


def _usual(template: dict[str, Any]) -> dict[str, Any]:
    values = {name: _USUAL_VALUE for name in variables(template) if longest_value(name)}
    filled: dict[str, Any] = fill(template, values)
    # What is too long is told by its length with the shortest and the longest values.
    return fitted(template, filled)[0] or filled


def _judged(problem: Problem, templates: Sequence[dict[str, Any]]) -> Problem:
    """Return a problem as a warning when the value of a variable decides whether it is one."""
    value = _at(templates, problem.path)
    known = [name for name in variables(value) if longest_value(name)] if isinstance(value, str) else []
    if problem.severity == "warning" or not known:
        return problem
    message = f"{problem.message}; a call whose {known[0]} does not fit gets the safe NCCO"
    return Problem(problem.path, "warning", message, problem.source)


def _at(value: Any, path: str) -> Any:
    """Return what stands at a path, None where nothing does."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path.removeprefix("$")):
        try:
            value = value[int(index) if index else name]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _values(place: Place) -> Iterator[Problem]:
    """Yield what is wrong with a step's variables: what they are called, and how long they make it."""
    template = _template(place)
    yield from excesses(template)
    for name in dict.fromkeys(variables(place.step.options)):
        if longest_value(name) is None:
            yield Problem("$[0]", "warning", f"no value is called {name!r}: callers get its default, or nothing")
    for name in dict.fromkeys(in_keys(place.step.options)):
        yield Problem(
            "$[0]", "warning", f"names are not filled: {name!r} stays as it is, put the variable in its value"
        )


def flow_problems(flow: Flow, flows: Collection[int], outcomes: Mapping[str, Collection[str]]) -> list[Problem]:
    """Return everything that is wrong with a flow; errors keep it from being published.

    ``flows`` are the ids of the flows that a target may name and that have a version or this flow itself;
    ``outcomes`` gives the named outcomes of each socket app; one in braces, ``{choices}``, stands for the
    values of that setting. Paths name the step (``menu``, ``menu.text``).
    """
    if not flow.steps:
        return [Problem("", "error", "a flow needs at least one step: add one, then publish")]
    return [
        *_names(flow),
        *_targets(flow, flows),
        *_after_socket(flow),
        *_outcomes(flow, outcomes),
        *_prompts(flow),
        *_chosen(flow),
        *_asked(flow),
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
    wanted = flow.named()
    for step in flow.steps:
        follower = flow.after(step)
        if not step.stops or (flow.joinable and step.action == "connect"):
            continue
        what = "transfer" if step.action == "transfer" else "socket"
        if step.then.kind in ("step", "flow"):
            hint = "end there" if step.action == "transfer" else "use a branch for what comes after it"
            yield Problem(f"{step.name}.then", "error", f"nothing can follow a {what}: {hint}")
        elif step.then.kind == "next" and follower is not None and follower.name not in wanted:
            message = f"stands after the {what} of {step.name!r}, where no caller comes: reach it by a branch"
            yield Problem(follower.name, "error", message)


def _outcomes(flow: Flow, outcomes: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    for branch in flow.branches:
        step = flow.step(branch.step)
        if step is None:
            continue
        known = possible(step, outcomes, first=step == flow.steps[0])
        kinds = answers(step)
        if branch.outcome not in known and not _is_answer(branch.outcome, kinds):
            expected = ", ".join([*known, *kinds]) or "none: it has no outcomes"
            message = f"expected an outcome of {step.action} ({expected}), got {branch.outcome!r}"
            yield Problem(f"{branch.step}.{branch.outcome}", "error", message)


def _is_answer(outcome: str, kinds: Collection[str]) -> bool:
    if outcome and set(outcome) <= _KEYS:
        return "digits" in kinds
    return "a phrase" in kinds and bool(words(outcome))


def answers(step: Step) -> list[str]:
    """Return in words what a caller can answer a step; digits can also be said."""
    if step.action != "input" or _goes_on(step):
        return []
    return ["digits", "a phrase"] if "speech" in step.options.get("type", ()) else ["digits"]


def _goes_on(step: Step) -> bool:
    """Whether an input lets the flow go on while keys are pressed: then nothing comes of it."""
    return str(step.options.get("mode", "synchronous")) != "synchronous"


def possible(step: Step, outcomes: Mapping[str, Collection[str]], *, first: bool = False) -> list[str]:
    """Return the outcomes, besides ``answers``, that a step can have.

    ``first``: it is its flow's first one, where a call out tells who picked up.
    """
    found: list[str] = []
    if step.action == "input" and not _goes_on(step):
        found = [NOTHING, WRONG]
    elif step.action == "notify":
        found = [NOTIFIED]
    elif step.action == "connect":
        listens = {"machineDetection", "advancedMachineDetection"} & step.options.keys()
        apps = outcomes.get(step.options.get(APP, ""), ())
        named = (each for outcome in apps for each in _named_in(step, outcome))
        found = [*CONNECT_OUTCOMES, *(ANSWERED_BY if listens else ()), *named]
    return list(dict.fromkeys([*found, *(ANSWERED_BY if first else ())]))


def _named_in(step: Step, outcome: str) -> Iterator[str]:
    """Yield an app's outcome; for ``{choices}`` those that the step's setting ``choices`` names."""
    if outcome.startswith("{"):
        settings = step.options.get(SETTINGS)
        chosen = settings.get(outcome[1:-1]) if isinstance(settings, dict) else None
        yield from map(str, chosen.values() if isinstance(chosen, dict) else ())
    else:
        yield outcome


def _prompts(flow: Flow) -> Iterator[Problem]:
    for step in flow.steps:
        for name, prompt in step.prompts():
            if prompt["version"] is None:
                yield Problem(
                    f"{step.name}.{name}",
                    "error",
                    "names a prompt without sound: upload one, or wait until it is converted",
                )


def _chosen(flow: Flow) -> Iterator[Problem]:
    """Whom a caller's words may reach, the flow says."""
    version = Version(0, 0, flow)
    for step in flow.steps:
        if step.action == "connect":
            endpoint = dialled(Place(version, step), SAMPLE)["endpoint"][0]
            yield from open_problems(endpoint, flow.prefixes, f"{step.name}.endpoint")


def _documents(flow: Flow) -> Iterator[Problem]:
    """Check the document from each place where one can begin; which that is, only names that are unique tell."""
    if len({step.name for step in flow.steps}) < len(flow.steps):
        return
    version = Version(0, 0, flow)
    seen: set[Problem] = set()
    for start in _starts(flow):
        places = list(walk(Place(version, start), lambda flow_id: None))
        steps = [place.step for place in places]
        yield from _round(flow, places)
        found = [named(each, steps) for each in _form(places)]
        if steps[-1].then.kind == "flow":
            # The other flow may begin with the input that a bargeIn needs.
            found = [each for each in found if not each.path.endswith(".bargeIn")]
        for place in places:
            found += [named(each, [place.step]) for each in _values(place)]
        yield from (each for each in dict.fromkeys(found) if each not in seen)
        seen.update(found)


def _starts(flow: Flow) -> list[Step]:
    """Return the steps at which a document can begin: the first, where branches lead, and what comes after a room."""
    version = Version(0, 0, flow)
    found = [flow.steps[0], *(flow.step(branch.target.step) for branch in flow.branches)]
    rooms = (step for step in flow.steps if Place(version, step).in_room)
    after = (follow(version, step.then, lambda flow_id: None, step) for step in rooms)
    found += [place.step for place in after if place]
    return list({step.name: step for step in found if step}.values())


def _round(flow: Flow, places: list[Place]) -> Iterator[Problem]:
    """A document that would come back to a step of its own can only be cut off there."""
    last = places[-1].step
    if places[-1].stops or last.then.kind in ("end", "flow"):
        return
    following = flow.step(last.then.step) if last.then.kind == "step" else flow.after(last)
    if following is not None:
        message = f"goes round to {following.name!r} without waiting for an answer: use a branch, or end there"
        yield Problem(f"{last.name}.then", "error", message)


def _asked(flow: Flow) -> Iterator[Problem]:
    """An answer of a step that this flow does not have can only come from a flow before it."""
    asked = {step.name for step in flow.steps if answers(step)}
    for step in flow.steps:
        for name in dict.fromkeys(variables(step.options)):
            if name.startswith(ANSWERS) and (other := name.removeprefix(ANSWERS)) not in asked:
                message = f"no step {other!r} of this flow asks for an answer: it is empty unless a flow before has one"
                yield Problem(step.name, "warning", message)


def named(problem: Problem, steps: Sequence[Step]) -> Problem:
    """``$[1].text`` -> ``menu.text``, ``$[1].endpoint[0].number`` -> ``menu.endpoint.number``."""
    index, _, rest = problem.path.removeprefix("$[").partition("]")
    name = steps[int(index)].name if index.isdigit() else ""
    place = re.sub(r"^\.endpoint\[0\]", ".endpoint", rest)
    return Problem(f"{name}{place}", problem.severity, problem.message, problem.source)


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
