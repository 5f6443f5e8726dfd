"""Knows the APIs that these tests ask, and clients of them that wait for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callflows.vonage import setup
from callflows.vonage.client import Client
from tests.rest_server import RestServer, rest_server
from tests.vonage.setup_account import KEY, SECRET, Account, served
from tests.vonage.setup_desk import BASE, Clock, Vonage


@pytest.fixture
def api() -> Iterator[RestServer]:
    with rest_server() as server:
        yield server
        assert not server.refused


@pytest.fixture
def client(api: RestServer) -> Client:
    return Client(api.account, pauses=(0.0, 0.0, 0.0))


# An account that is set up


@pytest.fixture
def account() -> Iterator[Account]:
    with served() as account:
        yield account


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of set-up requests, which passes at once."""
    found = Clock()
    monkeypatch.setattr(setup, "time", found)
    return found


@pytest.fixture
def vonage(account: Account, clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Vonage:
    """`manage.py vonage` with everything in the environment that it needs."""
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET, settings.PUBLIC_URL = KEY, SECRET, BASE
    settings.VONAGE_API_URL = settings.VONAGE_REST_URL = account.url
    settings.SIGNATURE_SECRETS, settings.DATA_DIR = {KEY: ["signature-secret"]}, tmp_path / "data"
    return Vonage(account, monkeypatch)
