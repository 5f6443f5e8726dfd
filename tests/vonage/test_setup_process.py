"""`manage.py vonage` as scripts start it: stdout, exit code, and what reaches the logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services import Deployment
from tests.vonage.setup_account import KEY, SECRET, Account, Reply, payload

pytestmark = pytest.mark.process


def test_scripts_read_one_json_object_and_an_exit_code(account: Account, tmp_path: Path) -> None:
    account.pool = payload("numbers/search_200")["numbers"]
    account.next("GET", "/number/search", Reply(429, b""))
    environment = {"VONAGE_API_KEY": KEY, "VONAGE_API_SECRET": SECRET, "VONAGE_REST_URL": account.url}
    done = Deployment(tmp_path, {**environment, "LOG_LEVEL": "DEBUG"}).manage("vonage", "search", "GB", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["count"] == 2
    assert "Vonage answered 429; trying again in 1 s" in done.stderr
    assert SECRET not in done.stderr
    assert account.seen[0].headers["authorization"].removeprefix("Basic ") not in done.stderr


def test_scripts_see_a_failure_by_the_exit_code_too(tmp_path: Path) -> None:
    environment = {"VONAGE_API_KEY": KEY, "VONAGE_API_SECRET": SECRET, "PUBLIC_URL": "https://calls.example.com"}
    done = Deployment(tmp_path, environment).manage("vonage", "check", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"].startswith("The database cannot be used: no such table")
