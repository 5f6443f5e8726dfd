"""Knows what a project must have for calls to work in it: `manage.py check` names each thing that it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from channels.routing import get_default_application
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse

from callflows.prefix import prefix
from callflows.reaching import leads_to

BANNER = "callflows.admin.banner.banner"
COUNTING = "callflows.webhooks.handler.count_refused_hosts"
WRAP = (
    "In asgi.py: `from callflows.routing import with_calls`, then `application = with_calls(get_asgi_application())`."
)
FIRST = "Put callflows before django.contrib.staticfiles in INSTALLED_APPS."
SQLITE = '"OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"}'


@register(Tags.compatibility)
def apps_are_there(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not apps.is_installed("django.contrib.admin"):
        hint = "Add django.contrib.admin, and what it needs, to INSTALLED_APPS."
        found.append(Error("Without Django's admin nobody can configure calls.", hint=hint, id="callflows.E010"))
    if (owner := str(get_commands().get("runserver"))) not in ("callflows", "daphne"):
        text = f"`manage.py runserver` is that of {owner}, which answers audio sockets with 404."
        found.append(Warning(text, hint=FIRST, id="callflows.W010"))
    return found


@register(Tags.templates)
def templates_are_found(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        get_template("admin/callflows/call/page.html")
    except (TemplateDoesNotExist, ImproperlyConfigured) as error:
        hint = 'Set "APP_DIRS": True in TEMPLATES.'
        found.append(Error(f"The templates of callflows are not found ({error}).", hint=hint, id="callflows.E011"))
    engines: list[dict[str, Any]] = settings.TEMPLATES
    used = {name for each in engines for name in each.get("OPTIONS", {}).get("context_processors", ())}
    if BANNER not in used:
        text = "No page can show that webhooks are refused, which loses calls without a trace."
        hint = f"Add {BANNER} to the context processors in TEMPLATES, and show admin/callflows/banner.html."
        found.append(Warning(text, hint=hint, id="callflows.W011"))
    return found


@register(Tags.urls)
def urls_are_included(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not _has_urls():
        text = "The addresses that Vonage is told lead nowhere: callflows.urls is not included in ROOT_URLCONF."
        hint = 'Add path("voice/", include("callflows.urls")) to urlpatterns, with any path.'
        found.append(Error(text, hint=hint, id="callflows.E012"))
    try:
        reverse("admin:index", getattr(settings, "ROOT_URLCONF", None))
    except NoReverseMatch:
        hint = 'Add path("admin/", admin.site.urls) to urlpatterns.'
        found.append(Error("Django's admin is at no address.", hint=hint, id="callflows.E013"))
    return found


@register(Tags.compatibility)
def sockets_lead_to_us(**kwargs: Any) -> list[CheckMessage]:
    """Look into the ASGI application; without our URLs it cannot even be made."""
    if not getattr(settings, "ASGI_APPLICATION", None):
        text = "ASGI_APPLICATION is not set: nothing serves the audio sockets of calls."
        return [Error(text, hint=WRAP, id="callflows.E014")]
    if not _has_urls():
        return []
    # They need what these checks look for.
    from callflows.routing import audio
    from callflows.webhooks.handler import WebhookHandler

    try:
        application = get_default_application()
    except Exception as error:
        text = f"ASGI_APPLICATION: {settings.ASGI_APPLICATION} cannot be imported ({type(error).__name__}: {error})."
        return [Error(text, hint=WRAP, id="callflows.E015")]
    found: list[CheckMessage] = []
    if not leads_to(application, lambda part: part is audio):
        text = f"ASGI_APPLICATION: {settings.ASGI_APPLICATION} does not lead audio sockets to callflows."
        found.append(Error(text, hint=WRAP, id="callflows.E016"))
    if COUNTING not in settings.MIDDLEWARE and not leads_to(application, lambda part: isinstance(part, WebhookHandler)):
        text = "A webhook for a host that is not in ALLOWED_HOSTS loses its call without a trace."
        hint = f"{WRAP} Or put {COUNTING} first in MIDDLEWARE."
        found.append(Warning(text, hint=hint, id="callflows.W012"))
    return found


@register(Tags.compatibility)
def settings_make_sense(**kwargs: Any) -> list[CheckMessage]:
    return [Error(text, hint=hint, id=f"callflows.{id}") for id, text, hint in _wrong_settings()]


def _wrong_settings() -> Iterator[tuple[str, str, str]]:
    """Yield an id, what is wrong, and what to do."""
    if "default" not in getattr(settings, "CHANNEL_LAYERS", {}):
        layer = '{"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}'
        text = "CHANNEL_LAYERS has no default: commands do not reach live calls."
        yield "E017", text, f"Set it to {layer} for one process, or to one of channels_redis for several."
    if not settings.MEDIA_ROOT:
        text = "MEDIA_ROOT is not set: recordings would go to whatever folder the server is started in."
        yield "E018", text, "Set MEDIA_ROOT to a folder that no web server hands out: calls are private."
    url = urlsplit(settings.PUBLIC_URL)
    if settings.PUBLIC_URL and (url.scheme not in ("https", "http") or not url.hostname or url.path or url.query):
        text = f"PUBLIC_URL is {settings.PUBLIC_URL!r}, expected https://host without a path."
        yield "E019", text, "The path of callflows.urls is found in ROOT_URLCONF."
    if not _are_secrets(settings.SIGNATURE_SECRETS):
        text = "SIGNATURE_SECRETS: expected lists of secrets by API key."
        yield "E020", text, 'Set it to {"api_key": ["secret"]}.'
    if not settings.USE_TZ:
        yield "E021", "USE_TZ is False, and moments of calls have a time zone.", "Set USE_TZ to True."


@register(Tags.database)
def sqlite_waits(**kwargs: Any) -> list[CheckMessage]:
    database = settings.DATABASES.get("default", {})
    mode = database.get("OPTIONS", {}).get("transaction_mode", "")
    if not str(database.get("ENGINE")).endswith("sqlite3") or mode.upper() == "IMMEDIATE":
        return []
    text = (
        "Two calls at the same time may fail: SQLite answers `database is locked` to who reads first and writes later."
    )
    return [Warning(text, hint=f"In DATABASES: {SQLITE}.", id="callflows.W013")]


def _has_urls() -> bool:
    try:
        prefix()
    except (NoReverseMatch, AttributeError):
        # No ROOT_URLCONF is an AttributeError.
        return False
    return True


def _are_secrets(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(each, list | tuple) and all(isinstance(secret, str) and secret for secret in each)
        for each in found.values()
    )
