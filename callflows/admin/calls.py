"""Knows how operators find calls, look at one, and command a line that is live."""

from __future__ import annotations

import re
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from callflows import live
from callflows.admin import call_page, control, placing
from callflows.admin.readonly import ReadOnly
from callflows.admin.show import badge, duration, moment, phone, readable
from callflows.models import Call, Line, PromptVersion

# What may be told to a line, and how the page says that it was.
COMMANDS: dict[live.Command, str] = {"hang_up": "hang up", "stop": "stop what it plays", "play": "play a prompt"}


@admin.register(Call)
class CallAdmin(ReadOnly, admin.ModelAdmin[Call]):
    list_display = ("shown_caller", "shown_number", "shown_flow", "shown_status", "shown_outcome", "began", "length")
    list_display_links = ("shown_caller",)
    list_filter = (
        "status",
        "outcome",
        ("number", admin.RelatedOnlyFieldListFilter),
        ("flow", admin.RelatedOnlyFieldListFilter),
        "created",
    )
    list_per_page = 50
    search_fields = ("uuid", "caller", "legs__uuid", "legs__room", "legs__stays__room")
    search_help_text = "Caller, call, leg or conversation."
    date_hierarchy = "created"
    empty_text = "Calls will stand here, the newest first: who called, what, how it ended, how long."

    @admin.display(description="caller", ordering="caller")
    def shown_caller(self, call: Call) -> SafeString | str:
        return phone(call.caller) if call.caller else "unknown"

    @admin.display(description="number", ordering="number_text")
    def shown_number(self, call: Call) -> SafeString:
        return phone(call.number_text or call.called)

    @admin.display(description="flow", ordering="flow_name")
    def shown_flow(self, call: Call) -> str:
        return call.flow_name or "–"

    @admin.display(description="status", ordering="status")
    def shown_status(self, call: Call) -> SafeString:
        return badge(call.get_status_display())

    @admin.display(description="outcome", ordering="outcome")
    def shown_outcome(self, call: Call) -> SafeString | str:
        return badge(call.outcome) if call.outcome else ""

    @admin.display(description="start", ordering="created")
    def began(self, call: Call) -> SafeString | str:
        return moment(call_page.start(call), call.time_zone)

    @admin.display(description="duration")
    def length(self, call: Call) -> str:
        return duration(call.seconds)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        """A number is found as people write it: ``+44 7700 900123``."""
        if re.fullmatch(r"\+?[\d\s().-]+", search_term.strip()):
            search_term = re.sub(r"\D", "", search_term)
        return super().get_search_results(request, queryset, search_term)

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        command, controlled = own(require_POST(self.command)), own(require_POST(control.view))
        return [
            path("place/", own(self.place), name="callflows_call_place"),
            path("<int:call_id>/lines/<str:line_id>/command/", command, name="callflows_call_command"),
            path("<int:call_id>/control/", controlled, name="callflows_call_control"),
            *super().get_urls(),
        ]

    def place(self, request: HttpRequest) -> HttpResponse:
        """Place a call out."""
        page = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return placing.view(request, page)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a call; nothing of it is ever changed here."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        call = get_object_or_404(Call, pk=object_id if object_id.isdigit() else 0)
        user: Any = request.user
        context = {
            **self.admin_site.each_context(request),
            **call_page.about(
                call,
                may_listen=user.has_perm("callflows.listen_recording"),
                may_command=user.has_perm("callflows.change_call"),
                may_control=user.has_perm(control.PERMISSION),
            ),
            "title": f"Call from {readable(call.caller) if call.caller else 'an unknown caller'}",
            "call": call,
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/callflows/call/page.html", context)

    def command(self, request: HttpRequest, call_id: int, line_id: str) -> HttpResponse:
        """Tell the worker that holds a live line what to do; whether it did stands on the timeline."""
        user: Any = request.user
        if not user.has_perm("callflows.change_call"):
            raise PermissionDenied("needs the permission callflows.change_call")
        line = get_object_or_404(Line, pk=line_id, call_id=call_id)
        name = next((each for each in COMMANDS if each == request.POST.get("command")), None)
        if name is None:
            return HttpResponseBadRequest(f"command: expected one of {', '.join(COMMANDS)}")
        version = request.POST.get("version", "") if name == "play" else "0"
        known = name != "play" or (version.isdigit() and PromptVersion.objects.filter(pk=version).exists())
        if line.state != Line.State.OPEN:
            self.message_user(request, "The line is not live any more.", messages.WARNING)
        elif not known:
            self.message_user(request, "Choose the prompt that is to be played.", messages.ERROR)
        else:
            async_to_sync(live.command)(line.pk, name, version=int(version), by=user.get_username())
            text = f"The line was told to {COMMANDS[name]}. What it did stands on the timeline in a moment."
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:callflows_call_change", args=(call_id,)))
