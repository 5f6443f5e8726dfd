"""Addresses below a path of another project, and the settings that it need not name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from django.urls import set_script_prefix
from pytest_django import Settings

from callflows import prefix as module
from callflows.control.accounts import public_url
from callflows.defaults import DEFAULTS, PROXIES, fill
from callflows.prefix import local_prefix, prefix
from callflows.serving.proxies import Proxies
from callflows.webhooks.handler import with_short_way
from project.environment import Environment, names
from tests.make import ECHO, make_flow, make_number, make_prompt, talk
from tests.services import BASE_DIR

# What a project names itself, for Django or because the next line of `fill` says it.
THEIRS = {"ASGI_APPLICATION", "BASE_DIR", "CHANNEL_LAYERS", "DATA_DIR", "RECORDINGS_OPEN", "ROOT_URLCONF"}


@pytest.fixture
def below(settings: Settings) -> Iterator[None]:
    """Our URLs below /voice/, as another project includes them."""
    settings.ROOT_URLCONF, settings.PUBLIC_URL = "tests.other_project.urls", "https://shop.example.com"
    module._reversed.cache_clear()
    yield
    module._reversed.cache_clear()


def test_path_is_that_of_the_urlconf_behind_the_script_name(below: None, settings: Settings) -> None:
    # A server that has told its thread another one first changes nothing for the others.
    set_script_prefix("/elsewhere/")
    try:
        assert (prefix(), local_prefix()) == ("/voice", "/voice")
    finally:
        set_script_prefix("/")
    settings.FORCE_SCRIPT_NAME = "/shop/"
    assert (prefix(), local_prefix()) == ("/shop/voice", "/voice")
    settings.ROOT_URLCONF = "project.urls"
    assert (prefix(), local_prefix()) == ("/shop", "")


async def test_short_way_is_taken_below_the_path_and_nowhere_else(below: None) -> None:
    asked: list[str] = []

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    application = with_short_way(whole)
    for path in ("/voice/webhooks/answer", "/webhooks/answer", "/voice/webhooksx", "/staff/"):
        await application({"type": "http", "path": path}, gone, send)
    assert asked == ["/webhooks/answer", "/voice/webhooksx", "/staff/"]


@pytest.mark.django_db
def test_calls_out_pages_and_documents_name_the_path(below: None, admin_client: Client) -> None:
    prompt = make_prompt().versions.get()
    said = ("tone", "stream", {"prompt": prompt.prompt_id})
    flow = make_flow(talk("hello"), said, ("keys", "input", {"type": ["dtmf"]}), ECHO)
    make_number(flow)
    assert public_url() == "https://shop.example.com/voice"
    page = admin_client.get(f"/staff/callflows/callflow/{flow.pk}/change/").content.decode()
    out = StringIO()
    call_command("export_ncco", flow=flow.name, stdout=out, stderr=StringIO())
    for text in (page, out.getvalue()):
        paths = set(re.findall(r"//shop\.example\.com(/\w+/\w+)/", text))
        assert paths >= {"/voice/socket", "/voice/sounds"}
        assert all(path.startswith("/voice/") for path in paths)


def test_every_setting_that_is_read_has_a_default() -> None:
    read = {
        name
        for file in (BASE_DIR / "callflows").rglob("*.py")
        for name in re.findall(r"(?<![\w.])settings\.([A-Z][A-Z_]+)", file.read_text())
    }
    assert read > {"PUBLIC_URL", "SAFE_NCCO", "PROXIES"}
    assert {name for name in read - THEIRS - DEFAULTS.keys() if not hasattr(global_settings, name)} == set()


def test_defaults_are_those_of_this_project() -> None:
    environment = {name: field.default for name, field in Environment.model_fields.items()}
    for name in DEFAULTS.keys() - {"SAFE_NCCO", "PROXIES"}:
        assert DEFAULTS[name] == environment[name] or not (DEFAULTS[name] or environment[name]), name
    assert list(PROXIES) == names(environment["PROXIES"])


def test_what_a_project_sets_is_kept(tmp_path: Any) -> None:
    found = SimpleNamespace(MEDIA_ROOT=str(tmp_path), DATA_DIR=str(tmp_path), MAX_LINES=7, PROXIES=["10.0.0.0/8"])
    fill(found)
    assert (7, Proxies.parse(["10.0.0.0/8"]), tmp_path) == (found.MAX_LINES, found.PROXIES, found.DATA_DIR)
    assert tmp_path / "recordings" / "open" == found.RECORDINGS_OPEN
    other = SimpleNamespace(MEDIA_ROOT="")
    fill(other)
    other.SIGNATURE_SECRETS["a1b2c3d4"] = ["x"]
    assert DEFAULTS["SIGNATURE_SECRETS"] == {}
    with pytest.raises(ImproperlyConfigured, match=r"PROXIES: '10\.0\.0' does not"):
        fill(SimpleNamespace(MEDIA_ROOT="", PROXIES=["10.0.0"]))
