"""Knows call flows: drafts that operators edit, and the published versions that callers are served."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.utils import timezone

from callflows.models.prompts import AudioPrompt, PromptVersion
from callflows.models.uploads import PromptUpload
from callflows.ncco import flow as core
from callflows.ncco.check import flow_problems
from callflows.ncco.dialling import read_prefixes
from callflows.ncco.fit import header_excess
from callflows.ncco.headers import reserved
from callflows.ncco.problems import InvalidNcco, Problem
from callflows.ncco.template import longest_value, variables

STEP_NAME = RegexValidator(r"^[a-z0-9][a-z0-9-]*$", "Expected small letters, digits and dashes: main-menu.")


class HeaderSet(models.Model):
    """Named WebSocket headers: what a socket learns of its call in the first message, at most 512 bytes."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def values(self) -> dict[str, Any]:
        return {row.key: row.parsed() for row in self.rows.all()}


def check_headers(rows: Collection[tuple[str, Any]]) -> None:
    """Refuse headers that Vonage would drop or overwrite: double or reserved keys, more than 512 bytes."""
    found = []
    keys = [key for key, _ in rows]
    found += [f"{key!r} stands twice: each header needs a name of its own" for key in set(keys) if keys.count(key) > 1]
    found += [f"{key!r} is a member of Vonage's own, which would overwrite it" for key in reserved(dict(rows))]
    found += [f"headers: {each.message}" for each in header_excess(dict(rows)) if each.severity == "error"]
    if found:
        raise ValidationError(found)


def header_warnings(rows: Collection[tuple[str, Any]]) -> list[str]:
    """Return what callers' values can make of headers: names that no value has, and too many bytes."""
    headers = dict(rows)
    unknown = [name for name in dict.fromkeys(variables(headers)) if longest_value(name) is None]
    return [
        *(each.message for each in header_excess(headers) if each.severity == "warning"),
        *(f"no value is called {name!r}: sockets get its default, or nothing" for name in unknown),
    ]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class HeaderRow(models.Model):
    """One header. The value is a text, which may hold variables, or any JSON."""

    class Kind(models.TextChoices):
        TEXT = "text", "Text"
        JSON = "json", "JSON"

    header_set = models.ForeignKey(HeaderSet, on_delete=models.CASCADE, related_name="rows")
    key = models.CharField(max_length=100)
    kind = models.CharField(max_length=4, choices=Kind, default=Kind.TEXT)
    value = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.key

    def parsed(self) -> Any:
        if self.kind == self.Kind.TEXT:
            return self.value
        return json.loads(self.value, parse_constant=_no_constant)

    def clean(self) -> None:
        try:
            self.parsed()
        except ValueError as error:
            raise ValidationError({"value": f"expected JSON, got {self.value[:40]!r}: {error}"}) from None


