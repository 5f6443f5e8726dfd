"""Knows where flows, prompts and header sets are used, so that what callers need is not deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Min

from callflows.admin.show import readable
from callflows.models import AudioPrompt, Branch, Call, CallFlow, FlowVersion, HeaderSet, Step
from callflows.ncco.flow import is_prompt
from callflows.ncco.served import HEADER_SET


def used_by(thing: Any) -> list[str]:
    """Return where a flow, a prompt or a header set is used, in words; an empty list: nowhere."""
    match thing:
        case AudioPrompt():
            return [*_in_drafts(thing), *_in_live_versions(_plays(thing)), *_in_calls(thing)]
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


def _in_calls(prompt: AudioPrompt) -> Iterator[str]:
    """Yield the steps of older versions that calls which go on now may still reach: they keep those of their start."""
    if (oldest := Call.objects.filter(ended=None).aggregate(Min("started"))["started__min"]) is None:
        return
    for flow in CallFlow.objects.filter(live__isnull=False).select_related("live"):
        first = FlowVersion.objects.serving(flow.pk, oldest)
        older = flow.versions.filter(number__gte=first.number if first else 1).exclude(
            pk=flow.live.pk if flow.live else 0
        )
        for version in older:
            for step in filter(_plays(prompt), version.document["steps"]):
                yield f"step {step['name']} of flow {flow} (version {version.number}, of calls that go on now)"


def _plays(prompt: AudioPrompt) -> Callable[[dict[str, Any]], bool]:
    return lambda step: prompt.pk in _prompts(step["options"])


def _prompts(value: Any) -> Iterator[Any]:
    """Yield the ids of the prompts that options name: a plain id in a draft, an object in a version."""
    if isinstance(value, dict):
        for name, each in value.items():
            if is_prompt(name):
                chosen = each if isinstance(each, list) else [each]
                yield from (one.get("id") if isinstance(one, dict) else one for one in chosen)
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
