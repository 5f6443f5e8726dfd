"""Knows what can be done with a live call, to which of its legs, and that its timeline tells who did it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from callflows.control.accounts import client_of as client_of
from callflows.control.accounts import public_url
from callflows.models import Call, CallFlow, Leg, Line, PromptVersion, TimelineEntry
from callflows.models.clock import read_db_now
from callflows.models.prompts import sound_path
from callflows.ncco.flow import Place
from callflows.ncco.problems import InvalidNcco
from callflows.ncco.served import Served
from callflows.vonage import calls as rest
from callflows.vonage.account import VonageError
from callflows.vonage.client import Client
from callflows.webhooks.addresses import without_tokens
from callflows.webhooks.documents import entry, forget_dialling, serve

Kind = TimelineEntry.Kind
# A call whose leg is gone is not in trouble.
GONE = 404
MOST_TEXT = 1500


def hang_up(call: Call, by: str = "", leg: Leg | None = None) -> str:
    """End one leg; without one the whole call: the caller first, then whoever is left."""
    if leg is not None:
        return _to_leg(call, by, "hang_up", "Hang up", leg, rest.hang_up)

    def end_all() -> None:
        first = caller_of(call)
        rest.hang_up(client_of(call), _uuid(first))
        for each in legs_of(call).exclude(pk=first.pk):
            _hang_up_if_there(call, each)

    return _done(call, by, "hang_up", "Hang up", end_all)


def switch(call: Call, what: rest.Switch, by: str = "", leg: Leg | None = None) -> str:
    """Mute or earmuff a party, by default the caller, or end it."""
    return _to_leg(call, by, what, what.capitalize(), leg, lambda client, uuid: rest.switch(client, uuid, what))


def play(call: Call, version: PromptVersion, by: str = "", leg: Leg | None = None, loop: int = 1) -> str:
    """Play a prompt to a party, by default the caller; ``loop`` 0 plays it until it is stopped."""

    def act(client: Client, uuid: str) -> None:
        rest.play(client, uuid, public_url() + sound_path(version.pk, timezone.now()), loop)

    return _to_leg(call, by, "play", f"Play {version.prompt.name}", leg, act)


def stop_playing(call: Call, by: str = "", leg: Leg | None = None) -> str:
    return _to_leg(call, by, "stop", "Stop what is played", leg, rest.stop_playing)


def talk(call: Call, text: str, by: str = "", leg: Leg | None = None, language: str = "en-GB") -> str:
    """Say a text to a party, by default the caller."""
    said = text.strip()

    def act(client: Client, uuid: str) -> None:
        if not 0 < len(said) <= MOST_TEXT:
            raise VonageError(f"expected a text of 1 to {MOST_TEXT} characters, got {len(said)}")
        rest.talk(client, uuid, said, language)

    return _to_leg(call, by, "talk", f"Say “{said[:80]}”", leg, act)


def stop_talking(call: Call, by: str = "", leg: Leg | None = None) -> str:
    return _to_leg(call, by, "hush", "Stop what is said", leg, rest.stop_talking)


def send_digits(call: Call, digits: str, by: str = "", leg: Leg | None = None) -> str:
    """Send keys to a party, by default the caller; ``p`` is a pause of half a second."""

    def act(client: Client, uuid: str) -> None:
        if not re.fullmatch(r"[0-9*#p]{1,100}", digits):
            raise VonageError(f"expected keys 0 to 9, *, # and p for a pause, got {digits[:40]!r}")
        rest.send_digits(client, uuid, digits)

    return _to_leg(call, by, "digits", f"Send keys {digits[:100]}", leg, act)


def transfer_to_flow(call: Call, flow: CallFlow, by: str = "") -> str:
    """Let the caller leave what they are in and enter a flow, in the version that this call is served."""
    text = f"Transfer to {flow.name}"

    def act() -> dict[str, Any]:
        version = call.version_of(flow.pk)
        place = entry(version) if version else None
        if place is None:
            raise VonageError(f"{flow.name} had no published version when this call began")
        return run(call, place)

    return _done(call, by, "transfer", text, act)


def run(call: Call, place: Place) -> dict[str, Any]:
    """Let the caller run the document from ``place`` on; return what the timeline keeps of it.

    Their audio socket is hung up: nobody is there that it could talk to. Raises VonageError.
    """
    client, caller, at = client_of(call), caller_of(call), read_db_now()
    forget_dialling(call)
    served = _served(call, caller.room, place, at)
    try:
        rest.transfer(client, _uuid(caller), ncco=served.document)
    except VonageError as error:
        if not error.maybe:
            forget_dialling(call)
        raise
    for each in legs_of(call).filter(lines__state=Line.State.OPEN, lines__opened__lt=at).exclude(pk=caller.pk):
        _hang_up_if_there(call, each)
    return {"ncco": without_tokens(served.document), "notes": list(served.notes)}


def _served(call: Call, room: str, place: Place, at: datetime) -> Served:
    try:
        with transaction.atomic():
            return serve(call, room, place, public_url(), at)
    except InvalidNcco as error:
        raise VonageError(f"the document cannot be served: {error}") from None


def legs_of(call: Call) -> QuerySet[Leg]:
    """Return the legs of a call that can be addressed and have not ended."""
    return call.legs.exclude(status=Call.Status.COMPLETED).exclude(uuid=None).exclude(uuid="").order_by("pk")


def caller_of(call: Call) -> Leg:
    """Return the leg of who called, or was called: the first one."""
    found = call.legs.filter(uuid=call.uuid).first() or call.first_leg
    if found is None:
        raise VonageError("no event has named a leg of this call yet: try again in a moment")
    return found


def _uuid(leg: Leg) -> str:
    return leg.uuid or ""


def _hang_up_if_there(call: Call, leg: Leg) -> None:
    """Hang a further leg up; that it ended by itself is no problem, anything else stands on the timeline."""
    try:
        rest.hang_up(client_of(call), _uuid(leg))
    except VonageError as error:
        if error.status != GONE:
            call.note(Kind.PROBLEM, f"A leg of the call could not be hung up: {error}", name="hang_up", leg=leg)


def _to_leg(call: Call, by: str, name: str, text: str, leg: Leg | None, act: Callable[[Client, str], object]) -> str:
    """Do something to one leg, by default the caller's."""

    def work() -> None:
        act(client_of(call), _uuid(leg or caller_of(call)))

    return _done(call, by, name, text, work, leg)


def _done(
    call: Call, by: str, name: str, text: str, act: Callable[[], dict[str, Any] | None], leg: Leg | None = None
) -> str:
    """Do it, and write on the timeline who did what, in words, also when it failed. Returns the sentence.

    Raises VonageError.
    """
    sentence = f"{text}{f' by {by}' if by else ''}"
    own = leg if leg is not None and leg.call_id == call.pk else None
    try:
        if not call.live:
            raise VonageError("the call has ended")
        data = act() or {}
    except VonageError as error:
        call.note(Kind.PROBLEM, f"{sentence} failed: {error}", name=name, leg=own)
        raise
    call.note(Kind.COMMAND, sentence, name=name, leg=own, data=data)
    return sentence
