"""Knows how operators see what the workers have to do, and let them try again what failed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from callflows.admin.filters import Words
from callflows.admin.ours import OurAdmin
from callflows.admin.readonly import ReadOnly
from callflows.admin.show import badge, moment, pretty
from callflows.models import Job


@admin.register(Job)
class JobAdmin(ReadOnly, OurAdmin[Job]):
    list_display = ("shown_kind", "shown_state", "shown_call", "shown_due", "attempts", "worker", "error")
    list_display_links = ("shown_kind",)
    list_filter = ("state", ("kind", Words))
    search_fields = ("kind", "worker", "error")
    readonly_fields = ("shown_kind", "shown_state", "shown_call", "shown_arguments", "shown_due", "shown_made")
    fields = (*readonly_fields, "attempts", "host", "worker", "error")
    actions = ("try_again",)
    empty_text = "Background work will stand here: recordings that are fetched and put away, and what failed."

    @admin.display(description="kind", ordering="kind")
    def shown_kind(self, job: Job) -> str:
        return job.kind.replace("_", " ")

    @admin.display(description="call")
    def shown_call(self, job: Job) -> SafeString | str:
        """The call that it is for. Calls are not looked up here: a list of 100 jobs would ask 100 times."""
        pk = job.arguments.get("call")
        if not isinstance(pk, int):
            return ""
        return format_html('<a href="{}">call {}</a>', reverse("admin:callflows_call_change", args=(pk,)), pk)

    @admin.display(description="state", ordering="state")
    def shown_state(self, job: Job) -> SafeString:
        return badge(job.get_state_display())

    @admin.display(description="arguments")
    def shown_arguments(self, job: Job) -> SafeString:
        return format_html('<pre class="json" tabindex="0">{}</pre>', pretty(job.arguments))

    @admin.display(description="due, or ended", ordering="due")
    def shown_due(self, job: Job) -> SafeString | str:
        return moment(job.due)

    @admin.display(description="made", ordering="made")
    def shown_made(self, job: Job) -> SafeString | str:
        return moment(job.made)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("callflows.change_job"))

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._tell(request, sum(job.try_again() for job in queryset))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.try_again_one))
        return [path("<int:job_id>/try-again/", view, name="callflows_job_try_again"), *super().get_urls()]

    def try_again_one(self, request: HttpRequest, job_id: int) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied("needs the permission callflows.change_job")
        self._tell(request, int(get_object_or_404(Job, pk=job_id).try_again()))
        return HttpResponseRedirect(reverse("admin:callflows_job_change", args=(job_id,)))

    def _tell(self, request: HttpRequest, count: int) -> None:
        if count:
            text = "The job is" if count == 1 else f"{count} jobs are"
            self.message_user(request, f"{text} tried again now.", messages.SUCCESS)
        else:
            self.message_user(request, "Only failed jobs are tried again, and this was none.", messages.WARNING)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        more = {"may_try_again": self.has_retry_permission(request), "failed": Job.State.FAILED}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})
