"""The pages from which calls are placed and controlled, at both widths and in both themes, and what a click does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD, fits, logged_in, new_page
from tests.browser.test_pages import CONTRAST
from tests.rest_server import Reply, RestServer, let_ask, rest_server
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
other = Call.objects.create(
    uuid="other", status="answered", caller="447700900124", direction="inbound", application=call.application
)
other.legs.create(uuid="other", kind="phone", caller="447700900124", direction="inbound", status="answered")
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


@pytest.fixture(scope="module")
def at_site(live_site: str, chromium: Browser) -> Iterator[BrowserContext]:
    with logged_in(chromium, live_site) as context:
        yield context


@pytest.fixture(scope="module")
def quiet(live_site: str, chromium: Browser) -> Iterator[BrowserContext]:
    """The same with JavaScript turned off."""
    with logged_in(chromium, live_site, scripts=False) as context:
        yield context


@pytest.fixture
def without_scripts(quiet: BrowserContext) -> Iterator[Page]:
    with new_page(quiet) as page:
        yield page


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
    form = operator.get_by_role("form", name="Keys")
    form.get_by_label("Keys").fill("12x")
    form.get_by_role("button").click()
    expect(operator.get_by_role("alert")).to_be_focused()
    assert fits(operator)
    assert operator.locator(".control .problem").evaluate(CONTRAST) >= 4.5
    operator.goto(f"{live_site}/admin/callflows/call/place/")
    assert fits(operator)
    operator.get_by_label("Flow:").select_option("Echo")
    operator.get_by_label("Call:", exact=True).fill("+44 7700 900222")
    operator.get_by_role("button", name="Call …").click()
    assert operator.locator(".costs").evaluate(CONTRAST) >= 4.5
    assert fits(operator)


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


AGENT, CALLER = "/v1/calls/agent", "/v1/calls/caller"
PARTY = {
    "Mute": "mute",
    "Unmute": "unmute",
    "Earmuff": "earmuff",
    "Unearmuff": "unearmuff",
    "Hang up this party": "hangup",
}
# Form, what is filled in, button -> what Vonage is asked, of whom.
CLICKS: list[tuple[str, dict[str, str], str, tuple[str, str, Any]]] = [
    *(("One party", {}, word, ("PUT", AGENT, {"action": action})) for word, action in PARTY.items()),
    ("Prompt", {}, "Stop playing", ("DELETE", f"{AGENT}/stream", None)),
    ("Text", {}, "Stop saying", ("DELETE", f"{AGENT}/talk", None)),
    ("Keys", {"Keys": "1p#"}, "Send keys", ("PUT", f"{AGENT}/dtmf", {"digits": "1p#"})),
]


@pytest.mark.parametrize(("form", "filled", "button", "request_"), CLICKS, ids=lambda each: str(each)[:20])
def test_button_does_what_it_says_to_the_party_that_was_chosen(
    without_scripts: Page,
    live_site: str,
    vonage: RestServer,
    form: str,
    filled: dict[str, str],
    button: str,
    request_: tuple[str, str, Any],
) -> None:
    page, before = without_scripts, len(vonage.asked)
    page.goto(f"{live_site}/admin/callflows/call/1/change/")
    part = page.get_by_role("form", name=form)
    part.get_by_label(re.compile("^(Party|To)")).select_option("phone +1 555 010 1234")
    for label, text in filled.items():
        part.get_by_label(label).fill(text)
    part.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_text("Vonage was told.")).to_be_visible()
    assert vonage.requests()[before:] == [request_]


def test_prompt_and_text_reach_the_caller(without_scripts: Page, live_site: str, vonage: RestServer) -> None:
    page, before = without_scripts, len(vonage.asked)
    for form, button in (("Prompt", "Play to them"), ("Text", "Say to them")):
        page.goto(f"{live_site}/admin/callflows/call/1/change/")
        part = page.get_by_role("form", name=form)
        if form == "Text":
            part.get_by_label("Text").fill("One moment")
        part.get_by_role("button", name=button).click()
        expect(page.get_by_text("Vonage was told.")).to_be_visible()
    played, said = vonage.requests()[before:]
    assert played[:2] == ("PUT", f"{CALLER}/stream")
    assert played[2]["stream_url"][0].startswith("http://127.0.0.1/sounds/")
    assert said[:2] == ("PUT", f"{CALLER}/talk")
    assert (said[2]["text"], said[2]["language"]) == ("One moment", "en-GB")


def test_app_joins_after_a_question(without_scripts: Page, live_site: str, vonage: RestServer) -> None:
    page, before = without_scripts, len(vonage.asked)
    page.goto(f"{live_site}/admin/callflows/call/1/change/")
    part = page.get_by_role("form", name="Join")
    part.get_by_label("only listens").check()
    part.get_by_role("button").click()
    expect(page.get_by_text("This costs money")).to_be_visible()
    assert len(vonage.asked) == before
    page.get_by_role("button", name="Join the call").click()
    expect(page.get_by_text("Vonage was told.")).to_be_visible()
    ((method, path, body),) = vonage.requests()[before:]
    assert (method, path) == ("POST", "/v1/calls")
    assert body["to"][0]["type"] == "websocket"
    assert body["ncco"] == [{"action": "conversation", "name": "callflows-1", "canSpeak": []}]


def test_caller_is_transferred_and_a_call_ended(without_scripts: Page, live_site: str, vonage: RestServer) -> None:
    page, before = without_scripts, len(vonage.asked)
    page.goto(f"{live_site}/admin/callflows/call/2/change/")
    part = page.get_by_role("form", name="Transfer")
    part.get_by_label("Flow").select_option("Menu")
    part.get_by_role("button", name="Transfer the caller").click()
    expect(page.get_by_text("Vonage was told.")).to_be_visible()
    page.get_by_role("button", name="End the call").click()
    expect(page.get_by_text("Vonage was told.")).to_be_visible()
    moved, ended = vonage.requests()[before:]
    assert moved[:2] == ("PUT", "/v1/calls/other")
    assert moved[2]["action"] == "transfer"
    assert moved[2]["destination"]["ncco"][0]["text"].startswith("Press 1 for the echo")
    assert ended == ("PUT", "/v1/calls/other", {"action": "hangup"})


def test_what_was_typed_is_still_there_when_vonage_refuses(
    without_scripts: Page, live_site: str, vonage: RestServer
) -> None:
    page = without_scripts
    page.goto(f"{live_site}/admin/callflows/call/1/change/")
    part = page.get_by_role("form", name="Text")
    part.get_by_label("Text").fill("One moment, please")
    vonage.replies = [Reply(404)]
    part.get_by_role("button", name="Say to them").click()
    expect(part.get_by_role("alert")).to_contain_text("It was not done. Vonage does not know this leg")
    expect(part.get_by_label("Text")).to_have_value("One moment, please")


def test_list_on_a_phone_shows_every_part_of_a_call(operator: Page, live_site: str) -> None:
    operator.set_viewport_size({"width": 390, "height": 900})
    operator.goto(f"{live_site}/admin/callflows/call/")
    assert not operator.locator("#changelist .results").evaluate("list => list.scrollWidth > list.clientWidth")
    row = operator.locator("#result_list tbody tr").last
    for part in ("shown_caller", "shown_number", "shown_status", "shown_flow", "began", "length"):
        box = row.locator(f".field-{part}").bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390, part


def test_enter_in_a_field_does_what_stands_beside_it(operator: Page, live_site: str, vonage: RestServer) -> None:
    operator.goto(f"{live_site}/admin/callflows/call/1/change/")
    before = len(vonage.asked)
    operator.get_by_role("textbox", name="Keys").fill("12#")
    operator.get_by_role("textbox", name="Keys").press("Enter")
    expect(operator.get_by_text("Vonage was told.")).to_be_visible()
    assert vonage.requests()[before:] == [("PUT", "/v1/calls/caller/dtmf", {"digits": "12#"})]
