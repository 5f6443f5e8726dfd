"""Knows what a project must have for calls to work: `manage.py check` names what it lacks."""

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
        text = "Without Django's admin nobody can configure calls."
        found.append(Error(text, hint=hint, id="callflows.E010"))
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
        text = f"The templates of callflows are not found ({error})."
        found.append(Error(text, hint=hint, id="callflows.E011"))
    engines: list[dict[str, Any]] = settings.TEMPLATES
    options = [each.get("OPTIONS", {}) for each in engines]
    used = {name for each in options for name in each.get("context_processors", ())}
    if BANNER not in used:
        text = "No page can show that webhooks are refused, which loses calls without a trace."
        hint = f"Add {BANNER} to TEMPLATES' context processors, and show admin/callflows/banner.html."
        found.append(Warning(text, hint=hint, id="callflows.W011"))
    return found


@register(Tags.urls)
def urls_are_included(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not _has_urls():
        text = "Vonage is told addresses that lead nowhere: ROOT_URLCONF does not include callflows.urls."
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
        reason = f"{type(error).__name__}: {error}"
        text = f"ASGI_APPLICATION: {settings.ASGI_APPLICATION} cannot be imported ({reason})."
        return [Error(text, hint=WRAP, id="callflows.E015")]
    found: list[CheckMessage] = []
    if not leads_to(application, lambda part: part is audio):
        text = f"ASGI_APPLICATION: {settings.ASGI_APPLICATION} leads no audio socket to callflows."
        found.append(Error(text, hint=WRAP, id="callflows.E016"))
    counted = COUNTING in settings.MIDDLEWARE
    if not counted and not leads_to(application, lambda part: isinstance(part, WebhookHandler)):
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
        yield "E017", text, f"Set it to {layer}, or for several processes to one of channels_redis."
    if not settings.MEDIA_ROOT:
        text = "MEDIA_ROOT is not set: recordings would go to the folder that a server is started in."
        yield "E018", text, "Set it to a folder that no web server hands out: calls are private."
    url = urlsplit(settings.PUBLIC_URL)
    is_origin = url.scheme in ("https", "http") and url.hostname and not (url.path or url.query)
    if settings.PUBLIC_URL and not is_origin:
        text = f"PUBLIC_URL is {settings.PUBLIC_URL!r}, expected https://host without a path."
        yield "E019", text, "The path of callflows.urls is found in ROOT_URLCONF."
    if not _are_secrets(settings.SIGNATURE_SECRETS):
        text = "SIGNATURE_SECRETS: expected lists of secrets by API key."
        yield "E020", text, 'Set it to {"api_key": ["secret"]}.'
    if not settings.USE_TZ:
        text = "USE_TZ is False, and moments of calls have a time zone."
        yield "E021", text, "Set USE_TZ to True."


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
    if not isinstance(found, dict) or not all(isinstance(each, list | tuple) for each in found.values()):
        return False
    return all(isinstance(secret, str) and secret for each in found.values() for secret in each)
