"""Knows what operators can do with a live call from its page, over Vonage's REST API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from callflows.admin.show import readable
from callflows.control import calls
from callflows.control.rooms import in_room, join
from callflows.models import Call, CallFlow, Leg, PromptVersion
from callflows.sockets.registry import APPS, joinable
from callflows.vonage.account import VonageError
from callflows.vonage.calls import Switch

PERMISSION = "callflows.control_call"
SWITCHES: dict[Switch, tuple[str, str]] = {
    "mute": ("Mute", "Nobody hears them."),
    "unmute": ("Unmute", ""),
    "earmuff": ("Earmuff", "They hear nobody."),
    "unearmuff": ("Unearmuff", ""),
}

Do = Callable[[HttpRequest, Call, str, Leg | None], object]


def about(call: Call, prompts: list[tuple[int, str]]) -> dict[str, Any]:
    """Return what the part of the page shows that controls a live call."""
    return {
        "parties": [(leg.pk, _party(call, leg)) for leg in calls.legs_of(call)],
        "switches": [(name, *words) for name, words in SWITCHES.items()],
        "flows": CallFlow.objects.filter(live__isnull=False),
        "apps": [(app.name, app.label) for app in joinable().values()],
        "joinable": in_room(call),
        "prompts": prompts,
    }


def _party(call: Call, leg: Leg) -> str:
    who = leg.called if leg.direction == "outbound" else leg.caller
    first = "the caller" if call.direction != "outbound" else "who was called"
    what = first if leg.uuid == call.uuid else leg.kind or "party"
    return f"{what} {readable(who)}".strip()[:80]


def view(request: HttpRequest, call_id: int) -> HttpResponse:
    """Do what a button says, and tell what came of it."""
    user: Any = request.user
    if not user.has_perm(PERMISSION):
        raise PermissionDenied(f"needs the permission {PERMISSION}")
    call = get_object_or_404(Call.objects.select_related("application", "number"), pk=call_id)
    act = ACTS.get(request.POST.get("do", ""))
    if act is None:
        return HttpResponseBadRequest(f"do: expected one of {', '.join(ACTS)}")
    try:
        act(request, call, user.get_username(), _leg(request, call))
    except VonageError as error:
        messages.error(request, f"It was not done: {error}.")
    else:
        messages.success(request, "Vonage was told. What comes of it stands on the timeline.")
    return HttpResponseRedirect(reverse("admin:callflows_call_change", args=(call_id,)))


def _leg(request: HttpRequest, call: Call) -> Leg | None:
    """Return the party that was chosen; None for the caller."""
    chosen = request.POST.get("leg", "")
    return get_object_or_404(call.legs, pk=chosen) if chosen.isdigit() else None


def _switch(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    name = next(each for each in SWITCHES if each == request.POST["do"])
    calls.switch(call, name, by, leg)


def _play(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    calls.play(call, _prompt(request), by, leg)


def _prompt(request: HttpRequest) -> PromptVersion:
    chosen = request.POST.get("version", "")
    found = PromptVersion.objects.select_related("prompt").filter(pk=chosen if chosen.isdigit() else 0).first()
    if found is None:
        raise VonageError("choose the prompt that is to be played")
    return found


def _talk(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    language = request.POST.get("language", "").strip() or "en-GB"
    calls.talk(call, request.POST.get("text", ""), by, leg, language[:20])


def _digits(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    calls.send_digits(call, request.POST.get("digits", "").strip(), by, leg)


def _transfer(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    chosen = request.POST.get("flow", "")
    flow = CallFlow.objects.filter(pk=chosen if chosen.isdigit() else 0).first()
    if flow is None:
        raise VonageError("choose the flow that the caller is to enter")
    calls.transfer_to_flow(call, flow, by)


def _join(request: HttpRequest, call: Call, by: str, leg: Leg | None) -> None:
    app = request.POST.get("app", "")
    prompt = _prompt(request).prompt if app in APPS and APPS[app].required else None
    join(call, app, listen="listen" in request.POST, by=by, prompt=prompt)


ACTS: dict[str, Do] = {
    "end": lambda request, call, by, leg: calls.hang_up(call, by),
    "hang_up": lambda request, call, by, leg: calls.hang_up(call, by, leg),
    **dict.fromkeys(SWITCHES, _switch),
    "play": _play,
    "stop": lambda request, call, by, leg: calls.stop_playing(call, by, leg),
    "talk": _talk,
    "hush": lambda request, call, by, leg: calls.stop_talking(call, by, leg),
    "digits": _digits,
    "transfer": _transfer,
    "join": _join,
}
