"""Knows what every test starts from: a folder of its own for files and SQLite, and no setting of the machine's."""

from __future__ import annotations

import gc
import inspect
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.cache import cache
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from tests import dates, kinds, services, sparing
from tests.lasting import lasting

if TYPE_CHECKING:
    from tests.rest_server import RestServer

# What surrounds every test unasked: pytest-django's own fixtures, with what they use, and two of this file's.
FOR_DJANGO = re.compile("_(dj|fail_for|live|template).*|django_.*|monkeypatch|request|media|nothing_remembered")
# One of tests/dates.py: every test begins then, as far as it can know.
MOMENT = os.environ.get("MOMENT", "")
HOME = tempfile.TemporaryDirectory(prefix="callflows-tests-")


def load_settings() -> None:
    """Load the demo's settings, once in each test process; a real server that is named is kept for those who need one.

    The name of the settings leaves the environment again: processes started by xdist would load them before this file.
    """
    for name in ("DATABASE_URL", "REDIS_URL"):
        if value := os.environ.pop(name, ""):
            os.environ[f"TEST_{name}"] = value
    for name in (
        *("PRODUCTION", "DEBUG", "SECRET_KEY", "PUBLIC_URL", "ALLOWED_HOSTS", "PORT", "ADMIN_PASSWORD"),
        *("SIGNATURE_SECRETS", "UNSIGNED_WEBHOOKS", "TRUSTED_ORIGINS", "PROXIES", "SESSION_HOURS"),
        *(f"CALLS_OUT_{each}" for each in ("PER_MINUTE", "PER_DAY", "PER_USER", "AT_ONCE")),
        *("VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_API_URL", "VONAGE_REST_URL"),
    ):
        os.environ.pop(name, None)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "project.settings", "DATA_DIR": HOME.name}
    if Path(HOME.name).resolve() != settings.DATA_DIR:
        pytest.exit("the settings were loaded before tests/conftest.py: unset DJANGO_SETTINGS_MODULE", returncode=4)
    del os.environ["DJANGO_SETTINGS_MODULE"]


load_settings()
# How long an example takes says more about the machine, which others use too, than about us.
hypothesis_settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=lasting(40, 1000)
)
hypothesis_settings.load_profile("shared")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare all tests that garbage is looked for among what lives to the end: the core's take a fifth less."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kinds.longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> kinds.Spread | None:
    return kinds.Spread(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Spare the pure core's tests what is done around each test for Django: of 1,300 tests it took 0.6 s of 2.0 s."""
    kinds.mark(item)
    if isinstance(item, pytest.Function) and item.get_closest_marker("core"):
        asked = inspect.signature(item.function).parameters
        item.fixturenames[:] = [name for name in item.fixturenames if name in asked or not FOR_DJANGO.fullmatch(name)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold a test to its kind; with a MOMENT, let it begin then."""
    with kinds.GUARD.around(item), dates.travel(MOMENT) if MOMENT else nullcontext():
        return (yield)


@pytest.fixture(autouse=True)
def media(request: pytest.FixtureRequest) -> None:
    """Give each test with a database a media folder of its own."""
    if request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(request.fixturenames):
        changed, folder = request.getfixturevalue("settings"), request.getfixturevalue("tmp_path") / "media"
        changed.MEDIA_ROOT, changed.RECORDINGS_OPEN = folder, folder / "recordings" / "open"


def shared(real: str, server: AbstractContextManager[str]) -> Iterator[str]:
    """Yield the URL of a server that tests share: a real one that was named, or one of our own."""
    with ExitStack() as stack:
        with kinds.GUARD.servers():
            url = real or stack.enter_context(server)
        yield url
        with kinds.GUARD.servers():
            stack.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """URL of a Redis that tests share, one for each test process: REDIS_URL, or one of our own."""
    yield from shared(os.environ.get("TEST_REDIS_URL", ""), services.redis_server())


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL whose user may create databases: DATABASE_URL, or one of our own for each test process."""
    yield from shared(os.environ.get("TEST_DATABASE_URL", ""), services.postgres_server())


def pytest_sessionstart() -> None:
    """Spare all tests what stays the same, or nobody looks at.

    Django writes its content types and permissions anew after each test, and WhiteNoise looks at 133 files for each
    client: of the 0.18 s that a test of a webhook cost, the two took 0.11 s.
    """
    sparing.instead_of_flushing()
    sparing.static_files_once()
    sparing.pages_alone()
    sparing.sounds_here()
    sparing.short_tracebacks()


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Forget what a process keeps in memory about a database, which the next test finds empty."""
    yield
    cache.clear()
    if safe := sys.modules.get("callflows.webhooks.safe"):
        safe.SAFE.forget()
    if flows := sys.modules.get("callflows.models.flows"):
        flows.forget_ready()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let what is being written in threads come to its end while the test's database is still its own."""
    # Only then: it imports the models, which need the settings of this file.
    if keeping := sys.modules.get("callflows.keeping"):
        keeping.KEEPER.settle()
    if refusing := sys.modules.get("callflows.refusing"):
        refusing.TALLY.forget()
        refusing.THREADS.submit(bool).result(timeout=10)


def filled(home: Path, **environment: str) -> services.Deployment:
    """Return a deployment with all tables and the demo's content."""
    deployment = services.Deployment(home, environment)
    for command in ("migrate", "demo_content"):
        done = deployment.manage(command, "--verbosity", "0")
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return deployment


@pytest.fixture
def vonage(settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[RestServer]:
    """Vonage's REST API on this machine, and the application ``Test`` that may ask it."""
    from callflows.models import Application
    from tests.rest_server import APPLICATION, pem, rest_server

    with rest_server() as server:
        settings.TRUSTED_ORIGINS, settings.PUBLIC_URL = [server.url], "https://calls.example.com"
        monkeypatch.setenv("TEST_PRIVATE_KEY", pem())
        Application.objects.create(
            name="Test",
            application_id=APPLICATION,
            api_host=server.url,
            private_key_variable="TEST_PRIVATE_KEY",
        )
        yield server
        assert not server.refused


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the demo's content on SQLite; to be copied, not used."""
    return filled(tmp_path_factory.mktemp("sqlite")).home


@pytest.fixture(scope="session")
def demo_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Name of a PostgreSQL database with the demo's content, and the data folder with its files; to be copied."""
    name = f"callflows_template_{os.getpid()}"
    url = services.create_database(postgres, name)
    yield name, filled(tmp_path_factory.mktemp("postgres"), DATABASE_URL=url).home
    services.drop_database(postgres, name)


@pytest.fixture
def on_sqlite(demo_home: Path, tmp_path: Path) -> Iterator[services.Deployment]:
    """The demo's content on SQLite and the in-memory layer; start its processes with ``serve()`` and ``work()``."""
    deployment = services.Deployment(shutil.copytree(demo_home, tmp_path / "home"))
    yield deployment
    deployment.close()


@pytest.fixture
def on_postgres(
    demo_database: tuple[str, Path], postgres: str, redis: str, tmp_path: Path
) -> Iterator[services.Deployment]:
    """The demo's content on PostgreSQL and Redis, for any number of server processes."""
    (template, files), name = demo_database, f"callflows_{os.getpid()}"
    url = services.create_database(postgres, name, template)
    home = shutil.copytree(files, tmp_path / "home")
    deployment = services.Deployment(home, {"DATABASE_URL": url, "REDIS_URL": redis})
    yield deployment
    deployment.close()
    services.drop_database(postgres, name)
