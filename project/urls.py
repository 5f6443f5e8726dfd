"""Knows which address leads where."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from callflows.console import files, health
from project import second_factor

second_factor.register()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/second-factor/", admin.site.admin_view(second_factor.view), name="second-factor"),
    path("admin/", admin.site.urls),
    path("webhooks/", include("callflows.webhooks.urls")),
    path("sounds/<str:signed>.wav", files.sound, name="sound"),
    path("files/prompts/<int:version>.wav", files.prompt, name="prompt-file"),
    path("files/recordings/<int:recording>.<str:kind>", files.recording, name="recording-file"),
    re_path(r"^healthz/?$", health.healthz),
    re_path(r"^readyz/?$", health.readyz),
]
