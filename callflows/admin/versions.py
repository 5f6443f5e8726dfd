"""Knows a flow's versions in the admin: what callers got, and the way back to it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from callflows.admin import flow_page
from callflows.admin.show import moment, pretty
from callflows.models import FlowVersion
from callflows.ncco.problems import InvalidNcco
from callflows.sockets.registry import outcomes


class KeepsVersions:
    """A flow's admin with a page for each version, and one that asks before an old one is published again."""

    # What Django's ModelAdmin has.
    admin_site: Any
    opts: Any
    has_view_permission: Any
    has_change_permission: Any
    log_change: Any
    message_user: Any

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        here = "<int:flow_id>/versions/<int:number>/"
        found: list[URLPattern] = super().get_urls()  # type: ignore[misc]  # mixin
        return [
            path(here, wrap(self.version_view), name="callflows_callflow_version"),
            path(f"{here}publish/", wrap(self.publish_again_view), name="callflows_callflow_publish_again"),
            *found,
        ]

    def version_view(self, request: HttpRequest, flow_id: int, number: int) -> HttpResponse:
        """Show what a version served."""
        version = self._version(flow_id, number)
        if not self.has_view_permission(request, version.flow):
            raise PermissionDenied
        return self._page(request, version, "version.html", f"{version.flow}: {version}")

    def publish_again_view(self, request: HttpRequest, flow_id: int, number: int) -> HttpResponse:
        """Ask whether an old version shall be what the next call gets; by POST, publish it as a new one."""
        version = self._version(flow_id, number)
        if not self.has_change_permission(request, version.flow):
            raise PermissionDenied
        if request.method == "POST":
            self._publish(request, version)
            return HttpResponseRedirect(reverse("admin:callflows_callflow_change", args=(flow_id,)))
        return self._page(request, version, "publish_again.html", f"Publish {version} of {version.flow} again?")

    def _version(self, flow_id: int, number: int) -> FlowVersion:
        found = FlowVersion.objects.select_related("flow__live", "published_by")
        return get_object_or_404(found, flow=flow_id, number=number)

    def _page(self, request: HttpRequest, version: FlowVersion, template: str, title: str) -> HttpResponse:
        flow, content = version.flow, version.as_core().flow
        found = flow_page.problems(flow, version)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "flow": flow,
            "version": version,
            "published": moment(version.published),
            "is_live": flow.live_id == version.pk,
            "errors": [each for each in found if each.severity == "error"],
            "numbers": flow_page.numbers(flow),
            "document": flow_page.document(version.as_core(), *flow_page.sample(flow)),
            "steps": [(each, pretty(each.options)) for each in content.steps],
            "drawing": flow_page.drawing(content),
            "may_publish": self.has_change_permission(request, flow),
        }
        return TemplateResponse(request, f"admin/callflows/callflow/{template}", context)

    def _publish(self, request: HttpRequest, old: FlowVersion) -> None:
        flow, who = old.flow, request.user if request.user.is_authenticated else None
        try:
            version = flow.publish(outcomes(), who, old)
        except InvalidNcco:
            wrong = [flow_page.sentence(each) for each in flow_page.problems(flow, old) if each.severity == "error"]
            text = format_html("{} was not published again: {}", old, "; ".join(wrong))
            self.message_user(request, text, messages.ERROR)
        else:
            self.log_change(request, flow, f"Published {old} again, as {version}.")
            told = format_html("{}: {} is live, with the content of {}.", flow, version, old)
            self.message_user(request, told, messages.SUCCESS)
