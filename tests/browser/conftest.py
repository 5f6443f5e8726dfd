"""Knows the site that browser tests look at: the demo's content, one call, and an operator who is logged in."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.dates import stamp
from tests.services import Deployment

ROOM, LEG = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53", "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
PASSWORD = "a pass phrase for tests"
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Its own loop runs in this thread as long as it does: no async test may come between."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        pytest.fail(f"no Chromium at {path}: apt-get install chromium, or set CHROMIUM to the path of one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS.split())
        yield browser
        browser.close()


@contextmanager
def new_page(context: BrowserContext) -> Iterator[Page]:
    """Open a page; fail when its console shows a problem, such as what the CSP refused."""
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    for each in context.pages:
        each.close()
    assert not problems


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a fresh profile."""
    with closing(chromium.new_context()) as context, new_page(context) as page:
        yield page


@pytest.fixture(scope="package")
def site(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of our own, with the demo's content and one call."""
    deployment = with_operator(demo_home, tmp_path_factory.mktemp("site"))
    url = deployment.serve(LOG_LEVEL="WARNING").url
    place_call(url)
    yield url
    deployment.close()


def with_operator(demo_home: Path, folder: Path) -> Deployment:
    """Return the demo's content and somebody who may log in, in a folder of its own."""
    made = Deployment(shutil.copytree(demo_home, folder / "home"))
    created = made.manage(
        *("createsuperuser", "--noinput", "--username", "operator", "--email", "operator@callflows.example"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert created.returncode == 0, created.stderr
    return made


def place_call(url: str) -> None:
    """Have the menu answered, and tell of the call's end."""
    asked = {"to": "447700900003", "from": "447700900123", "uuid": LEG, "conversation_uuid": ROOM}
    event = {"uuid": LEG, "conversation_uuid": ROOM, "status": "completed", "timestamp": stamp(5)}
    told = urllib.request.Request(
        f"{url}/webhooks/events", json.dumps(event).encode(), {"Content-Type": "application/json"}
    )
    for request in (f"{url}/webhooks/answer?{urllib.parse.urlencode(asked)}", told):
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status in (200, 204)


@contextmanager
def logged_in(chromium: Browser, site: str, scripts: bool = True) -> Iterator[BrowserContext]:
    """A profile in which the operator is logged in: to be shared, for the password takes half a second to check."""
    with closing(chromium.new_context(java_script_enabled=scripts)) as context:
        page = context.new_page()
        page.goto(f"{site}/admin/")
        page.get_by_label("Username").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{site}/admin/")
        page.close()
        yield context


@pytest.fixture(scope="package")
def at_site(site: str, chromium: Browser) -> Iterator[BrowserContext]:
    """A profile in which the operator is logged in at ``site``: what pages share is loaded once."""
    with logged_in(chromium, site) as context:
        yield context


@pytest.fixture
def operator(at_site: BrowserContext) -> Iterator[Page]:
    """A new page of the operator's, who is logged in."""
    with new_page(at_site) as page:
        yield page


def fits(page: Page) -> bool:
    """Whether nothing on the page that has come is wider than the window."""
    return bool(page.locator("body").evaluate("body => body.parentNode.scrollWidth <= body.parentNode.clientWidth"))