class CallFlow(models.Model):
    """What callers meet: edited as a draft of steps and branches, served as its newest published version."""

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    live = models.ForeignKey(
        "FlowVersion", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    joinable = models.BooleanField(
        "may be joined",
        default=False,
        help_text="Callers, and the phones that they are connected to, meet in a room that an assistant or a listener "
        "can join.",
    )
    prefixes = models.CharField(
        max_length=500,
        blank=True,
        help_text="How numbers may begin that a caller's words choose, such as 44 or 1555; SIP addresses by @host, "
        "sockets by wss://host/. Nothing else is dialled for them. Empty: steps name whom they reach.",
    )
    # Counts the saves of the draft, so that the second of two people saving is told.
    edit = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            read_prefixes(self.prefixes)
        except ValueError as error:
            raise ValidationError({"prefixes": str(error)}) from None

    def draft(self) -> core.Flow:
        """Return the draft as it would be published now: header values and prompt versions written in."""
        return core.Flow(
            tuple(step.as_core() for step in self.steps.all()),
            tuple(branch.as_core() for branch in self.branches.all()),
            self.joinable,
            read_prefixes(self.prefixes),
        )

    def problems(self, outcomes: Mapping[str, Collection[str]], old: FlowVersion | None = None) -> list[Problem]:
        """Return all problems of the draft, or those that an old version has today.

        ``outcomes``: the named outcomes of each socket app.
        """
        published = CallFlow.objects.filter(live__isnull=False).values_list("id", flat=True)
        content = core.Flow.from_json(old.document) if old else self.draft()
        sounds = lost_sounds(content) if old else coming_sounds(content)
        return [*flow_problems(content, {*published, self.pk}, outcomes), *sounds]

    def publish(
        self, outcomes: Mapping[str, Collection[str]], by: User | None = None, old: FlowVersion | None = None
    ) -> FlowVersion:
        """Make the draft what the next call is served; or, to roll back, the content of an old version as a new one.

        Raises InvalidNcco with all problems if it has errors.
        """
        with transaction.atomic():
            CallFlow.objects.select_for_update().get(pk=self.pk)
            if wrong := [each for each in self.problems(outcomes, old) if each.severity == "error"]:
                raise InvalidNcco(wrong)
            newest = self.versions.first()
            number = newest.number + 1 if newest else 1
            document = old.document if old else self.draft().to_json()
            version = self.versions.create(number=number, document=document, published_by=by)
            self.live = version
            self.save(update_fields=["live"])
        return version

    @property
    def unpublished(self) -> bool:
        """Whether the draft differs from what callers get."""
        return self.live is None or core.Flow.from_json(self.live.document) != self.draft()


def lost_sounds(flow: core.Flow) -> list[Problem]:
    """Return a problem for each step that plays a prompt's version that is not there any more."""
    named = {
        (f"{step.name}.{name}", prompt["version"])
        for step in flow.steps
        for name, prompt in step.prompts()
        if isinstance(prompt.get("version"), int)
    }
    there = set(PromptVersion.objects.filter(pk__in={version for _, version in named}).values_list("pk", flat=True))
    message = "plays a prompt that was deleted: choose another one in the draft, and publish that"
    return [Problem(path, "error", message) for path, version in sorted(named) if version not in there]


def coming_sounds(flow: core.Flow) -> list[Problem]:
    """Return a warning for each step that plays a prompt of which a newer sound is on its way."""
    named = [(f"{step.name}.{name}", prompt) for step in flow.steps for name, prompt in step.prompts()]
    coming = PromptUpload.objects.coming().filter(prompt__in=[prompt.get("id") for _, prompt in named])
    prompts = set(coming.values_list("prompt", flat=True))
    message = "a newer sound of its prompt is still being converted: callers get it by publishing once that is done"
    return [
        Problem(path, "warning", message)
        for path, prompt in named
        if prompt.get("id") in prompts and prompt["version"] is not None
    ]


class GoesOn(models.Model):
    """A target as it is stored: a step by its name, so that it can be added in the same save, or another flow."""

    to_step = models.CharField(max_length=50, blank=True, validators=[STEP_NAME])
    to_flow = models.ForeignKey(CallFlow, on_delete=models.RESTRICT, null=True, blank=True, related_name="+")

    class Meta:
        abstract = True


class Step(GoesOn):
    """One action of a flow, with the options of its action as Vonage spells them, and ours."""

    class Then(models.TextChoices):
        NEXT = "next", "go on with the next step"
        END = "end", "end the call"
        STEP = "step", "go to a step"
        FLOW = "flow", "go to another flow"

    flow = models.ForeignKey(CallFlow, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=50, validators=[STEP_NAME])
    action = models.CharField(max_length=20)
    options = models.JSONField(default=dict, blank=True)
    then = models.CharField(max_length=4, choices=Then, default=Then.NEXT)

    class Meta:
        # No constraint on the names: two steps that swap them in one save would break it. The form checks.
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.name

    def as_core(self) -> core.Step:
        target = core.Target(
            core_kind(self.then),
            self.to_step if self.then == self.Then.STEP else "",
            self.to_flow_id if self.then == self.Then.FLOW else None,
        )
        return core.Step(self.name, self.action, resolved(self.options), target)


class Branch(GoesOn):
    """What a step does with an outcome: a digit, nothing pressed, a failed connection, an outcome of a socket app."""

    flow = models.ForeignKey(CallFlow, on_delete=models.CASCADE, related_name="branches")
    position = models.PositiveIntegerField(default=0)
    step = models.CharField(max_length=50, validators=[STEP_NAME])
    outcome = models.CharField(max_length=200)
    at_most = models.PositiveIntegerField(
        null=True, blank=True, help_text="Only while the step was asked no more often than this in a row."
    )

    class Meta:
        ordering = ("position", "id")
        verbose_name_plural = "branches"

    def __str__(self) -> str:
        return f"{self.step}: {self.outcome}"

    def as_core(self) -> core.Branch:
        target = core.Target("flow", "", self.to_flow_id) if self.to_flow_id else core.Target("step", self.to_step)
        return core.Branch(self.step, self.outcome, target, self.at_most)


def core_kind(then: str) -> core.TargetKind:
    kinds: dict[str, core.TargetKind] = {"next": "next", "end": "end", "step": "step", "flow": "flow"}
    return kinds[then]


def resolved(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options`` with what they refer to written in: a header set's values, a prompt's newest version."""
    found = {name: _resolved_one(name, value) for name, value in options.items() if name != "headerSet"}
    if (header_set := options.get("headerSet")) is not None:
        chosen = HeaderSet.objects.prefetch_related("rows").filter(pk=header_set).first()
        found["endpoint"] = {**found.get("endpoint", {}), "headers": chosen.values() if chosen else {}}
    return found


def _resolved_one(name: str, value: Any) -> Any:
    if core.is_prompt(name) and isinstance(value, list):
        return [_resolved_one("prompt", each) for each in value]
    if core.is_prompt(name) and isinstance(value, int):
        return AudioPrompt.objects.named(value)
    if name == "settings" and isinstance(value, dict):
        return {inner: _resolved_one(inner, each) for inner, each in value.items()}
    return value


class FlowVersionQuerySet(models.QuerySet["FlowVersion"]):
    def serving(self, flow_id: int, at: datetime) -> FlowVersion | None:
        """Return the newest version published no later than ``at``: a running call keeps those of its start."""
        return self._served(flow_id, at).first()

    def served(self, flow_id: int, at: datetime) -> core.Version | None:
        """Return the same one ready to be served."""
        found = self._served(flow_id, at).values_list("pk", "published").first()
        return self.ready(*found) if found else None

    def _served(self, flow_id: int, at: datetime) -> FlowVersionQuerySet:
        return self.filter(flow_id=flow_id, published__lte=at).order_by("-number")

    def ready(self, pk: int, published: datetime) -> core.Version | None:
        """Return a version ready to be served, from memory: it never changes. None: it is gone."""
        try:
            return _ready(pk, published)
        except FlowVersion.DoesNotExist:
            return None


class FlowVersion(models.Model):
    """An immutable published document of a flow."""

    flow = models.ForeignKey(CallFlow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    published = models.DateTimeField(default=timezone.now)
    published_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, related_name="+")

    objects = FlowVersionQuerySet.as_manager()

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=("flow", "number"), name="version_number_once_in_a_flow"),)

    def __str__(self) -> str:
        return f"version {self.number}"

    def as_core(self) -> core.Version:
        return core.Version(self.pk, self.flow_id, core.Flow.from_json(self.document))


@lru_cache(maxsize=1000)
def _ready(pk: int, published: datetime) -> core.Version:
    """The time is a part of its name: a database put back from a backup gives a key away again."""
    return FlowVersion.objects.only("flow_id", "document").get(pk=pk, published=published).as_core()


def forget_ready() -> None:
    """Forget what is ready in this process's memory: another database has other versions."""
    _ready.cache_clear()
