"""The pages from which calls are placed and controlled, at both widths and in both themes, and what a click does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD
from tests.browser.test_pages import CONTRAST
from tests.rest_server import RestServer, let_ask, rest_server
from tests.services import Deployment

CALL = """
from django.contrib.auth.models import User
from callflows.models import Application, Call
User.objects.create_superuser("operator", "", {password!r})
call = Call.objects.create(
    uuid="caller", status="answered", caller="447700900123", called="447700900001", direction="inbound",
    number_text="447700900001", application=Application.objects.get(), flow_name="Meeting",
)
call.legs.create(uuid="caller", kind="phone", caller="447700900123", direction="inbound", status="answered")
call.legs.create(uuid="agent", kind="phone", called="15550101234", direction="outbound", status="answered")
call.note("answer", "Served", data={{"ncco": [{{"action": "conversation", "name": call.room_name}}]}})
"""


@pytest.fixture(scope="module")
def vonage() -> Iterator[RestServer]:
    with rest_server() as server:
        yield server


@pytest.fixture(scope="module")
def live_site(demo_home: Path, tmp_path_factory: pytest.TempPathFactory, vonage: RestServer) -> Iterator[str]:
    """Address of a server with one live call, whose Vonage is on this machine."""
    deployment = Deployment(shutil.copytree(demo_home, tmp_path_factory.mktemp("live") / "home"))
    let_ask(deployment, vonage)
    made = deployment.manage("shell", "--command", CALL.format(password=PASSWORD))
    assert made.returncode == 0, made.stderr
    yield deployment.serve(LOG_LEVEL="WARNING", PUBLIC_URL="http://127.0.0.1").url
    deployment.close()


@pytest.fixture
def operator(live_site: str, page: Page) -> Page:
    """A browser that is logged in."""
    page.goto(f"{live_site}/admin/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{live_site}/admin/")
    return page


def fits(page: Page) -> bool:
    return not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")])
def test_pages_fit_the_window_and_can_be_read(
    operator: Page, live_site: str, width: int, scheme: Literal["dark", "light"]
) -> None:
    operator.set_viewport_size({"width": width, "height": 900})
    operator.emulate_media(color_scheme=scheme)
    operator.goto(f"{live_site}/admin/callflows/call/1/change/")
    assert fits(operator)
    for selector in (".control label", ".control .button", ".control .danger", ".control .quiet"):
        assert operator.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    operator.goto(f"{live_site}/admin/callflows/call/place/")
    assert fits(operator)
    operator.get_by_label("Flow:").select_option("Echo")
    operator.get_by_label("Call:", exact=True).fill("+44 7700 900222")
    operator.get_by_role("button", name="Call …").click()
    assert fits(operator)
    assert operator.locator(".costs").evaluate(CONTRAST) >= 4.5


def test_call_is_placed_in_two_steps(operator: Page, live_site: str, vonage: RestServer) -> None:
    operator.goto(f"{live_site}/admin/callflows/call/")
    operator.get_by_role("link", name="Place a call").click()
    operator.get_by_label("Flow:").select_option("Echo")
    operator.get_by_label("Call:", exact=True).fill("+44 7700 900222")
    operator.get_by_role("button", name="Call …").click()
    before = len(vonage.asked)
    operator.get_by_role("button", name="Call", exact=True).click()
    expect(operator.get_by_text("Vonage calls +44 7700 900222.")).to_be_visible()
    assert [(each.method, each.path) for each in vonage.asked[before:]] == [("POST", "/v1/calls")]


def test_enter_in_a_field_does_what_stands_beside_it(operator: Page, live_site: str, vonage: RestServer) -> None:
    operator.goto(f"{live_site}/admin/callflows/call/1/change/")
    before = len(vonage.asked)
    operator.get_by_role("textbox", name="Keys").fill("12#")
    operator.get_by_role("textbox", name="Keys").press("Enter")
    expect(operator.get_by_text("Vonage was told.")).to_be_visible()
    assert vonage.requests()[before:] == [("PUT", "/v1/calls/caller/dtmf", {"digits": "12#"})]


def test_party_that_was_chosen_is_muted(operator: Page, live_site: str, vonage: RestServer) -> None:
    operator.goto(f"{live_site}/admin/callflows/call/1/change/")
    before = len(vonage.asked)
    form = operator.get_by_role("form", name="One party")
    form.get_by_label("Party").select_option("phone +1 555 010 1234")
    form.get_by_role("button", name="Mute", exact=True).click()
    expect(operator.get_by_text("Vonage was told.")).to_be_visible()
    assert vonage.requests()[before:] == [("PUT", "/v1/calls/agent", {"action": "mute"})]
