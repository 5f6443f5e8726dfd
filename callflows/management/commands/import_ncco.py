"""Knows the command that turns an existing NCCO into the draft of a flow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse

from callflows.models import CallFlow, HeaderRow, HeaderSet, PromptVersion
from callflows.models.flows import check_headers
from callflows.models.prompts import sound_version
from callflows.ncco.files import parse
from callflows.ncco.flow import Step
from callflows.ncco.imported import Imported, imported
from callflows.ncco.problems import InvalidNcco, Problem
from callflows.ncco.served import HEADER_SET, PROMPT
from callflows.prefix import prefix
from callflows.sockets.registry import outcomes

NAME_CHARACTERS = 100


class Command(BaseCommand):
    help = (
        "Turn an NCCO in a JSON file into a flow with named steps, as a draft. What the forms do not know is kept with "
        "the step; each such thing is told. Nothing is changed when the NCCO has errors."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--flow", required=True, metavar="NAME", help="name of the flow; it must be new, or empty")

    def handle(self, *, file: Path, **options: Any) -> None:
        name = options["flow"].strip()
        if not 0 < len(name) <= NAME_CHARACTERS:
            raise CommandError(f"--flow: expected a name of 1 to {NAME_CHARACTERS} characters, got {len(name)}")
        found = self._read(file)
        with transaction.atomic():
            flow = _new_or_empty(name)
            steps = [self._fitted(flow, step) for step in found.steps]
            for position, step in enumerate(steps):
                flow.steps.create(position=position, name=step.name, action=step.action, options=step.options)
        self._tell(flow, steps, found.warnings)

    def _read(self, file: Path) -> Imported:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: expected a file that can be read, got: {error.strerror}") from None
        document, found = parse(raw)
        try:
            if any(each.severity == "error" for each in found):
                raise InvalidNcco(found)
            self._warn(found)
            read = imported(document)
        except InvalidNcco as error:
            self._warn(error.problems)
            raise CommandError(f"{file}: {_counted(len(error.problems), 'error')}, so nothing was imported") from None
        if hidden := _not_storable(document):
            raise CommandError(f"{file}: {hidden!r} holds a NUL or half a character, which no database takes")
        return read

    def _warn(self, found: Iterator[Problem] | tuple[Problem, ...] | list[Problem]) -> None:
        for each in found:
            self.stderr.write(f"{each.severity}: {each.path}: {each.message}")

    # Prompts and header sets

    def _fitted(self, flow: CallFlow, step: Step) -> Step:
        """Return a step that names prompts and header sets of ours where the NCCO has the same."""
        options = dict(step.options)
        if step.action == "stream" and (version := _prompt_version(options["streamUrl"])) is not None:
            del options["streamUrl"]
            options[PROMPT] = version.prompt_id
            self.stdout.write(f"{step.name}: plays prompt {version.prompt.name}, the newest version at each publishing")
        endpoint = dict(options.get("endpoint") or {}) if step.action == "connect" else {}
        if endpoint.get("headers"):
            found = self._header_set(flow, step.name, endpoint["headers"])
            if found is not None:
                del endpoint["headers"]
                options |= {"endpoint": endpoint, HEADER_SET: found.pk}
        return Step(step.name, step.action, options)

    def _header_set(self, flow: CallFlow, step: str, headers: dict[str, Any]) -> HeaderSet | None:
        """Return the header set with exactly these values, or a new one; None: a header set cannot hold them."""
        if not all(0 < len(name) <= NAME_CHARACTERS for name in headers):
            return None
        try:
            check_headers(list(headers.items()))
        except ValidationError:
            return None
        for each in HeaderSet.objects.prefetch_related("rows"):
            if _same(each.values(), headers):
                self.stdout.write(f"{step}: takes its headers from header set {each.name}, which has the same")
                return each
        made = HeaderSet.objects.create(name=_free_name(flow.name))
        HeaderRow.objects.bulk_create(_row(made, key, value) for key, value in headers.items())
        self.stdout.write(f"{step}: made header set {made.name} of its {_counted(len(headers), 'header')}")
        return made

    # What was made

    def _tell(self, flow: CallFlow, steps: list[Step], warnings: tuple[Problem, ...]) -> None:
        self.stdout.write(f"Flow {flow.name}: a draft with {_counted(len(steps), 'step')}")
        for each in steps:
            self.stdout.write(f"  {each.name}")
        self._warn([each for each in warnings if not _settled(each, steps)])
        if wrong := [each for each in flow.problems(outcomes()) if each.severity == "error"]:
            self.stderr.write("Before it can be published:")
            self._warn(wrong)
        page = reverse("admin:callflows_callflow_change", args=(flow.pk,))
        self.stdout.write(f"Callers get it once it is published: {page}")


def _new_or_empty(name: str) -> CallFlow:
    flow, made = CallFlow.objects.select_for_update().get_or_create(name=name)
    if not made and (there := flow.steps.count() + flow.branches.count()):
        found = f"flow {name} has {_counted(there, 'step or branch', 'steps and branches')} already"
        raise CommandError(f"{found}: choose another name, or remove them first; nothing was changed")
    if not made:
        # Whoever has its page open is told that it was changed.
        flow.edit += 1
        flow.save(update_fields=["edit"])
    return flow


def _prompt_version(stream_url: list[str]) -> PromptVersion | None:
    """Return the version of a prompt of ours whose address this is, also when its day is over."""
    path, sounds = urlsplit(stream_url[0]).path, f"{prefix()}/sounds/"
    if not path.startswith(sounds) or not path.endswith(".wav"):
        return None
    version = sound_version(path.removeprefix(sounds).removesuffix(".wav"), datetime(2000, 1, 1))
    return PromptVersion.objects.select_related("prompt").filter(pk=version).first() if version else None


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: True is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _free_name(flow: str) -> str:
    taken = set(HeaderSet.objects.values_list("name", flat=True))
    places = (
        f"{flow[: NAME_CHARACTERS - 15]} headers{f' {number}' if number > 1 else ''}" for number in range(1, 10**6)
    )
    return next(name for name in places if name not in taken)


def _row(header_set: HeaderSet, key: str, value: Any) -> HeaderRow:
    if isinstance(value, str):
        return HeaderRow(header_set=header_set, key=key, kind=HeaderRow.Kind.TEXT, value=value)
    return HeaderRow(header_set=header_set, key=key, kind=HeaderRow.Kind.JSON, value=json.dumps(value))


def _settled(warning: Problem, steps: list[Step]) -> bool:
    """Whether a warning is over, because a header set holds what it is about."""
    name, _, place = warning.path.partition(".")
    return place == "endpoint.headers" and any(each.name == name and HEADER_SET in each.options for each in steps)


def _not_storable(value: Any) -> str:
    """Return a text that PostgreSQL would refuse; empty: there is none."""
    if isinstance(value, str):
        return value[:40] if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value) else ""
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((found for each in inner if (found := _not_storable(each))), "")


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
