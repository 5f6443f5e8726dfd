"""Knows what stands above every page until somebody acts: webhooks that were refused, or that nobody checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.safestring import SafeString

from callflows.admin.show import moment
from callflows.models import Refusal

# Every page asks, and a banner is wanted within a minute.
CACHE_SECONDS = 5
_CACHE = "callflows.refusals"

# Of each class: what is wrong with the webhooks, and what to do.
CAUSES = {
    "host": (
        "sent to a host that is not ours",
        "Set PUBLIC_URL to the address at which Vonage reaches this server.",
    ),
    "clock": (
        "not signed just now",
        "Check this machine's clock: Vonage's and ours may be 5 minutes apart at most.",
    ),
    "secret": (
        "the signature fits no secret",
        "Check SIGNATURE_SECRETS against the API key and the signature secret in the settings of Vonage's dashboard.",
    ),
    "hash": (
        "the body is not the one that was signed",
        "Something in front of this server rewrites bodies: let it hand on requests for /webhooks/ as they are.",
    ),
    "unsigned": (
        "without a signature",
        "If Vonage sends them, turn signed webhooks on for the application in its dashboard.",
    ),
    "application": (
        "meant for an application that is not ours",
        "Add it under Applications by its id, or take this server's address out of its settings in Vonage's dashboard.",
    ),
    "replay": ("a signature that came before, with another body", "Somebody repeats what was recorded."),
    "authorization": (
        "without the authorization that the step demands",
        "Check the step's authorization, and SIGNATURE_SECRETS where it is Vonage's.",
    ),
    "size": ("larger than 256 KiB", "Vonage sends none so large, unless a call's custom data is."),
    "method": ("neither GET nor POST", "Check the methods of the webhooks in Vonage's dashboard."),
    "dialled": (
        "callers chose whom to reach beyond what their flow allows",
        "If it should be allowed, add its beginning to the flow's settings; else somebody tries to call at your cost.",
    ),
    "calls out": (
        "not to be called, or too many",
        "If it was meant, allow the country at the application, or raise the limit (CALLS_OUT_...).",
    ),
    "body": ("not readable", "If Vonage sends them, report it with what they were answered."),
}
# What was refused that is no webhook.
OTHER_THINGS = {"authorization": "socket", "dialled": "connection", "calls out": "call out"}
_STRANGERS = ("signed as Vonage never signs", "Somebody else calls this server; no call was changed.")


@dataclass(frozen=True, slots=True)
class Alert:
    """One line of the banner: how many webhooks of a class were refused, since when, and what to do."""

    reason: str
    times: int
    seen: int
    since: datetime
    last: datetime

    @property
    def cause(self) -> str:
        return CAUSES.get(self.reason, _STRANGERS)[0]

    @property
    def remedy(self) -> str:
        return CAUSES.get(self.reason, _STRANGERS)[1]

    @property
    def what(self) -> str:
        thing = OTHER_THINGS.get(self.reason, "webhook")
        several = "calls out" if thing == "call out" else f"{thing}s"
        return f"{self.unseen} {several} were" if self.unseen > 1 else f"1 {thing} was"

    @property
    def unseen(self) -> int:
        return self.times - self.seen

    @property
    def first_shown(self) -> SafeString | str:
        return moment(self.since)

    @property
    def last_shown(self) -> SafeString | str:
        return moment(self.last)


def alerts() -> list[Alert]:
    """Return what nobody has seen yet, the latest first; at most one query in a few seconds."""
    found: list[Alert] | None = cache.get(_CACHE)
    if found is None:
        found = [
            Alert(each.reason, each.times, each.seen, each.since or each.last, each.last)
            for each in Refusal.objects.unseen()
        ]
        cache.set(_CACHE, found, CACHE_SECONDS)
    return found


def see(seen: dict[str, int]) -> None:
    """Take note that somebody saw so many of each class."""
    for reason, times in seen.items():
        Refusal.objects.see(reason, times)
    cache.delete(_CACHE)


def banner(request: HttpRequest) -> dict[str, Callable[[], Any]]:
    """For templates: asked only by those that show it, and told only to staff."""
    user: Any = getattr(request, "user", None)
    is_staff = bool(user and user.is_active and user.is_staff)
    return {
        "refusal_alerts": lambda: alerts() if is_staff else [],
        "webhooks_unchecked": lambda: is_staff and not settings.SIGNATURE_SECRETS,
    }
