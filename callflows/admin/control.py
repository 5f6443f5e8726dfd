"""Knows what operators can do with a live call from its page, over Vonage's REST API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from callflows.admin.asking import Answer, answer, key_of, question, why
from callflows.admin.parties import outgoing
from callflows.admin.placing import PERMISSION as PLACING
from callflows.admin.show import readable
from callflows.control import calls
from callflows.control.rooms import in_room, join
from callflows.models import AudioPrompt, Call, CallFlow, Leg, PromptVersion
from callflows.sockets.registry import APPS, joinable
from callflows.vonage.account import VonageError
from callflows.vonage.calls import Switch

PERMISSION = "callflows.control_call"
DOUBTFUL = "It may have been done all the same: look at the timeline before you try again."
SWITCHES: dict[Switch, str] = {"mute": "Mute", "unmute": "Unmute", "earmuff": "Earmuff", "unearmuff": "Unearmuff"}
LANGUAGE = "en-GB"

Do = Callable[[HttpRequest, Call, str, Leg | None], object]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a form of the page sent: nothing of it is lost when it could not be done.

    ``form`` is the part of the page that it came from, ``problem`` why it was not done, ``once`` what a page carries
    that asks whether it may cost money.
    """

    sent: Mapping[str, Any] = field(default_factory=dict)
    form: str = ""
    problem: str = ""
    once: str = ""


Show = Callable[[HttpRequest, Call, Tried], HttpResponse]


def about(call: Call, prompts: list[tuple[int, str]], tried: Tried, *, may_join: bool) -> dict[str, Any]:
    """Return what the part of the page shows that controls a live call."""
    sent = tried.sent
    chosen = {name: key_of(sent.get(name, "")) for name in ("leg", "version", "flow")}
    typed = {name: sent.get(name, "") for name in ("text", "digits", "app", "listen")}
    return {
        "parties": [(leg.pk, party(call, leg)) for leg in calls.legs_of(call).prefetch_related("lines")],
        "first": _first(call),
        "switches": SWITCHES.items(),
        "flows": CallFlow.objects.filter(live__isnull=False),
        "apps": [(app.name, app.label) for app in joinable().values()],
        "joinable": may_join and in_room(call),
        "prompts": prompts,
        "sent": {**chosen, **typed, "language": sent.get("language", LANGUAGE)},
        "failed": tried.form,
        "problem": tried.problem,
    }


def party(call: Call, leg: Leg) -> str:
    """Return how a party is named: who called, whom they reached, an audio socket by its app."""
    if sockets := list(leg.lines.all()):
        return f"audio socket: {sockets[0].app}"
    who = leg.called if leg.direction == "outbound" else leg.caller
    what = _first(call) if leg.uuid == call.uuid else leg.kind or "party"
    return f"{what} {readable(who)}".strip()[:80]


def _first(call: Call) -> str:
    return "who was called" if outgoing(call) else "the caller"


def view(request: HttpRequest, call_id: int, show: Show) -> HttpResponse:
    """Do what a button says, and tell what came of it. What failed is shown again as it was sent, with the reason."""
    user: Any = request.user
    if not user.has_perm(PERMISSION):
        raise PermissionDenied(f"needs the permission {PERMISSION}")
    call = get_object_or_404(Call.objects.select_related("application", "number"), pk=call_id)
    do = request.POST.get("do", "")
    if do not in ACTS:
        return HttpResponseBadRequest(f"do: expected one of {', '.join(ACTS)}")
    part, act = ACTS[do]
    leg = _leg(request, call)
    try:
        if part == "join" and (asked := _asked(request, call, show)):
            return asked
        act(request, call, user.get_username(), leg)
    except VonageError as error:
        return show(request, call, Tried(request.POST, part, why(error, "It was not done.", DOUBTFUL)))
    messages.success(request, "Vonage was told. What comes of it stands on the timeline.")
    return _back(call, leg)


