"""Knows what `manage.py check` must say about a project in which calls cannot work."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path
from pytest_django import Settings

from callflows import project_checks as checks
from callflows.prefix import prefix
from callflows.reaching import MOST, leads_to
from callflows.routing import audio, websocket_urlpatterns, websockets, with_calls

# What others make their applications and addresses of; named by dotted paths below.
urlpatterns: list[Any] = []


async def nothing_here(scope: Any, receive: Any, send: Any) -> None: ...


pages: Any = nothing_here
chat: list[Any] = [path("chat/", pages)]
routes: list[Any] = [*chat, *websocket_urlpatterns]
without_sockets = ProtocolTypeRouter({"http": pages, "websocket": URLRouter(chat)})
plain = ProtocolTypeRouter({"http": pages, "websocket": URLRouter(routes)})
whole = with_calls(pages)


def ids(found: list[Any]) -> list[str]:
    assert all(each.hint for each in found)
    return [each.id.removeprefix("callflows.") for each in found]


def test_our_own_project_lacks_nothing() -> None:
    for check in (checks.apps_are_there, checks.templates_are_found, checks.urls_are_included):
        assert check() == []
    for check in (checks.sockets_lead_to_us, checks.settings_make_sense, checks.sqlite_waits):
        assert check() == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CHANNEL_LAYERS", {}, ["E017"]),
        ("MEDIA_ROOT", "", ["E018"]),
        ("PUBLIC_URL", "https://calls.example.com/", ["E019"]),
        ("PUBLIC_URL", "https://calls.example.com/voice", ["E019"]),
        ("PUBLIC_URL", "calls.example.com", ["E019"]),
        ("PUBLIC_URL", "https://calls.example.com", []),
        ("SIGNATURE_SECRETS", {"a1b2c3d4": "secret"}, ["E020"]),
        ("SIGNATURE_SECRETS", "a1b2c3d4:secret", ["E020"]),
        ("SIGNATURE_SECRETS", {"a1b2c3d4": ["secret"]}, []),
        ("USE_TZ", False, ["E021"]),
    ],
)
def test_setting_that_makes_no_sense_is_named(settings: Settings, name: str, value: Any, told: list[str]) -> None:
    setattr(settings, name, value)
    found = checks.settings_make_sense()
    assert ids(found) == told
    assert all(name in each.msg for each in found)


def test_sqlite_that_does_not_wait_is_warned_of(settings: Settings) -> None:
    lite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}
    for database, told in ((lite, ["W013"]), ({"ENGINE": "django.db.backends.postgresql"}, [])):
        with pytest.MonkeyPatch.context() as changed:
            changed.setitem(settings.DATABASES, "default", database)
            assert ids(checks.sqlite_waits()) == told


def test_templates_and_banner_are_looked_for(settings: Settings) -> None:
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "DIRS": [], "OPTIONS": {}}]
    assert ids(checks.templates_are_found()) == ["E011", "W011"]


def test_urls_that_are_not_included_are_told_once(settings: Settings) -> None:
    assert prefix() == ""
    settings.ROOT_URLCONF = __name__
    assert ids(checks.urls_are_included()) == ["E012", "E013"]
    assert checks.sockets_lead_to_us() == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", ["E014"]),
        (f"{__name__}.nothing", ["E015"]),
        ("no_such_module.application", ["E015"]),
        (f"{__name__}.without_sockets", ["E016"]),
        (f"{__name__}.plain", []),
        (f"{__name__}.whole", []),
    ],
)
def test_application_that_leads_no_socket_to_us_is_named(settings: Settings, name: str, told: list[str]) -> None:
    settings.ASGI_APPLICATION = name
    assert ids(checks.sockets_lead_to_us()) == told


def test_webhooks_for_other_hosts_are_counted_by_the_short_way_or_the_middleware(settings: Settings) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != checks.COUNTING]
    for name, told in (("plain", ["W012"]), ("whole", [])):
        settings.ASGI_APPLICATION = f"{__name__}.{name}"
        assert ids(checks.sockets_lead_to_us()) == told


class Wrapped:
    """Middleware as a class, with a member of any name."""

    def __init__(self, inner: Any) -> None:
        self.whatever = inner

    async def handle(self, scope: Any) -> None: ...


def closed_over(inner: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    return application


@pytest.mark.parametrize("wrap", [Wrapped, closed_over, functools.partial(functools.partial, closed_over)])
def test_application_is_looked_through_whatever_is_around_it(wrap: Any) -> None:
    assert leads_to(wrap(wrap(websockets)), lambda part: part is audio)
    assert leads_to(Wrapped(websockets).handle, lambda part: part is audio)
    assert not leads_to(wrap(wrap(pages)), lambda part: part is audio)


def test_search_ends_where_parts_do_not() -> None:
    circle: list[Any] = []
    circle += [circle, [[each] for each in range(MOST)]]
    assert not leads_to(circle, lambda part: part is audio)
