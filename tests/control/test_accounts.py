"""Knows how applications become accounts: keys, hosts that are believed, and rates that all processes share."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from callflows.control.accounts import account_of, client_for, client_of, private_key, public_url
from callflows.models import Application, Call, Pace
from callflows.vonage.account import VonageError
from tests.rest_server import APPLICATION, RestServer, let_ask, pem, rest_server
from tests.services import BASE_DIR, Deployment

LOOKS_ALIKE = "https://evil-vonage.com"


def test_key_stands_in_a_variable_or_in_the_file_that_one_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert private_key("") == private_key("OUR_KEY") == ""
    path = tmp_path / "private.key"
    path.write_text(pem())
    monkeypatch.setenv("OUR_KEY_FILE", str(path))
    assert private_key("OUR_KEY") == pem()
    monkeypatch.setenv("OUR_KEY", pem().replace("\n", "\\n"))
    assert private_key("OUR_KEY") == pem()


def test_file_that_cannot_be_read_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY_FILE", "/nowhere/private.key")
    with pytest.raises(VonageError, match="OUR_KEY_FILE names '/nowhere/private"):
        private_key("OUR_KEY")


def test_call_without_application_cannot_be_controlled() -> None:
    with pytest.raises(VonageError, match="belongs to no application: give its number one"):
        account_of(None)


def test_without_public_url_it_says_so(settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    with pytest.raises(VonageError, match="PUBLIC_URL is not set"):
        public_url()


def make_call(region_url: str = "") -> Call:
    return Call.objects.create(uuid="leg", application=Application.objects.get(), region_url=region_url)


def test_call_is_asked_for_at_its_region(vonage: RestServer) -> None:
    Application.objects.update(api_host="https://api.nexmo.com")
    client_of(make_call(vonage.url)).request("GET", "/v1/calls/leg")
    assert [each.path for each in vonage.asked] == ["/v1/calls/leg"]


def test_host_that_is_not_believed_is_told_once_and_not_asked(vonage: RestServer) -> None:
    call = make_call(LOOKS_ALIKE)
    for _ in range(2):
        client_of(call).request("GET", "/v1/calls/leg")
    assert len(vonage.asked) == 2
    assert [each.text for each in call.timeline.all()] == [
        f"The host {LOOKS_ALIKE} is none of Vonage's over https: the application's own is asked instead"
    ]


def test_rates_are_kept_for_each_application(vonage: RestServer) -> None:
    client_for(Application.objects.get()).request("POST", "/v1/calls", json={})
    client_for(Application.objects.get()).request("GET", "/v1/calls")
    assert set(Pace.objects.values_list("name", flat=True)) == {f"{APPLICATION}:calls", f"{APPLICATION}:requests"}


PIPES: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
PLACE = """
import django; django.setup()
from callflows.control.accounts import client_for
from callflows.models import Application
client = client_for(Application.objects.get())
print("ready", flush=True)
input()
for _ in range(4):
    client.request("POST", "/v1/calls", json={})
"""


def test_two_processes_together_place_three_calls_a_second(on_postgres: Deployment) -> None:
    with rest_server() as vonage:
        let_ask(on_postgres, vonage)
        variables = on_postgres.variables(DJANGO_SETTINGS_MODULE="project.settings")
        both = [subprocess.Popen([sys.executable, "-c", PLACE], cwd=BASE_DIR, env=variables, **PIPES) for _ in range(2)]
        assert [each.stdout.readline() for each in both if each.stdout] == ["ready\n"] * 2
        begun = time.monotonic()
        for each in both:
            assert each.stdin
            each.stdin.write("go\n")
            each.stdin.flush()
        for each in both:
            _, said = each.communicate(timeout=60)
            assert each.returncode == 0, said
        times = [each.at - begun for each in vonage.asked]
    assert len(times) == 8
    # A busy machine may hold each of them up, and lets none come before its turn.
    assert times[3] > 0.95
    assert times[6] > 1.95
