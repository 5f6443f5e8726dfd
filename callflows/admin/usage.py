"""Knows where flows, prompts and header sets are used, so that what callers need is not deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from callflows.admin.show import readable
from callflows.admin.step_options import is_prompt
from callflows.models import AudioPrompt, Branch, CallFlow, HeaderSet, Step
from callflows.ncco.served import HEADER_SET


def used_by(thing: Any) -> list[str]:
    """Return where a flow, a prompt or a header set is used, in words; an empty list: nowhere."""
    match thing:
        case AudioPrompt():
            return [*_in_drafts(thing), *_in_live_versions(lambda step: thing.pk in _prompts(step["options"]))]
        case HeaderSet():
            return list(_in_drafts(thing))
        case CallFlow():
            return [*_entrances(thing), *_leading_to(thing)]
    return []


def _in_drafts(thing: AudioPrompt | HeaderSet) -> Iterator[str]:
    for step in Step.objects.select_related("flow"):
        ids = _prompts(step.options) if isinstance(thing, AudioPrompt) else [step.options.get(HEADER_SET)]
        if thing.pk in ids:
            yield f"step {step.name} of flow {step.flow} (draft)"


def _in_live_versions(names_it: Any, but: int = 0) -> Iterator[str]:
    for flow in CallFlow.objects.filter(live__isnull=False).exclude(pk=but).select_related("live"):
        steps = flow.live.document["steps"] if flow.live else []
        for step in steps:
            if names_it(step):
                yield f"step {step['name']} of flow {flow} (version {flow.live.number if flow.live else ''}, live)"


def _prompts(value: Any) -> Iterator[Any]:
    """Yield the ids of the prompts that options name: a plain id in a draft, an object in a version."""
    if isinstance(value, dict):
        for name, each in value.items():
            if is_prompt(name):
                yield each.get("id") if isinstance(each, dict) else each
            else:
                yield from _prompts(each)


def _entrances(flow: CallFlow) -> list[str]:
    numbers = [f"number {readable(number.digits)}" for number in flow.numbers.all()]
    return [*numbers, *(f"application {application}" for application in flow.applications.all())]


def _leading_to(flow: CallFlow) -> Iterator[str]:
    for step in Step.objects.filter(to_flow=flow).exclude(flow=flow).select_related("flow"):
        yield f"step {step.name} of flow {step.flow} (draft)"
    for branch in Branch.objects.filter(to_flow=flow).exclude(flow=flow).select_related("flow"):
        yield f"branch {branch} of flow {branch.flow} (draft)"
    yield from _in_live_versions(lambda step: step["then"]["flow"] == flow.pk, but=flow.pk)
    for other in CallFlow.objects.filter(live__isnull=False).exclude(pk=flow.pk).select_related("live"):
        for branch in other.live.document["branches"] if other.live else []:
            if branch["target"]["flow"] == flow.pk:
                yield f"branch {branch['step']}: {branch['outcome']} of flow {other} (live)"


class KeepsUsed:
    """An admin page that refuses to delete what is used, and says where."""

    def get_deleted_objects(self, objs: Any, request: Any) -> tuple[Any, Any, Any, list[Any]]:
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]  # mixin
        used = [f"{thing} is used by {place}" for thing in objs for place in used_by(thing)]
        return deleted, counts, lacking, used or protected
