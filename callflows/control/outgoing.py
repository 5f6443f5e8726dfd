"""Knows how a call out is placed: opened here first, then asked of Vonage, whose first event may come before the 201.

Vonage asks back at addresses that carry our call and version: a call out is never looked up by number, for what it
calls is the customer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from callflows.calls.joining import Joining
from callflows.calls.rooms import rooms_of
from callflows.control.accounts import client_for, public_url
from callflows.control.tolls import check_destination, check_number_of_calls
from callflows.models import Application, Call, CallFlow, Job, Leg, PhoneNumber, TimelineEntry
from callflows.models.book import StoredBook
from callflows.models.jobs import job
from callflows.ncco.document import errors
from callflows.ncco.flow import ANSWERED_BY, Place
from callflows.payloads.body import BadPayload
from callflows.payloads.events import CallEvent
from callflows.vonage import calls as rest
from callflows.vonage.account import VonageError
from callflows.webhooks.addresses import StepRef, event_url
from callflows.webhooks.documents import entry
from callflows.webhooks.turn import patiently

Kind = TimelineEntry.Kind

# Both results are told, whoever answers and the beep, and each may be answered with a document; meanwhile the flow
# goes on. 45 s is the shortest time for the beep that all sources allow.
LISTENING = {"behavior": "continue", "mode": "default", "beep_timeout": 45}
# A call whose uuid nobody told us by then does not exist: Vonage tells of one that does within seconds.
SETTLE_SECONDS = 180
FORMS = "a number such as 447700900123, sip:..., wss://..., or user:NAME"


@dataclass(frozen=True, slots=True)
class Order:
    """Whom to call, with which flow. ``sender`` is one of our numbers; without one Vonage takes any of ours.

    ``ringing_seconds`` 1 to 120, None for Vonage's own 60; ``by`` is who wants it.
    """

    flow: CallFlow
    endpoint: dict[str, Any]
    sender: PhoneNumber | None = None
    ringing_seconds: int | None = None
    by: str = ""

    @property
    def application(self) -> Application:
        """The application that places it: the sender's, else the flow's numbers', else our only one."""
        if self.sender is not None:
            if self.sender.application is None:
                raise VonageError(f"number {self.sender.digits} has no application: choose one on its page")
            return self.sender.application
        linked = Application.objects.filter(numbers__flow=self.flow).distinct()[:2]
        found = list(linked) or list(Application.objects.all()[:2])
        if len(found) != 1:
            which = "several applications could place it" if found else "there is no application yet"
            raise VonageError(f"{which}: choose the number that it comes from")
        return found[0]


def endpoint_of(text: str) -> dict[str, Any]:
    """Return the endpoint that a person names: a number, a SIP or WebSocket address, or an app's user.

    Raises VonageError.
    """
    text = text.strip()
    scheme, _, rest_of_it = text.partition(":")
    digits = re.sub(r"[\s().+/-]", "", text)
    endpoint: dict[str, Any] = {}
    if scheme.lower() in ("sip", "sips"):
        endpoint = {"type": "sip", "uri": text}
    elif scheme.lower() in ("ws", "wss"):
        endpoint = {"type": "websocket", "uri": text, "content-type": "audio/l16;rate=16000"}
    elif scheme == "user":
        endpoint = {"type": "app", "user": rest_of_it}
    elif digits.isascii() and digits.isdigit():
        endpoint = {"type": "phone", "number": digits}
    if not endpoint:
        raise VonageError(f"expected {FORMS}, got {text[:60]!r}")
    check_endpoint(endpoint)
    return endpoint


def check_endpoint(endpoint: dict[str, Any]) -> None:
    """Raise VonageError when Vonage would refuse the endpoint."""
    if wrong := errors([{"action": "connect", "endpoint": [endpoint]}]):
        raise VonageError("; ".join(f"{each.path.rpartition('.')[2]}: {each.message}" for each in wrong))


def number_of_ours(text: str) -> PhoneNumber:
    """Return our number that a person names. Raises VonageError."""
    digits = re.sub(r"[\s().+/-]", "", text)
    found = PhoneNumber.objects.select_related("application").filter(digits=digits).first()
    if found is None:
        raise VonageError(f"{text} is not one of our numbers: add it in the admin, or leave it out for any of ours")
    return found


def usual_sender(flow: CallFlow) -> PhoneNumber | None:
    """Return a number that leads to the flow: who calls back meets the same one."""
    return flow.numbers.select_related("application").filter(application__isnull=False).first()


def called(endpoint: dict[str, Any]) -> str:
    """Return whom an endpoint calls, as events name it."""
    names = ("number", "uri", "user", "extension")
    return str(next((endpoint[name] for name in names if endpoint.get(name)), ""))


