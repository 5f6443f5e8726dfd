"""Knows what a flow's page shows beside its form: state, problems by step, and the NCCO that a call would get now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from callflows.admin.drawing import Drawing, draw
from callflows.admin.show import badge, moment, pretty, readable
from callflows.models import CallFlow, FlowVersion
from callflows.ncco import flow as core
from callflows.ncco.check import step_problems
from callflows.ncco.problems import OURS, Problem
from callflows.ncco.served import Context, build
from callflows.prefix import prefix
from callflows.sockets.registry import outcomes

# What the shown documents say where a call's own values would stand.
CALLER, NUMBER = "447700900000", "442079460000"
# Without PUBLIC_URL, calls get the address at which Vonage reached us.
ELSEWHERE = "https://callflows.example"


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem on the page, with the step that it belongs to; an empty one belongs to the flow as a whole."""

    step: str
    option: str
    severity: str
    message: str
    source: str


def problems(flow: CallFlow, old: FlowVersion | None = None) -> list[Shown]:
    """Return all problems of a draft, or of an old version as of today: errors first, in the order of the steps."""
    content = old.as_core().flow if old else flow.draft()
    found = [_shown(each) for each in flow.problems(outcomes(), old)]
    told = {(each.step, each.message) for each in found}
    for step in content.steps:
        for each in step_problems(step):
            if each.severity == "warning" and (step.name, each.message) not in told:
                found.append(_shown(each, step.name))
    order = {step.name: place for place, step in enumerate(content.steps)}
    return sorted(found, key=lambda each: (each.severity != "error", order.get(each.step, -1)))


def _shown(problem: Problem, step: str = "") -> Shown:
    """Return a problem for the page: of a flow its path begins with the step, of a step (``$[0].text``) with none."""
    found, _, option = problem.path.partition(".")
    # What we say ourselves needs no witness.
    source = "" if problem.source == OURS else problem.source
    return Shown(step or found, option, problem.severity, problem.message, source)


def sentence(each: Shown) -> str:
    place = f"{each.step}, {each.option}" if each.option else each.step
    return f"{place}: {each.message}" if place else each.message


def state(flow: CallFlow, *, differs: bool | None = None) -> SafeString:
    """Return in words what callers get, and whether the draft is something else."""
    if flow.live is None:
        return badge("not published", "warn")
    differs = flow.unpublished if differs is None else differs
    live = badge(f"version {flow.live.number}", "good")
    return format_html("{} {}", live, badge("draft differs", "warn")) if differs else live


def document(version: core.Version, number: str, flow_name: str) -> str:
    """Return the NCCO that a call from ``CALLER`` would get, as text; secrets are dots."""
    if not version.flow.steps:
        return "[]"

    def version_of(flow_id: int) -> core.Version | None:
        found = FlowVersion.objects.filter(flow_id=flow_id).order_by("-number").first()
        return found.as_core() if found else None

    base = (settings.PUBLIC_URL or ELSEWHERE) + prefix()
    context = Context(
        values={"from": CALLER, "to": number, "uuid": "…", "conversation_uuid": "…", "flow_name": flow_name},
        event_url=lambda place: f"{base}/webhooks/events/…",
        socket_uri=lambda place: f"ws{base.removeprefix('http')}/socket/…",
        prompt_url=lambda version: f"{base}/sounds/….wav",
        room="callflows-…",
    )
    return pretty(build(core.walk(core.Place(version, version.flow.steps[0]), version_of), context))


def documents(flow: CallFlow) -> list[dict[str, str]]:
    """Return what calls get now, and what they would get from the draft where that is something else."""
    live = document(flow.live.as_core(), *sample(flow)) if flow.live else ""
    draft = document(core.Version(0, flow.pk, flow.draft()), *sample(flow))
    found = []
    if flow.live:
        found.append({"title": f"A call gets now: version {flow.live.number}", "text": live})
    if draft != live:
        found.append({"title": "The draft, once published", "text": draft})
    return found


def sample(flow: CallFlow) -> tuple[str, str]:
    """Return the called number and the flow's name of the call that is shown."""
    first = flow.numbers.first()
    return first.digits if first else NUMBER, flow.name


def numbers(flow: CallFlow) -> list[str]:
    return [readable(number.digits) for number in flow.numbers.all()]


def drawing(content: core.Flow) -> Drawing:
    return draw(content, dict(CallFlow.objects.values_list("pk", "name")))


def about(flow: CallFlow) -> dict[str, Any]:
    """Return everything that the page shows of a flow that exists."""
    versions = flow.versions.select_related("published_by")[:20]
    return {
        "problems": problems(flow),
        "drawing": drawing(flow.draft()),
        "placeholder": "" if settings.PUBLIC_URL else ELSEWHERE,
        "state": state(flow),
        "differs": flow.live is not None and flow.unpublished,
        "live": flow.live,
        "documents": documents(flow),
        "numbers": numbers(flow),
        "versions": [{"version": each, "published": moment(each.published)} for each in versions],
    }


def step_names(flow: CallFlow | None) -> list[str]:
    return [step.name for step in flow.steps.all()] if flow else []
