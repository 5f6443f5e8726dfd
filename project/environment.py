"""Knows what may be set from outside, and whether it makes sense: environment variables, or files that they name."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(BaseSettings):
    """What may be set from outside. With nothing set, these are the demo's settings.

    Each name may also be given as ``NAME_FILE``, the path of a file that holds the value.
    """

    model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, extra="ignore", validate_default=True)

    # First, because what follows is checked more strictly in production.
    PRODUCTION: bool = False
    DEBUG: bool = False
    SECRET_KEY: str = ""
    DATABASE_URL: str = ""
    REDIS_URL: str = ""
    # Where Vonage and operators reach us, such as https://calls.example.com.
    PUBLIC_URL: str = ""
    # More host names, with commas between; the one of PUBLIC_URL is allowed by itself.
    ALLOWED_HOSTS: str = ""
    # Addresses and networks, with commas between, of the proxies in front: X-Forwarded-For is believed of these alone.
    PROXIES: str = "127.0.0.0/8,::1"
    PORT: int = Field(default=8000, ge=1, le=65535)
    # The folder that holds db.sqlite3, media/ and .secret-key.
    DATA_DIR: Path = BASE_DIR
    ADMIN_PASSWORD: str = ""
    # Said on purpose: production without signature secrets, where anybody can pretend to be Vonage.
    UNSIGNED_WEBHOOKS: bool = False
    # Signature secrets of the accounts that call us, as api_key:secret with commas between; two of one account are
    # both valid, while it changes from one to the other. None: webhooks are not checked.
    SIGNATURE_SECRETS: str = ""
    # Hours of doing nothing after which an operator signs in again.
    SESSION_HOURS: float = Field(default=8, gt=0)
    # Each operator must set up a second factor, and signs in with it.
    SECOND_FACTOR: bool = False
    # Calls out that are placed at most: in a minute, in 24 hours, for one user in 24 hours, and at the same time.
    CALLS_OUT_PER_MINUTE: int = Field(default=10, ge=0)
    CALLS_OUT_PER_DAY: int = Field(default=500, ge=0)
    CALLS_OUT_PER_USER: int = Field(default=100, ge=0)
    CALLS_OUT_AT_ONCE: int = Field(default=20, ge=0)
    # Credentials for `manage.py vonage`, which sets accounts up.
    VONAGE_API_KEY: str = ""
    VONAGE_API_SECRET: str = ""
    # Where Vonage's APIs are: calls and applications, and numbers.
    VONAGE_API_URL: str = "https://api.nexmo.com"
    VONAGE_REST_URL: str = "https://rest.nexmo.com"
    # Origins, with commas between, that may see our tokens besides Vonage's own hosts: a fake Vonage.
    TRUSTED_ORIGINS: str = ""
    # Megabytes of calls and events that the database could not take, in DATA_DIR/journal: about 1 KB each.
    JOURNAL_MB: float = Field(default=64, gt=0)
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # Seconds that an uploaded prompt may last.
    PROMPT_MAX_SECONDS: float = Field(default=600, gt=0)
    # Calls that one server process holds at the same time: docs/performance.md has what a core can do.
    MAX_LINES: int = Field(default=300, ge=1)
    # Seconds by which the event loop of a server process may be late before it takes no more calls.
    MAX_LAG: float = Field(default=0.02, gt=0)
    # Seconds of audio that a socket app may leave unheard before the oldest frames are dropped.
    INBOX_SECONDS: float = Field(default=5, gt=0)
    # Seconds after which the answer webhook gives up and serves SAFE_NCCO: Vonage waits no less than 1, our aim is 1.5.
    ANSWER_SECONDS: float = Field(default=1.2, gt=0, le=5)

    @field_validator("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL")
    @classmethod
    def demanded_in_production(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("PRODUCTION") and not value:
            raise ValueError("is not set, and PRODUCTION=1 needs it")
        return value

    @field_validator("SECRET_KEY")
    @classmethod
    def long_enough(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("PRODUCTION") and (len(value) < 50 or len(set(value)) < 5):
            raise ValueError(f"expected at least 50 random characters, got {len(value)}")
        return value

    @field_validator("DATABASE_URL")
    @classmethod
    def names_a_database(cls, value: str, info: ValidationInfo) -> str:
        scheme = urlsplit(value).scheme
        known = ("postgres", "postgresql") if info.data.get("PRODUCTION") else ("postgres", "postgresql", "sqlite", "")
        if scheme not in known:
            raise ValueError(f"expected postgresql://user:password@host/name, got a URL of scheme {scheme!r}")
        return value

    @field_validator("REDIS_URL")
    @classmethod
    def names_a_redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError(f"expected redis://host:6379/0, got a URL of scheme {urlsplit(value).scheme!r}")
        return value

    @field_validator("PROXIES")
    @classmethod
    def are_networks(cls, value: str) -> str:
        for each in names(value):
            ip_network(each, strict=False)
        return value

    @field_validator("PUBLIC_URL")
    @classmethod
    def is_an_origin(cls, value: str, info: ValidationInfo) -> str:
        """Refuse what is not an origin: Vonage is told this address, and sockets are dialled at its host."""
        url, schemes = urlsplit(value.rstrip("/")), ("https",) if info.data.get("PRODUCTION") else ("https", "http")
        if value and not (url.scheme in schemes and url.hostname and not (url.path or url.query or url.username)):
            raise ValueError(f"expected {' or '.join(schemes)}://host without a path, got {value!r}")
        return url.geturl()

    @field_validator("SIGNATURE_SECRETS")
    @classmethod
    def are_pairs(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("PRODUCTION") and not names(value) and not info.data.get("UNSIGNED_WEBHOOKS"):
            raise ValueError(
                "is not set, and PRODUCTION=1 needs it: without it anybody can pretend to be Vonage "
                "(UNSIGNED_WEBHOOKS=1 says that this is meant)"
            )
        for pair in names(value):
            key, _, secret = pair.partition(":")
            if not key or not secret:
                raise ValueError("expected api_key:secret, with commas between several, got an entry of another form")
        return value

    @field_validator("VONAGE_API_URL", "VONAGE_REST_URL", "TRUSTED_ORIGINS")
    @classmethod
    def are_origins(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            url = urlsplit(each)
            if url.scheme not in ("https", "http") or not url.hostname or url.path.strip("/") or url.query:
                raise ValueError(f"expected https://host without a path, got {each!r}")
        return value.rstrip("/")


def names(value: str) -> list[str]:
    """Return what stands between commas."""
    return [each for each in map(str.strip, value.split(",")) if each]


def read_environment() -> Environment:
    """Return the environment, or raise ImproperlyConfigured that names all that is wrong with it at once."""
    values, problems = from_files()
    try:
        env = Environment(**values)
    except ValidationError as error:
        wrong = [(str(one["loc"][0]), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        problems += [f"{name}: {text}" for name, text in wrong if f"{name}_FILE" not in " ".join(problems)]
    if problems:
        raise ImproperlyConfigured("\n  ".join(["These environment variables must be put right first:", *problems]))
    return env


def from_files() -> tuple[dict[str, Any], list[str]]:
    """Return what the files named by ``NAME_FILE`` hold, and what is wrong with them."""
    values, problems = {}, []
    for name in Environment.model_fields:
        path = os.environ.get(f"{name}_FILE", "")
        if path and os.environ.get(name):
            problems.append(f"{name}_FILE: {name} is set too; keep one of them")
        elif path:
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}_FILE: cannot read {path!r}: {error}")
    return values, problems
