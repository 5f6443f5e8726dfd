"""Knows the command that prints a flow as an NCCO."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from callflows.models import CallFlow, FlowVersion
from callflows.models.prompts import sound_path
from callflows.ncco.flow import Version
from callflows.ncco.imported import along, exported, left_behind
from callflows.prefix import prefix

# Stands for our own address where PUBLIC_URL does not tell it.
PLACEHOLDER = "https://callflows.example"


class Command(BaseCommand):
    help = "Print the NCCO of a flow: its published version, or its draft. What an NCCO cannot hold is told on stderr."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--flow", required=True, metavar="NAME")
        parser.add_argument("--draft", action="store_true", help="the draft, and not the published version")

    def handle(self, **options: Any) -> None:
        version = _version(options["flow"], options["draft"])
        places = along(version, _newest)
        base, now = (settings.PUBLIC_URL or PLACEHOLDER) + prefix(), timezone.now()
        document = exported(places, base, lambda prompt: base + sound_path(prompt, now))
        for sentence in left_behind(version, places):
            self.stderr.write(f"warning: {sentence}")
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if not settings.PUBLIC_URL and PLACEHOLDER.partition("//")[2] in text:
            self.stderr.write(f"warning: PUBLIC_URL is not set: {PLACEHOLDER} stands for it")
        self.stdout.write(text)


def _version(name: str, draft: bool) -> Version:
    flow = CallFlow.objects.select_related("live").filter(name=name).first()
    if flow is None:
        names = ", ".join(CallFlow.objects.values_list("name", flat=True)) or "none"
        raise CommandError(f"--flow: no flow is called {name!r}; there are: {names}")
    if draft:
        return Version(0, flow.pk, flow.draft())
    if flow.live is None:
        raise CommandError(f"flow {name} has no published version: publish it, or use --draft")
    return flow.live.as_core()


def _newest(flow_id: int) -> Version | None:
    found = FlowVersion.objects.filter(flow_id=flow_id).order_by("-number").first()
    return found.as_core() if found else None
