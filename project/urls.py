"""Knows which address leads where, and what the admin is called here."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_header = "Callflows"
admin.site.site_title = "Callflows"
admin.site.index_title = "Calls and what callers meet"
# Our own line of links under the header leaves the width to the lists.
admin.site.enable_nav_sidebar = False
admin.site.site_url = None

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("callflows.urls")),
]
