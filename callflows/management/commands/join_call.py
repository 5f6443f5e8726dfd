"""Knows the command that joins a socket app to a running call."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows.control.rooms import join
from callflows.models import AudioPrompt, Call
from callflows.sockets.registry import joinable
from callflows.vonage.account import VonageError


class Command(BaseCommand):
    help = "Join a socket app to a running call of a flow that may be joined. It costs money, as every call out."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--call", required=True, help="number of the call, as its page's address shows it, or its leg's uuid")
        add("--app", required=True, help=f"the app: {', '.join(joinable())}")
        add("--listen", action="store_true", help="as a listener, whom nobody hears")
        add("--prompt", help="name of the prompt, for an app that plays one")
        add("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            call = _call(options["call"])
            line = join(
                call,
                options["app"],
                listen=options["listen"],
                by="the command line",
                prompt=_prompt(options["prompt"]) if options["prompt"] else None,
            )
        except VonageError as error:
            if not options["json"]:
                raise CommandError(f"Nobody joined the call: {error}.") from None
            self.stdout.write(json.dumps({"error": str(error)}))
            sys.exit(1)
        if options["json"]:
            self.stdout.write(json.dumps({"call": call.pk, "line": line.pk, "app": line.app}))
        else:
            what = "listens" if options["listen"] else "is on its way"
            self.stdout.write(f"{line.app} {what}: line {line.pk} of call {call.pk} ({call}).")


def _call(text: str) -> Call:
    calls = Call.objects.select_related("application", "number")
    found = calls.filter(pk=int(text)).first() if text.isdigit() and len(text) < 19 else None
    found = found or calls.filter(legs__uuid=text).first()
    if found is None:
        raise VonageError(f"there is no call {text!r}")
    return found


def _prompt(name: str) -> AudioPrompt:
    found = AudioPrompt.objects.filter(name__iexact=name).first()
    if found is None:
        raise VonageError(f"there is no prompt {name!r}")
    return found
