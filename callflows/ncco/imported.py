"""Knows how an existing NCCO becomes the steps of a flow, and how the same NCCO comes out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from callflows.ncco.actions import ACTIONS
from callflows.ncco.check import named
from callflows.ncco.document import problems
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.flow import Place, Step, Version, VersionOf, follow, walk
from callflows.ncco.option import Options, options
from callflows.ncco.problems import InvalidNcco, Problem
from callflows.ncco.served import APP, CONTENT_TYPE, FOREIGN, OURS, PROMPT, reports
from callflows.ncco.template import variables


@dataclass(frozen=True, slots=True)
class Imported:
    """The steps of an NCCO, and what of it is kept though the forms do not know it: paths begin with the step."""

    steps: tuple[Step, ...]
    warnings: tuple[Problem, ...]


def imported(document: object) -> Imported:
    """Return an NCCO as steps in its order, named for their actions. Raises InvalidNcco with all errors."""
    found = problems(document)
    if wrong := [each for each in found if each.severity == "error"]:
        raise InvalidNcco(wrong)
    actions: list[dict[str, Any]] = document if isinstance(document, list) else []
    steps = tuple(_step(name, action) for name, action in zip(_names(actions), actions, strict=True))
    own = [problem for step, action in zip(steps, actions, strict=True) for problem in _kept(step.name, action)]
    return Imported(steps, (*(named(each, steps) for each in found), *own))


def _names(actions: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield talk, input, talk-2."""
    times: dict[str, int] = {}
    for each in actions:
        name = each["action"]
        times[name] = times.get(name, 0) + 1
        yield f"{name}-{times[name]}" if times[name] > 1 else name


def _step(name: str, action: dict[str, Any]) -> Step:
    """Return an action as a step; options that are called like ours, but are not, are kept apart."""
    kept = {key: value for key, value in action.items() if key != "action"}
    foreign = {key: kept.pop(key) for key in OURS if key in kept}
    if action["action"] == "connect":
        kept["endpoint"] = dict(kept["endpoint"][0])
    return Step(name, action["action"], {**kept, **({FOREIGN: foreign} if foreign else {})})


def _kept(name: str, action: dict[str, Any]) -> Iterator[Problem]:
    """Yield what works in another way than in a flow that was made here."""
    for place, value in _hidden(action):
        yield Problem(f"{name}.{place}", "warning", _why(place, value, action))
    for variable in dict.fromkeys(variables(action)):
        message = f"{{{{ {variable} }}}} is a variable here: each call gets a value in its place"
        yield Problem(name, "warning", message)


def _hidden(action: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the options that no form draws, and the addresses that are none of ours."""
    models: list[tuple[str, type[Options], dict[str, Any]]] = [("", ACTIONS[action["action"]], action)]
    if action["action"] == "connect":
        endpoint = action["endpoint"][0]
        models.append(("endpoint.", ENDPOINTS[endpoint["type"]], endpoint))
    for prefix, model, values in models:
        for option in options(model):
            value = _at(values, option.name)
            foreign = f"{prefix}{option.name}" in ("endpoint.uri", "endpoint.onAnswer.url") and values["type"] != "sip"
            if value is not None and (
                foreign or (not option.form and option.name not in ("action", "type", "endpoint"))
            ):
                yield f"{prefix}{option.name}", value


def _at(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _why(place: str, value: Any, action: dict[str, Any]) -> str:
    if place == "eventUrl" and (reports(action["action"], action) or action["action"] == "connect"):
        return f"results go to {_shown(value)} and not to us: no branch of this step is ever taken"
    if place.endswith("eventUrl"):
        return f"results go to {_shown(value)} and not to us"
    if place == "endpoint.uri":
        return f"the socket is {_shown(value)}, none of our apps"
    if place == "endpoint.onAnswer.url":
        return f"what the callee hears first comes from {_shown(value)} and not from us"
    if place == "endpoint.headers":
        return "kept with this step; no header set holds them"
    return "kept as it is; the forms do not show it"


def _shown(value: Any) -> str:
    text = str(value[0] if isinstance(value, list) and value else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# The way back


def exported(places: Sequence[Place], base: str, prompt_url: Callable[[int], str]) -> list[dict[str, Any]]:
    """Return places as an NCCO, without anything that we add when a call is served.

    ``base`` is our own address, where an action needs one that only a call has.
    """
    return [_action(place.step, base, prompt_url) for place in places]


def _action(step: Step, base: str, prompt_url: Callable[[int], str]) -> dict[str, Any]:
    kept = {name: value for name, value in step.options.items() if name not in OURS}
    prompt = step.options.get(PROMPT)
    if isinstance(prompt, dict) and prompt.get("version") is not None:
        kept["streamUrl"] = [prompt_url(prompt["version"])]
    if step.action == "input":
        kept.setdefault("type", ["dtmf"])
    if step.action == "notify":
        kept.setdefault("eventUrl", [f"{base}/webhooks/events"])
    if step.action == "connect":
        endpoint = {"type": "websocket", **(kept.get("endpoint") or {})}
        if step.options.get(APP):
            endpoint["uri"] = f"ws{base.removeprefix('http')}/socket/LINE/TOKEN"
            endpoint.setdefault("content-type", CONTENT_TYPE)
        kept["endpoint"] = [endpoint]
    return {"action": step.action, **kept, **step.options.get(FOREIGN, {})}


def along(version: Version, version_of: VersionOf) -> list[Place]:
    """Return the places of the document that a version's first step begins.

    What an imported NCCO has after a socket belongs to it, though no caller is served it.
    """
    found: list[Place] = []
    place = Place(version, version.flow.steps[0]) if version.flow.steps else None
    while place is not None:
        more = list(walk(place, version_of))
        fresh = [each for each in more if each not in found]
        found += fresh
        place = _after(found[-1], version_of) if fresh and more[-1].stops else None
    return found


def _after(last: Place, version_of: VersionOf) -> Place | None:
    follower = follow(last.version, last.step.then, version_of, last.step)
    if follower is None or last.in_room:
        return follower
    belongs = last.step.then.kind == "next" and follower.step.name not in last.version.flow.named()
    return follower if belongs else None


def left_behind(version: Version, places: Sequence[Place]) -> list[str]:
    """Return in sentences what of a flow is no part of its NCCO."""
    flow, found = version.flow, []
    names = {each.step.name for each in places if each.version.flow_id == version.flow_id}
    if flow.branches:
        are = "1 branch is" if len(flow.branches) == 1 else f"{len(flow.branches)} branches are"
        found.append(f"{are} not part of an NCCO, and left out")
    if others := [step.name for step in flow.steps if step.name not in names]:
        found.append(f"only branches lead to {', '.join(others)}: left out")
    if apps := [each.step.name for each in places if each.step.options.get(APP)]:
        found.append(f"the socket of {', '.join(apps)} has another address in each call: LINE and TOKEN stand for it")
    if prompts := [each.step.name for each in places if each.step.action == "stream" and PROMPT in each.step.options]:
        found.append(f"the address of the prompt of {', '.join(prompts)} is good for a day")
    return found