def place(order: Order) -> Call:
    """Place a call; return it, ringing or about to.

    Raises Barred for a call that we do not place, and other VonageErrors, which the call tells as well.
    """
    base, application = public_url(), order.application
    version = order.flow.live.as_core() if order.flow.live else None
    start = entry(version) if version else None
    if start is None:
        raise VonageError(f"{order.flow.name} has no published version: publish it first")
    check_endpoint(order.endpoint)
    check_destination(order.endpoint, application)
    client = client_for(application)
    call = _open(order, application, client.base, start)
    try:
        told = rest.create(client, {**_body(order), **_asking_back(base, call, start)})
        heard(call, told, call.called, call.caller)
    except VonageError as error:
        _failed(call, error)
        raise
    call.refresh_from_db()
    return call


def _open(order: Order, application: Application, host: str, start: Place) -> Call:
    """Begin the call, before Vonage knows of it. It stays at the host that is asked: no other knows it."""
    sender = order.sender.digits if order.sender else ""
    facts = {
        **Call.facts(order.sender.entrance if order.sender else None, sender),
        "application_id": application.pk,
        "flow_id": order.flow.pk,
        "flow_name": order.flow.name,
    }
    with transaction.atomic():
        # One after the other: of two at the same time both would be the last that is allowed.
        Application.objects.select_for_update().get(pk=application.pk)
        check_number_of_calls(order.by)
        call = Call.objects.create(
            direction="outbound",
            caller=sender,
            called=called(order.endpoint),
            region_url=host,
            placed_by=order.by,
            **facts,
        )
        by = f" for {order.by}" if order.by else ""
        text = f"Call out{by}: {order.flow.name} from step {start.step.name}"
        call.note(Kind.COMMAND, text, name="place", data={"to": order.endpoint, "version": start.version.id})
        Job.objects.enqueue("settle", after=SETTLE_SECONDS, call=call.pk)
    return call


def _body(order: Order) -> dict[str, Any]:
    sender: dict[str, Any] = {"random_from_number": True}
    if order.sender is not None:
        sender = {"from": {"type": "phone", "number": order.sender.digits}}
    timer = {"ringing_timer": order.ringing_seconds} if order.ringing_seconds else {}
    return {"to": [order.endpoint], **sender, **timer}


def _asking_back(base: str, call: Call, start: Place) -> dict[str, Any]:
    """Return where Vonage asks and tells, and whether it listens for who answers: only where a branch wants to know."""
    ref = StepRef(call.pk, start.version.id, start.step.name, start.attempt)
    wanted = any(each.step == start.step.name and each.outcome in ANSWERED_BY for each in start.version.flow.branches)
    # The first step may be a connect that listens on its own leg: its branches are about that one.
    own = {"machineDetection", "advancedMachineDetection"} & start.step.options.keys()
    return {
        "answer_url": [f"{base}/webhooks/answer/{ref}"],
        "answer_method": "POST",
        "event_url": [event_url(base, call.pk, start)],
        "event_method": "POST",
        **({"advanced_machine_detection": LISTENING} if wanted and not own else {}),
    }


def heard(call: Call, told: dict[str, Any], to: str, caller: str = "") -> Leg:
    """Take over what Vonage calls a leg that it made for ``call``, as its events do, which may have come before.

    Raises VonageError when it does not say.
    """
    try:
        event = CallEvent.parse({"status": "started", **told, "to": to, "from": caller})
    except BadPayload as error:
        raise VonageError(f"Vonage placed the call, and calls it by something strange: {error}", maybe=True) from None
    if not event.uuid:
        raise VonageError("Vonage said that it placed the call, but not what it calls it", maybe=True)
    needed = {f"call {call.pk}", event.uuid, *rooms_of(event)}

    def hear() -> Leg:
        with transaction.atomic():
            now = timezone.now()
            book = StoredBook(now, needed)
            book.hold([])
            joining = Joining.of(book, event, book.call(call.pk))
            joining.hear(event, now)
            return cast(Leg, joining.leg)

    leg = patiently(hear)
    if leg is None:
        raise VonageError("Vonage placed the call, but the database could not take that down", maybe=True)
    return leg


def _failed(call: Call, error: VonageError) -> None:
    """End the call that Vonage refused. One of which nobody knows whether it rings stays open: events will tell."""
    if error.maybe:
        call.note(Kind.PROBLEM, f"Nobody knows whether the call was placed, events will tell: {error}", name="place")
    else:
        _end(call, f"The call could not be placed: {error}")


def _end(call: Call, text: str) -> None:
    with transaction.atomic():
        fresh = Call.objects.select_for_update().get(pk=call.pk)
        if fresh.uuid or not fresh.live:
            return
        fresh.status, fresh.outcome, fresh.ended = Call.Status.COMPLETED, "failed", timezone.now()
        fresh.save(update_fields=["status", "outcome", "ended"])
        fresh.note(Kind.PROBLEM, text, name="place")
    call.refresh_from_db()


@job
def settle(call: int) -> None:
    """End a call out that Vonage never told of: it was refused by nobody, but our process died, or no answer came."""
    if found := Call.objects.filter(pk=call).first():
        _end(found, "Vonage never told of this call: it was not placed")
