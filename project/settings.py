"""Knows every setting of the project; reads the environment once."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from callflows import defaults
from callflows.serving.proxies import Proxies
from project.environment import BASE_DIR, names, read_environment


def secret_key_of(folder: Path) -> str:
    """Return the key kept in the folder; the first of any number of processes makes it.

    It is written aside and then linked into place: nobody reads half a key, and a second maker finds the first one's.
    """
    path, aside = folder / ".secret-key", folder / f".secret-key.{os.getpid()}.{secrets.token_hex(4)}"
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(48))
            try:
                os.link(aside, path)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        except OSError as error:
            raise ImproperlyConfigured(f"DATA_DIR: cannot write to {str(folder)!r}: {error}") from error
    return path.read_text(encoding="ascii").strip()


ENV = read_environment()
PRODUCTION, DEBUG, PORT, LOG_LEVEL = ENV.PRODUCTION, ENV.DEBUG, ENV.PORT, ENV.LOG_LEVEL
DATA_DIR = ENV.DATA_DIR.resolve()
SECRET_KEY = ENV.SECRET_KEY or secret_key_of(DATA_DIR)
ADMIN_PASSWORD = ENV.ADMIN_PASSWORD

# --- Calls

PUBLIC_URL = ENV.PUBLIC_URL
PROMPT_MAX_SECONDS = ENV.PROMPT_MAX_SECONDS
CALLS_OUT_PER_MINUTE, CALLS_OUT_PER_DAY = ENV.CALLS_OUT_PER_MINUTE, ENV.CALLS_OUT_PER_DAY
CALLS_OUT_PER_USER, CALLS_OUT_AT_ONCE = ENV.CALLS_OUT_PER_USER, ENV.CALLS_OUT_AT_ONCE
PROXIES = Proxies.parse(names(ENV.PROXIES))
MAX_LINES = ENV.MAX_LINES
MAX_LAG = ENV.MAX_LAG
INBOX_SECONDS = ENV.INBOX_SECONDS
ANSWER_SECONDS = ENV.ANSWER_SECONDS
JOURNAL_MB = ENV.JOURNAL_MB
# api_key -> its secrets.
UNSIGNED_WEBHOOKS = ENV.UNSIGNED_WEBHOOKS
SIGNATURE_SECRETS: dict[str, list[str]] = {}
for _pair in names(ENV.SIGNATURE_SECRETS):
    SIGNATURE_SECRETS.setdefault(_pair.partition(":")[0], []).append(_pair.partition(":")[2])
VONAGE_API_KEY, VONAGE_API_SECRET = ENV.VONAGE_API_KEY, ENV.VONAGE_API_SECRET
VONAGE_API_URL, VONAGE_REST_URL = ENV.VONAGE_API_URL, ENV.VONAGE_REST_URL
TRUSTED_ORIGINS = [each.rstrip("/") for each in names(ENV.TRUSTED_ORIGINS)]
SAFE_NCCO = defaults.SAFE_NCCO
MEDIA_ROOT = DATA_DIR / "media"
# Recordings that are still being written; finished ones move to Django's storage.
RECORDINGS_OPEN = MEDIA_ROOT / "recordings" / "open"

# --- Django

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before Django's static files: `runserver` is ours, and serves sockets.
    "callflows",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
]
MIDDLEWARE = [
    "callflows.webhooks.handler.count_refused_hosts",
    "django.middleware.security.SecurityMiddleware",
    "project.middleware.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "project.middleware.keep_session",
    "project.second_factor.demand",
    # Last: it turns what a login raised into its answer.
    "axes.middleware.AxesMiddleware",
]
# The first refuses whoever gave too many wrong passwords; the second looks at passwords.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "callflows.admin.banner.banner",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Storage

if ENV.DATABASE_URL and not ENV.DATABASE_URL.startswith("sqlite"):
    DATABASES: dict[str, Any] = {"default": {**dj_database_url.parse(ENV.DATABASE_URL)}}
    # Our own threads keep a connection each (callflows/threads.py); a pool's growing pauses, up to minutes, are what
    # callers would wait for after the database's return.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        connect_timeout=2,
        # A machine that is gone without a word is noticed after 5 s.
        keepalives_idle=2,
        keepalives_interval=1,
        keepalives_count=3,
        tcp_user_timeout=5000,
        options="-c lock_timeout=5000 -c statement_timeout=30000",
    )
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": dj_database_url.parse(ENV.DATABASE_URL)["NAME"] if ENV.DATABASE_URL else DATA_DIR / "db.sqlite3",
            "OPTIONS": {
                # One that reads first and writes later could fail at once under another writer; this one waits.
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            # A file: a shared in-memory database answers a second thread "table is locked" without waiting.
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }

# A read waits as long as it must: a layer's blocking pop asks for 5 s of silence, and redis-py 8 ends a read just
# then, where 7 had no limit. The pin in pyproject.toml says the same to the installer; here it is said to the library.
REDIS: dict[str, Any] = {"address": ENV.REDIS_URL, "socket_connect_timeout": 1, "socket_timeout": None}
if ENV.REDIS_URL:
    # The PubSub layer outlives a Redis restart; the core layer closes every open socket then.
    CHANNEL_LAYERS: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS]},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

STATIC_URL = "/static/"
# Without production nothing is collected: whitenoise serves the apps' own files.
STATIC_ROOT = DATA_DIR / "static" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
STATICFILES_STORAGE = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if PRODUCTION
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_STORAGE},
}
# Recordings and prompts are private.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# A step of a flow sends up to 30 fields: Django's 1,000 would refuse a flow of some 40 steps, and lose what was typed.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

# --- Who may ask

LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname
ALLOWED_HOSTS = [*LOOPBACK, *filter(None, [PUBLIC_HOST]), *names(ENV.ALLOWED_HOSTS)]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}
SESSION_COOKIE_HTTPONLY = True
# An operator who does nothing for so long signs in again: project.middleware.keep_session moves it on.
SESSION_COOKIE_AGE = int(ENV.SESSION_HOURS * 3600)

# --- Wrong passwords, and the second factor

SECOND_FACTOR = ENV.SECOND_FACTOR
# What the phone shows beside the code.
OTP_TOTP_ISSUER = PUBLIC_HOST or "Callflows"

# Of one address: some people forget theirs, a guesser needs millions, and nobody can lock another's user.
AXES_FAILURE_LIMIT = 10
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_TEMPLATE = "locked_out.html"
AXES_CLIENT_IP_CALLABLE = "project.middleware.origin_of"
# Who signed in when stands in the audit of the admin; of wrong passwords rows are kept until they are forgiven.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# The log says where guesses come from: that is what an operator of a firewall needs.
AXES_SENSITIVE_PARAMETERS = ["username"]

if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # The proxy in front ends TLS and must set this header itself, whatever the client sent.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Vonage's POST would not follow a redirect, and health checks come over plain http from beside us.
    SECURE_REDIRECT_EXEMPT = [r"^webhooks/", r"^healthz/?$", r"^readyz/?$"]
    SECURE_HSTS_SECONDS = 30 * 24 * 3600
    # Neither is ours to decide: subdomains of this host (W005) and browsers' preload lists (W021) are the owner's.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# --- Logs

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "project.logs.LineFormatter"}},
    "filters": {"one line": {"()": "project.logs.OneLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["one line"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Its own handlers would write the same lines again, without our formatter.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # What it tells of its start is told by ours.
        "daphne": {"level": "WARNING"},
        # A line for each request of ours, with its query.
        "httpx2": {"level": "WARNING"},
        # Several lines for each login; who is locked out is a warning.
        "axes": {"level": "WARNING"},
    },
}
