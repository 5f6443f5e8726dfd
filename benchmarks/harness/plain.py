"""Knows the least that a Django project does to keep what came: one view with one INSERT.

``python -m benchmarks.harness.plain SERVER WAY PORT``; DATABASE_URL names the database, PLAIN_ROWS the
file of SQLite.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import dj_database_url
import django
from django.conf import settings

# As `startproject` writes them.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
APPS = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]


def database() -> dict[str, Any]:
    """Return ours, with the journal mode and the pool of ours."""
    if url := os.environ.get("DATABASE_URL", ""):
        found = dj_database_url.parse(url)
        pool = {"min_size": 1, "max_size": 20, "timeout": 5}
        return {**found, "OPTIONS": {**found.get("OPTIONS", {}), "pool": pool}}
    journal = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
    options: dict[str, Any] = {"timeout": 5, "transaction_mode": "IMMEDIATE", "init_command": journal}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PLAIN_ROWS"], "OPTIONS": options}


settings.configure(
    SECRET_KEY="of-a-measurement",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[f"django.contrib.{each}" for each in APPS],
    MIDDLEWARE=MIDDLEWARE,
    DATABASES={"default": database()},
    USE_TZ=True,
    LOGGING_CONFIG=None,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402  (Django is set up first)
from django.db import connection, models  # noqa: E402  (the same)
from django.http import HttpRequest, JsonResponse  # noqa: E402  (the same)
from django.urls import path  # noqa: E402  (the same)
from django.views.decorators.csrf import csrf_exempt  # noqa: E402  (the same)

from callflows.serving import Application  # noqa: E402  (the same)

# What ours writes for a call of these measurements: its rows as text, counted in PostgreSQL.
ROW_BYTES = 1950
REST = "x" * ROW_BYTES


class Row(models.Model):
    """One request, kept."""

    text = models.TextField()

    objects: models.Manager[Row] = models.Manager()

    class Meta:
        app_label = "plain"

    def __str__(self) -> str:
        return self.text


def reply(body: dict[str, Any]) -> JsonResponse:
    return JsonResponse([{"action": "talk", "text": f"Hello {body['from']}"}], safe=False)


@csrf_exempt
async def waiting(request: HttpRequest) -> JsonResponse:
    """The view as an async one."""
    body = json.loads(request.body)
    await Row.objects.acreate(text=(request.body.decode() + REST)[:ROW_BYTES])
    return reply(body)


@csrf_exempt
def blocking(request: HttpRequest) -> JsonResponse:
    """The view as a sync one."""
    body = json.loads(request.body)
    Row.objects.create(text=(request.body.decode() + REST)[:ROW_BYTES])
    return reply(body)


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


WAYS: dict[str, Any] = {"async": waiting, "sync": blocking}
urlpatterns = [path("healthz", healthz)]


async def no_drain(seconds: float) -> None:
    """There is nothing to wait for."""


def main(server: str, way: str, port: int) -> None:
    urlpatterns.append(path("webhooks/answer", WAYS[way]))
    if Row._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Row)
    application: Application = ASGIHandler()
    if server == "daphne":
        from callflows.serving.on_daphne import run
    else:
        from callflows.serving.on_uvicorn import run
    run(application, "127.0.0.1", port, no_drain, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
