"""Knows how operators see what the workers have to do, and which webhooks were refused."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from callflows.admin.readonly import ReadOnly
from callflows.admin.show import badge, moment, pretty
from callflows.models import Job, Refusal


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin[Job]):
    list_display = ("kind", "shown_state", "attempts", "shown_due", "worker", "error")
    list_filter = ("state", "kind")
    search_fields = ("kind", "worker", "error")
    readonly_fields = ("shown_state", "shown_arguments", "shown_due", "shown_made")
    fields = ("kind", *readonly_fields, "attempts", "host", "worker", "error")
    empty_text = "Background work will stand here: recordings that are put away, and what failed."

    @admin.display(description="state", ordering="state")
    def shown_state(self, job: Job) -> SafeString:
        return badge(job.get_state_display())

    @admin.display(description="arguments")
    def shown_arguments(self, job: Job) -> str:
        return pretty(job.arguments)

    @admin.display(description="due", ordering="due")
    def shown_due(self, job: Job) -> SafeString | str:
        return moment(job.due)

    @admin.display(description="made", ordering="made")
    def shown_made(self, job: Job) -> SafeString | str:
        return moment(job.made)


@admin.register(Refusal)
class RefusalAdmin(ReadOnly, admin.ModelAdmin[Refusal]):
    list_display = ("reason", "times", "shown_last")
    fields = ("reason", "times", "shown_last")
    readonly_fields = ("shown_last",)
    empty_text = "Webhooks that were refused will be counted here: each may be a call that left no other trace."

    @admin.display(description="last", ordering="last")
    def shown_last(self, refusal: Refusal) -> SafeString | str:
        return moment(refusal.last)
