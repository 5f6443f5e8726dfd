"""Knows how operators see which webhooks were refused or belong nowhere."""

from __future__ import annotations

import re

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString

from callflows.admin.banner import see
from callflows.admin.ours import OurAdmin
from callflows.admin.readonly import ReadOnly
from callflows.admin.show import moment, pretty
from callflows.models import Refusal, StrayEvent


@admin.register(Refusal)
class RefusalAdmin(ReadOnly, OurAdmin[Refusal]):
    list_display = ("reason", "times", "unseen", "shown_last", "shown_sentence")
    fields = ("reason", "times", "unseen", "shown_last", "shown_sentence")
    readonly_fields = ("unseen", "shown_last", "shown_sentence")
    empty_text = "Webhooks that were refused will be counted here: each may be a call that left no other trace."

    def get_urls(self) -> list[URLPattern]:
        seen = path("seen/", self.admin_site.admin_view(self.seen), name="callflows_refusal_seen")
        return [seen, *super().get_urls()]

    def seen(self, request: HttpRequest) -> HttpResponse:
        """Put the banner away, for everybody, until more are refused than it showed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm("callflows.change_refusal"):
            raise PermissionDenied
        counts = {name.removeprefix("seen."): times for name, times in request.POST.items() if name.startswith("seen.")}
        see({reason: int(str(times)) for reason, times in counts.items() if re.fullmatch(r"[0-9]{1,18}", str(times))})
        back = request.POST.get("next", "")
        ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return HttpResponseRedirect(back if ours else reverse("admin:index"))

    @admin.display(description="last", ordering="last")
    def shown_last(self, refusal: Refusal) -> SafeString | str:
        return moment(refusal.last)

    @admin.display(description="last answer")
    def shown_sentence(self, refusal: Refusal) -> str:
        return refusal.sentence or "–"


@admin.register(StrayEvent)
class StrayEventAdmin(ReadOnly, OurAdmin[StrayEvent]):
    list_display = ("shown_name", "shown_at")
    readonly_fields = ("shown_name", "shown_at", "shown_raw")
    fields = readonly_fields
    empty_text = "Signed events that name no call will be kept here: no timeline can show them."

    @admin.display(description="event", ordering="name")
    def shown_name(self, event: StrayEvent) -> str:
        return str(event)

    @admin.display(description="at", ordering="at")
    def shown_at(self, event: StrayEvent) -> SafeString | str:
        return moment(event.at)

    @admin.display(description="raw event")
    def shown_raw(self, event: StrayEvent) -> str:
        return pretty(event.raw)
