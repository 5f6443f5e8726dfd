"""Calls below a path of their own, beside an address of the project that has the name of one of ours."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("answer", lambda request: HttpResponse("42"), name="answer"),
    path("staff/", admin.site.urls),
    path("voice/", include("callflows.urls")),
]
