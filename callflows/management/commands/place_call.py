"""Knows the command that places a call out with a flow."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows.control.outgoing import FORMS, Order, endpoint_of, number_of_ours, place, usual_sender
from callflows.models import Call, CallFlow, TimelineEntry
from callflows.vonage.account import VonageError

# How often a call is looked at while it is watched.
WATCH_SECONDS = 0.5


class Command(BaseCommand):
    help = "Call somebody, who then meets a flow. It costs money. Vonage must reach us: PUBLIC_URL."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--flow", required=True, help="name of the flow; callees get its published version")
        add("--to", required=True, help=f"whom to call: {FORMS}")
        add("--from", dest="from_", help="the number of ours that is shown (default: one that leads to the flow)")
        add("--ring", type=int, metavar="SECONDS", help="give up after ringing so long, 1 to 120 (default: 60)")
        add("--watch", action="store_true", help="tell what happens until the call ends; Ctrl-C leaves it alone")
        add("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            order = _order(options)
            call = place(order)
        except VonageError as error:
            if not options["json"]:
                raise CommandError(f"The call was not placed: {error}.") from None
            self.stdout.write(json.dumps({"error": str(error), "maybe_placed": error.maybe}))
            sys.exit(1)
        if options["json"]:
            self.stdout.write(json.dumps(_facts(call)))
            return
        sender = f" from {order.sender.digits}" if order.sender else ""
        self.stdout.write(f"Vonage calls {call.called}{sender}: call {call.pk}, leg {call.uuid}.")
        self.stdout.write(f"Who answers meets the flow {order.flow}, {order.flow.live}.")
        if options["watch"]:
            try:
                for told in _watched(call):
                    self.stdout.write(told)
                    self.stdout.flush()
            except KeyboardInterrupt:
                self.stdout.write("\nThe call goes on.")


def _order(options: dict[str, Any]) -> Order:
    name, ring = options["flow"], options["ring"]
    flow = CallFlow.objects.select_related("live").filter(name__iexact=name).first()
    if flow is None:
        known = ", ".join(CallFlow.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise VonageError(f"there is no flow {name!r}; there are: {known}")
    if ring is not None and not 1 <= ring <= 120:
        raise VonageError(f"--ring: expected 1 to 120 seconds, got {ring}")
    sender = number_of_ours(options["from_"]) if options["from_"] else usual_sender(flow)
    return Order(flow, endpoint_of(options["to"]), sender, ring, "the command line")


def _facts(call: Call) -> dict[str, Any]:
    leg = call.first_leg
    room = leg.room if leg else ""
    return {"call": call.pk, "uuid": call.uuid, "conversation_uuid": room, "status": call.status}


def _watched(call: Call) -> Iterator[str]:
    """Yield what happens to a call, until it has ended."""
    told = set[int]()
    live = True
    while live:
        call.refresh_from_db(fields=["status", "outcome"])
        live = call.live
        for entry in TimelineEntry.objects.filter(call=call).exclude(pk__in=told):
            told.add(entry.pk)
            yield f"{entry.at:%H:%M:%S}  {entry}"
        if live:
            time.sleep(WATCH_SECONDS)
    yield f"The call has ended{f': {call.outcome}' if call.outcome else ''}."
