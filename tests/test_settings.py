"""The environment: what it may say, what is refused, and what follows from it."""

from __future__ import annotations

import logging
import runpy
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from django.test import AsyncClient, RequestFactory
from pytest_django import DjangoDbBlocker

from project.environment import BASE_DIR, Environment, read_environment
from project.logs import LineFormatter, OneLine
from project.settings import secret_key_of

PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": "0123456789" * 5,
    "DATABASE_URL": "postgresql://callflows@127.0.0.1/callflows",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "PUBLIC_URL": "https://calls.example.com/",
    "SIGNATURE_SECRETS": "a1b2c3d4:not-a-secret-but-long-enough-for-a-check",
}
WAL = "PRAGMA journal_mode=WAL"
Settings = dict[str, Any]
Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Return a function that gives the settings of an environment in which only the given names are set."""

    def settings_of(**environment: str) -> Settings:
        for name in Environment.model_fields:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)
        for name, value in {"DATA_DIR": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(BASE_DIR / "project" / "settings.py"))

    return settings_of


def test_without_an_environment_the_settings_are_the_demos(load: Load, tmp_path: Path) -> None:
    settings = load()
    assert settings["DEBUG"] is False
    assert settings["DATABASES"]["default"]["NAME"] == tmp_path / "db.sqlite3"
    assert settings["CHANNEL_LAYERS"]["default"]["BACKEND"] == "channels.layers.InMemoryChannelLayer"
    assert settings["ALLOWED_HOSTS"] == ["127.0.0.1", "localhost", "[::1]"]
    assert settings["SECRET_KEY"] == (tmp_path / ".secret-key").read_text()


def test_production_names_all_that_is_missing_at_once(load: Load) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        load(PRODUCTION="1")
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SIGNATURE_SECRETS"):
        assert f"{name}: is not set, and PRODUCTION=1 needs it" in str(refused.value)


def test_production_without_signatures_is_said_on_purpose(load: Load) -> None:
    unsigned = {**PRODUCTION, "SIGNATURE_SECRETS": " , "}
    with pytest.raises(ImproperlyConfigured, match=r"SIGNATURE_SECRETS: is not set, .* \(UNSIGNED_WEBHOOKS=1 says"):
        load(**unsigned)
    assert load(**unsigned, UNSIGNED_WEBHOOKS="1")["SIGNATURE_SECRETS"] == {}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", "short", "SECRET_KEY: expected at least 50 random characters, got 5"),
        ("DATABASE_URL", "sqlite:///x", "got a URL of scheme 'sqlite'"),
        ("REDIS_URL", "http://127.0.0.1", "REDIS_URL: expected redis://host:6379/0, got a URL of scheme 'http'"),
        ("PUBLIC_URL", "http://calls.example.com", "PUBLIC_URL: expected https://host without a path, got 'http://"),
        ("PUBLIC_URL", "https://calls.example.com/a", "PUBLIC_URL: expected https://host without a path"),
        ("PORT", "99999", "PORT: Input should be less than or equal to 65535"),
    ],
)
def test_a_wrong_value_is_refused_by_name(load: Load, name: str, value: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        load(**{**PRODUCTION, name: value})
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


def test_secrets_come_from_files_too(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("9876543210" * 5 + "\n")
    settings = load(**{**PRODUCTION, "SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "key")})
    assert settings["SECRET_KEY"] == "9876543210" * 5


def test_a_name_and_its_file_are_not_both_taken(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE: SECRET_KEY is set too; keep one of them"):
        load(SECRET_KEY="a", SECRET_KEY_FILE=str(tmp_path / "key"))


def test_a_secrets_file_that_is_not_there_is_named(load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE: cannot read '/nowhere'"):
        load(SECRET_KEY_FILE="/nowhere")


def test_public_urls_host_and_origin_are_allowed_by_themselves(load: Load) -> None:
    settings = load(PUBLIC_URL="https://calls.example.com:8443/", ALLOWED_HOSTS="a.example.com, b.example.com")
    assert settings["PUBLIC_URL"] == "https://calls.example.com:8443"
    assert settings["ALLOWED_HOSTS"][3:] == ["calls.example.com", "a.example.com", "b.example.com"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://calls.example.com:8443"]


def test_eight_processes_at_once_make_one_secret_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(secret_key_of, [tmp_path / "new"] * 8))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [each.name for each in (tmp_path / "new").iterdir()] == [".secret-key"]
    assert (tmp_path / "new" / ".secret-key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATA_DIR: cannot write to '/proc/nowhere'"):
        secret_key_of(Path("/proc/nowhere"))


@pytest.mark.parametrize("path", ["/webhooks/answer", "/webhooks/events/", "/healthz", "/readyz"])
def test_production_never_redirects_webhooks_and_health_checks(load: Load, settings: Any, path: str) -> None:
    use_security_of(load(**PRODUCTION), settings)
    assert status_of(RequestFactory().get(path)) == 200


def test_production_redirects_people_to_https_and_believes_the_proxy(load: Load, settings: Any) -> None:
    use_security_of(load(**PRODUCTION), settings)
    assert status_of(RequestFactory().get("/admin/")) == 301
    assert status_of(RequestFactory().get("/admin/", HTTP_X_FORWARDED_PROTO="https")) == 200


def status_of(request: HttpRequest) -> int:
    response = SecurityMiddleware(lambda request: HttpResponse())(request)
    assert isinstance(response, HttpResponse)
    return response.status_code


def use_security_of(loaded: Settings, settings: Any) -> None:
    for name in ("SECURE_PROXY_SSL_HEADER", "SECURE_SSL_REDIRECT", "SECURE_REDIRECT_EXEMPT"):
        setattr(settings, name, loaded[name])


async def test_static_files_are_served_without_being_collected() -> None:
    found = await AsyncClient().get("/static/admin/css/base.css")
    assert found.status_code == 200
    assert not found.streaming
    assert b"--primary" in found.content
    again = await AsyncClient().get("/static/admin/css/base.css", headers={"If-None-Match": found["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/socket/4vQ/WyJ4Il0:1x:abc-_",
        "/sounds/WyJ4Il0:1x:abc-_.wav",
        "/webhooks/events/WyJ4Il0:1x:abc-_",
        "/webhooks/answer/WyJ4Il0:1x:abc-_",
    ],
)
def test_tokens_are_cut_out_of_the_log_and_its_tracebacks(path: str) -> None:
    try:
        raise ValueError(f"wss://calls.example.com{path}?a=1")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": f"GET {path} 200", "exc_info": (ValueError, error, error.__traceback__)})
    line = LineFormatter().format(record)
    assert "Traceback" in line
    assert "abc-_" not in line
    assert path.rpartition("/")[0] + "/(token)" in line


def test_a_refused_host_is_explained_in_one_line() -> None:
    text = "Invalid HTTP_HOST header: 'evil.example'. You may need to add 'evil.example' to ALLOWED_HOSTS."
    record = logging.makeLogRecord({"name": "django.security.DisallowedHost", "msg": text, "exc_info": True})
    assert OneLine().filter(record)
    assert record.getMessage().startswith("refused a request for host 'evil.example': set PUBLIC_URL")
    assert record.exc_info is None


def test_the_environment_is_read_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_LINES", "7")
    assert read_environment().MAX_LINES == 7


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("GET /x\n2026-01-01T00:00:00Z INFO forged 200", r"GET /x\n    2026-01-01T00:00:00Z INFO forged 200"),
        ("a\x1b[31m\r\x00\u2028b\u202ec\x85", r"a\x1b[31m\r\x00\u2028b\u202ec\x85"),
        ("Grüße\tan alle", "Grüße\tan alle"),
    ],
)
def test_message_of_a_stranger_is_no_line_of_its_own(message: str, line: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (message,), None)
    said = LineFormatter().format(record).partition("x: ")[2]
    assert said == line.replace(r"/x\n", "/x\n")


def test_database_of_sqlite_is_for_its_owner(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    path = tmp_path / "db.sqlite3"
    for before in (None, 0o644, 0o640, 0o600):
        if before is not None:
            path.chmod(before)
        connection = ConnectionHandler(
            {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {"init_command": WAL}}}
        )["default"]
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS t (a)")
        found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        connection.close()
        assert set(found.values()) == {0o600}, found
