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
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from callflows import live
from callflows.admin import call_page, control, parties, placing
from callflows.admin.asking import key_of
from callflows.admin.control import Tried
from callflows.admin.filters import Named, Numbers, When, Words
from callflows.admin.ours import OurAdmin
from callflows.admin.readonly import ReadOnly
from callflows.admin.show import badge, duration, moment
from callflows.models import Call, Line, PromptVersion

# What may be told to a line, and how the page says that it was.
COMMANDS: dict[live.Command, str] = {"hang_up": "hang up", "stop": "stop what it plays", "play": "play a prompt"}


@admin.register(Call)
class CallAdmin(ReadOnly, OurAdmin[Call]):
    list_display = ("shown_caller", "shown_number", "shown_flow", "shown_status", "shown_outcome", "began", "length")
    list_display_links = ("shown_caller",)
    list_filter = (
        "status",
        ("outcome", Words),
        ("direction", Words),
        ("number", Numbers),
        ("flow", Named),
        ("created", When),
    )
    list_per_page = 50
    search_fields = ("uuid", "caller", "called", "legs__uuid", "legs__room", "legs__stays__room")
    search_help_text = "Caller, called number, call, leg or conversation."
    date_hierarchy = "created"
    empty_text = "Calls will stand here, the newest first: who called, what, how it ended, how long."

    @admin.display(description="caller", ordering="caller")
    def shown_caller(self, call: Call) -> SafeString | str:
        return parties.caller(call)

    @admin.display(description="called", ordering="called")
    def shown_number(self, call: Call) -> SafeString:
        number = parties.called(call)
        return format_html('{} <span class="quiet">call out</span>', number) if parties.outgoing(call) else number

    @admin.display(description="flow", ordering="flow_name")
    def shown_flow(self, call: Call) -> str:
        return call.flow_name or "–"

    @admin.display(description="status", ordering="status")
    def shown_status(self, call: Call) -> SafeString:
        return badge(call.get_status_display())

    @admin.display(description="outcome", ordering="outcome")
    def shown_outcome(self, call: Call) -> SafeString | str:
        """Its status says already that it was completed."""
        return badge(call.outcome) if call.outcome not in ("", call.get_status_display()) else ""

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
        command, controlled = own(require_POST(self.command)), own(require_POST(self.control))
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

    def control(self, request: HttpRequest, call_id: int) -> HttpResponse:
        """Do what a button of the page says."""
        return control.view(request, call_id, self.show)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a call; nothing of it is ever changed here."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.show(request, get_object_or_404(Call, pk=key_of(object_id)), Tried(request.GET))

    def show(self, request: HttpRequest, call: Call, tried: Tried) -> HttpResponse:
        """Show a call's page, and on it what was tried in vain; or the page that asks before it costs money."""
        user: Any = request.user
        context = {**self.admin_site.each_context(request), "call": call, "opts": self.opts, "media": self.media}
        if tried.once:
            context |= {"title": "Join the call?", "call_title": parties.title(call), **control.joining(tried)}
            return TemplateResponse(request, "admin/callflows/call/join_confirm.html", context)
        context |= call_page.about(
            call,
            tried,
            may_listen=user.has_perm("callflows.listen_recording"),
            may_command=user.has_perm("callflows.change_call"),
            may_control=user.has_perm(control.PERMISSION),
            may_place=user.has_perm(placing.PERMISSION),
        )
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
        version = key_of(request.POST.get("version", "")) if name == "play" else 0
        known = name != "play" or PromptVersion.objects.filter(pk=version).exists()
        if line.state != Line.State.OPEN:
            self.message_user(request, "The line is not live any more.", messages.WARNING)
        elif not known:
            self.message_user(request, "Choose the prompt that is to be played.", messages.ERROR)
        else:
            async_to_sync(live.command)(line.pk, name, version=version, by=user.get_username())
            text = f"The line was told to {COMMANDS[name]}. What it did stands on the timeline in a moment."
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:callflows_call_change", args=(call_id,)))
