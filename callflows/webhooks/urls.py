"""Knows the addresses of the webhooks; with and without a trailing slash, since Vonage follows no redirect."""

from __future__ import annotations

from django.urls import re_path

from callflows.webhooks import views

urlpatterns = [
    re_path(r"^answer/?$", views.answer, name="answer"),
    re_path(r"^answer/(?P<ref>[^/]+)/?$", views.answer, name="step-answer"),
    re_path(r"^fallback/?$", views.fallback, name="fallback"),
    re_path(r"^events/?$", views.events, name="events"),
    re_path(r"^events/(?P<ref>[^/]+)/?$", views.events, name="step-events"),
]
