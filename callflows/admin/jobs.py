"""Knows how operators see what the workers have to do, and let them try again what failed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from callflows.admin.readonly import ReadOnly
from callflows.admin.show import badge, moment, pretty
from callflows.models import Job


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin[Job]):
    list_display = ("kind", "shown_state", "attempts", "shown_due", "worker", "error")
    list_filter = ("state", "kind")
    search_fields = ("kind", "worker", "error")
    readonly_fields = ("shown_state", "shown_arguments", "shown_due", "shown_made")
    fields = ("kind", *readonly_fields, "attempts", "host", "worker", "error")
    actions = ("try_again",)
    empty_text = "Background work will stand here: recordings that are fetched and put away, and what failed."

    @admin.display(description="state", ordering="state")
    def shown_state(self, job: Job) -> SafeString:
        return badge(job.get_state_display())

    @admin.display(description="arguments")
    def shown_arguments(self, job: Job) -> str:
        return pretty(job.arguments)

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