def _back(call: Call, leg: Leg | None = None) -> HttpResponse:
    """Lead to the call's page, where the party stays chosen: what was done to them is undone there."""
    chosen = f"?leg={leg.pk}" if leg else ""
    return HttpResponseRedirect(f"{reverse('admin:callflows_call_change', args=(call.pk,))}{chosen}")


def _asked(request: HttpRequest, call: Call, show: Show) -> HttpResponse | None:
    """Ask before an app is called in, which costs money; None once it was answered, by somebody who may place calls."""
    user: Any = request.user
    if not user.has_perm(PLACING):
        raise PermissionDenied(f"needs the permission {PLACING}")
    _wanted(request)
    given = answer(request.POST["once"]) if "once" in request.POST else Answer.LATE
    if given is Answer.LATE:
        return show(request, call, Tried(request.POST, "join", once=question()))
    if given is Answer.AGAIN:
        messages.warning(request, "It was called in already: it was not called again.")
        return _back(call)
    return None


def joining(tried: Tried) -> dict[str, Any]:
    """Return what the page says that asks before an app joins a call."""
    sent = tried.sent
    app, chosen = APPS[sent["app"]], {name: sent[name] for name in ("app", "version", "listen") if name in sent}
    return {
        "app": app.label,
        "prompt": _version(sent) if app.name == "play" else None,
        "listens": "listen" in sent,
        "once": tried.once,
        "sent": chosen,
        "back": urlencode(chosen),
    }


def _leg(request: HttpRequest, call: Call) -> Leg | None:
    """Return the party that was chosen; None for the caller."""
    chosen = request.POST.get("leg", "")
    return get_object_or_404(call.legs, pk=key_of(chosen)) if chosen else None


def _switch(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    name = next(each for each in SWITCHES if each == request.POST["do"])
    calls.switch(call, name, by, leg)


def _play(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    calls.play(call, _prompt(request), by, leg)


def _version(sent: Mapping[str, Any]) -> PromptVersion | None:
    return PromptVersion.objects.select_related("prompt").filter(pk=key_of(sent.get("version", ""))).first()


def _prompt(request: HttpRequest) -> PromptVersion:
    found = _version(request.POST)
    if found is None:
        raise VonageError("choose the prompt that is to be played")
    return found


def _talk(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    language = request.POST.get("language", "").strip() or LANGUAGE
    calls.talk(call, request.POST.get("text", ""), by, leg, language[:20])


def _digits(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    calls.send_digits(call, request.POST.get("digits", "").strip(), by, leg)


def _transfer(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    flow = CallFlow.objects.filter(pk=key_of(request.POST.get("flow", ""))).first()
    if flow is None:
        raise VonageError("choose the flow that the caller is to enter")
    calls.transfer_to_flow(call, flow, by)


def _wanted(request: HttpRequest) -> tuple[str, AudioPrompt | None]:
    """Return the app that is to join, and the prompt of one that plays. Raises VonageError."""
    app = request.POST.get("app", "")
    if app not in joinable():
        raise VonageError(f"expected one of the apps {', '.join(joinable())}, got {app[:40]!r}")
    return app, _prompt(request).prompt if APPS[app].required else None


def _join(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    app, prompt = _wanted(request)
    join(call, app, listen="listen" in request.POST, by=by, prompt=prompt)


# What a button says -> the part of the page that it stands in, and what it does.
ACTS: dict[str, tuple[str, Do]] = {
    "end": ("end", lambda request, call, by, leg: calls.hang_up(call, by)),
    "hang_up": ("party", lambda request, call, by, leg: calls.hang_up(call, by, leg)),
    **dict.fromkeys(SWITCHES, ("party", _switch)),
    "play": ("prompt", _play),
    "stop": ("prompt", lambda request, call, by, leg: calls.stop_playing(call, by, leg)),
    "talk": ("text", _talk),
    "hush": ("text", lambda request, call, by, leg: calls.stop_talking(call, by, leg)),
    "digits": ("keys", _digits),
    "transfer": ("transfer", _transfer),
    "join": ("join", _join),
}
