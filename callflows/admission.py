"""Knows what the database says at the beginning and the end of an audio socket. Blocks: called in threads."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from callflows.control.accounts import client_of
from callflows.models import Application, AudioPrompt, Line, SocketRefused, TimelineEntry
from callflows.models.prompts import sound as load_sound
from callflows.models.recordings import open_path
from callflows.ncco.flow import is_prompt
from callflows.ncco.template import fill
from callflows.payloads.signature import BadSignature, of_handshake, verify
from callflows.sockets.registry import APPS
from callflows.vonage.calls import find_leg, hang_up

__all__ = ["Admission", "WrongAuthorization", "admit", "claim", "load_sound", "unanswered"]

# Seconds that the end of a socket waits for its turn at Vonage: its caller hears silence meanwhile.
MOST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What a socket that was let in needs: its app with settings, read from the version that its token names."""

    line: Line
    app: str
    settings: Mapping[str, Any]
    branches: frozenset[str]
    recording: Path

    @property
    def line_id(self) -> str:
        return self.line.pk

    @property
    def call_id(self) -> int:
        return self.line.call_id

    def branches_on(self, outcome: str) -> bool:
        """Whether the flow goes on after ``outcome``: then Vonage must tell us that the socket closed."""
        return outcome in self.branches or (outcome in ("drained", "error") and "disconnected" in self.branches)

    def hang_up(self) -> None:
        """End the socket's leg over REST. Its events name it; if none has come, Vonage is asked, for 2 s at most.

        Raises VonageError.
        """
        line = Line.objects.select_related("leg", "call__application").get(pk=self.line_id)
        client = client_of(line.call, MOST_WAIT)
        leg = line.leg.uuid if line.leg else None
        if not leg:
            first = line.call.first_leg
            leg = find_leg(client.hurried(), first.room if first else "", f"/socket/{self.line_id}/")
        hang_up(client, leg)


class WrongAuthorization(SocketRefused):
    """A socket that knows its line's token, and not what its step demands besides: somebody listens in on addresses."""


def admit(line: str, token: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Admission:
    """Return what the socket needs that knows a line's id and token, and brings ``headers``. Raises SocketRefused."""
    found = Line.objects.admit(line, token)
    told, endpoint, branches = _told(found)
    leg = found.call.first_leg
    values = found.call.values(leg.room if leg else "")
    # Several, which Vonage never sends, fit nothing.
    brought = [value.decode("latin-1") for name, value in headers if name.lower() == b"authorization"]
    _check(found, fill(endpoint.get("authorization"), values), ", ".join(brought))
    return Admission(found, found.app, _with_names(fill(told, values)), branches, open_path(line))


def _told(line: Line) -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
    """Return the settings of a line's app, its endpoint, and the outcomes that its step branches on.

    Raises SocketRefused.
    """
    if line.joined and line.app in APPS:
        return line.settings, {}, frozenset()
    flow = line.version.as_core().flow if line.version else None
    step = flow.step(line.step) if flow else None
    if flow is None or step is None or line.app not in APPS:
        raise SocketRefused(f"app {line.app!r} of step {line.step!r} does not exist any more")
    branches = frozenset(branch.outcome for branch in flow.branches if branch.step == step.name)
    return step.options.get("settings") or {}, step.options.get("endpoint") or {}, branches


def _with_names(told: dict[str, Any]) -> dict[str, Any]:
    """Write the names that prompts have now into an app's settings, for the timeline: a version holds only ids."""
    # Copies: a line's own settings are stored.
    named = {name: copy.deepcopy(value) for name, value in told.items() if is_prompt(name)}
    flat = (each for value in named.values() for each in (value if isinstance(value, list) else [value]))
    prompts = [each for each in flat if isinstance(each, dict) and "id" in each]
    if prompts:
        ids = {each["id"] for each in prompts}
        called = dict(AudioPrompt.objects.filter(pk__in=ids).values_list("pk", "name"))
        for each in prompts:
            each["name"] = called.get(each["id"], "")
    return told | named


def _check(line: Line, demanded: Any, authorization: str) -> None:
    """Refuse a handshake that does not bring what its step demands, and say so on the timeline, without the header."""
    if not isinstance(demanded, dict):
        return
    try:
        if demanded.get("type", "vonage") == "custom":
            _compare(str(demanded.get("value", "")), authorization)
        elif settings.SIGNATURE_SECRETS:
            _verify(authorization)
    except BadSignature as error:
        line.call.note(TimelineEntry.Kind.PROBLEM, f"A socket was refused: {error}", name="authorization", line=line)
        raise WrongAuthorization(str(error)) from None


def _compare(wanted: str, got: str) -> None:
    if not constant_time_compare(wanted.encode(), got.encode()):
        came = "another one" if got else "none"
        raise BadSignature("authorization", f"expected the authorization that its step names, got {came}")


def _verify(authorization: str) -> None:
    """Vonage signs the handshake as it signs webhooks; there is no body that a hash could be of."""
    token = verify(authorization, of_handshake(), settings.SIGNATURE_SECRETS, timezone.now().timestamp())
    if token.application_id and not token.is_for(Application.objects.ids(token.application_id)):
        raise BadSignature("application", "expected one of our applications, got a socket for another one")


def claim(admission: Admission, worker: str) -> bool:
    """Use up the token, at the first message; False when another socket was first."""
    return Line.objects.claim(admission.line, worker)


def unanswered(lines: Sequence[str]) -> int:
    """Return for how many of these lines, that we closed, Vonage's event has not come yet."""
    return Line.objects.filter(pk__in=lines, leg__isnull=False).exclude(leg__status="completed").count()
