"""Knows our addresses: `path("voice/", include("callflows.urls"))`, with any path of a project."""

from __future__ import annotations

from django.urls import include, path, re_path

from callflows.console import files, health

app_name = "callflows"
urlpatterns = [
    path("webhooks/", include("callflows.webhooks.urls")),
    path("sounds/<str:signed>.wav", files.sound, name="sound"),
    path("files/prompts/<int:version>.wav", files.prompt, name="prompt-file"),
    path("files/recordings/<int:recording>.<str:kind>", files.recording, name="recording-file"),
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
]
