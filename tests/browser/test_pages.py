"""Every page at both widths and in both themes: nothing wider than the window, nothing that the CSP refuses.

The fixture ``page`` fails a test whose console shows an error or a warning.
"""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import fits

MODELS = ("application", "audioprompt", "call", "callflow", "headerset", "job", "phonenumber", "recording", "refusal")
EDITED = ("application", "audioprompt", "callflow", "headerset", "phonenumber")
Scheme = Literal["dark", "light"]


def addresses(page: Page, site: str) -> list[str]:
    """Return all kinds of pages: lists, empty forms, and for each model the first thing on its list."""
    lists = [f"{site}/admin/callflows/{name}/" for name in MODELS]
    found = [
        f"{site}/admin/",
        f"{site}/admin/second-factor/",
        *lists,
        *(f"{site}/admin/callflows/{name}/add/" for name in EDITED),
    ]
    for address in lists:
        page.goto(address)
        first = page.locator("#result_list tbody a").first
        if first.count():
            link = first.get_attribute("href") or ""
            found.append(f"{site}{link.partition('?')[0]}")
    change = next(each for each in found if "/callflow/" in each and each.endswith("/change/"))
    return [*found, change.replace("/change/", "/history/"), change.replace("/change/", "/delete/")]


# Between two pages one thing changes, so that each page is loaded in one of these, and seen in all.
SEEN_IN: list[tuple[int, Scheme]] = [(1280, "light"), (390, "light"), (390, "dark"), (1280, "dark")]


def test_no_page_is_wider_than_the_window_or_troubles_the_console(operator: Page, site: str) -> None:
    wide = []
    for place, address in enumerate(addresses(operator, site)):
        seen_in = SEEN_IN[place % 4 :] + SEEN_IN[: place % 4]
        show(operator, *seen_in[0])
        response = operator.goto(address)
        assert response is not None
        assert response.status == 200, address
        for each in operator.locator(".timeline details").all():
            each.locator("summary").click()
        for width, scheme in seen_in:
            show(operator, width, scheme)
            if not fits(operator):
                wide.append((address, width, scheme))
    assert not wide


def show(page: Page, width: int, scheme: Scheme) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


def test_login_page_is_quiet_too(page: Page, site: str) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{site}/admin/")
    assert page.title() == "Log in | Callflows"
    assert fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_ground(operator: Page, site: str, scheme: Scheme) -> None:
    """WCAG AA: a contrast of 4.5 or more for text, in both themes."""
    operator.emulate_media(color_scheme=scheme)
    operator.goto(f"{site}/admin/callflows/callflow/")
    for selector in ("#result_list a", ".badge", ".zone", ".breadcrumbs", ".site-nav a", "thead th .text a"):
        assert operator.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


CONTRAST = """element => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
                         return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = color => { const [r, g, b] = rgb(color).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  let ground = element;
  while (rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [low, high] = [light(getComputedStyle(element).color), light(getComputedStyle(ground).backgroundColor)].sort();
  return (high + 0.05) / (low + 0.05);
}"""


def test_number_is_copied_as_digits(operator: Page, site: str) -> None:
    operator.goto(f"{site}/admin/callflows/call/")
    copied = operator.locator("#result_list .phone").first.evaluate(
        "element => { getSelection().selectAllChildren(element); return getSelection().toString(); }"
    )
    assert copied == "447700900123"


def test_call_page_folds_the_ncco_and_the_raw_event(operator: Page, site: str) -> None:
    operator.goto(f"{site}/admin/callflows/call/")
    operator.locator("#result_list tbody a").first.click()
    entry = operator.locator(".entry.answer")
    assert not entry.locator("pre").first.is_visible()
    entry.get_by_text("NCCO", exact=True).click()
    assert '"action": "talk"' in entry.locator("pre").first.inner_text()


def test_prompt_plays_in_its_page(operator: Page, site: str) -> None:
    operator.goto(f"{site}/admin/callflows/audioprompt/")
    operator.locator("#result_list tbody a").first.click()
    seconds = operator.locator("audio").first.evaluate(
        """audio => new Promise((done, failed) => {
          audio.onloadeddata = () => done(audio.duration);
          audio.onerror = () => failed(audio.error.message);
          audio.preload = "auto";
          audio.load();
        })"""
    )
    assert seconds > 1
