"""Knows which address leads where, and what the admin is called here."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from project import second_factor

admin.site.site_header = "Callflows"
admin.site.site_title = "Callflows"
admin.site.index_title = "Calls and what callers meet"
# Our own line of links under the header leaves the width to the lists.
admin.site.enable_nav_sidebar = False
admin.site.site_url = None
second_factor.register()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/second-factor/", admin.site.admin_view(second_factor.view), name="second-factor"),
    path("admin/", admin.site.urls),
    path("", include("callflows.urls")),
]
