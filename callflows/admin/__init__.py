"""Knows what operators configure and browse: Django's admin for our models."""

from __future__ import annotations

from django.contrib import admin

from callflows.admin import calls, flows, headers, jobs, numbers, prompts, recordings, upkeep

__all__ = ["calls", "flows", "headers", "jobs", "numbers", "prompts", "recordings", "upkeep"]

admin.site.site_header = "Callflows"
admin.site.site_title = "Callflows"
admin.site.index_title = "Calls and what callers meet"
# Our own line of links under the header leaves the width to the lists.
admin.site.enable_nav_sidebar = False
admin.site.site_url = None
admin.site.empty_value_display = "–"
