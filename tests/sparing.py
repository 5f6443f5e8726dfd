"""Knows how a test is spared what stays the same for all of them, or what none of them looks at."""

from __future__ import annotations

import asyncio.constants
from collections.abc import Mapping
from functools import cache
from typing import Any, BinaryIO

from django.core.management.color import no_style
from django.db import connections
from django.template import Context, Template
from django.test import TransactionTestCase
from django.test import utils as test_utils
from whitenoise.middleware import WhiteNoiseMiddleware

from callflows.audio import apart

# Django writes them when it makes the tables, and no test changes them.
KEPT = {"django_content_type", "auth_permission", "django_migrations"}

ASKED_APART = apart._ask


@cache
def statements(alias: str) -> list[str]:
    """Return the SQL that empties a database."""
    connection = connections[alias]
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return connection.ops.sql_flush(no_style(), [name for name in names if name not in KEPT])


def empty(test: TransactionTestCase) -> None:
    for alias in connections:
        connections[alias].ops.execute_sql_flush(statements(alias))


def instead_of_flushing() -> None:
    setattr(TransactionTestCase, "_fixture_teardown", empty)  # noqa: B010  # no part of its types


def static_files_once() -> None:
    """Let all of a process's middlewares share the static files that the first one has found."""
    looked, found = WhiteNoiseMiddleware.add_files_from_finders, dict[str, Any]()

    def add(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            looked(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = add


def pages_alone() -> None:
    """Let Django's test client hear of whole pages, and not of each of their 700 parts: a fifth of a form's time."""
    told = vars(test_utils)["instrumented_test_render"]

    def render(template: Template, context: Context) -> str:
        is_page = context.template is template and not (template.name or "").startswith("django/forms/")
        return str(told(template, context) if is_page else template.nodelist.render(context))

    vars(test_utils)["instrumented_test_render"] = render


def short_tracebacks() -> None:
    """Let asyncio's debug mode keep 2 frames of where a callback came from, not 10: a quarter of an async test."""
    asyncio.constants.DEBUG_STACK_DEPTH = 2  # type: ignore[misc]  # a constant, but for this


def sounds_here() -> None:
    """Decode sound in the process of the tests: one of its own takes 0.2 s to begin. Its own tests do it apart."""

    def here(
        request: dict[str, Any],
        source: BinaryIO,
        seconds: tuple[int, float],
        outputs: Mapping[int, BinaryIO] | None = None,
        tell: apart.Tell = lambda part: None,
    ) -> Any:
        return apart.work(request, source, outputs or {}, tell)

    apart._ask = here
