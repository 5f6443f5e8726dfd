from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import fits
from tests.browser.test_flow_page import add_step, new_flow, press, row, said


def test_menu_is_set_up_with_its_choices_and_their_branches(operator: Page, site: str) -> None:
    page = operator
    new_flow(page, site, "Desk")
    ask = add_step(page, "ask", "connect")
    ask.get_by_label("Connect to").select_option("ours.menu")
    ask.get_by_label("Then", exact=True).select_option("end")
    ask.get_by_label("Prompt", exact=True).filter(visible=True).select_option("Demo question")
    expect(ask.get_by_label("Choices, 2: keys")).to_have_count(0)
    for place, (keys, outcome) in enumerate((("1", "sales"), ("22", "Help")), start=1):
        ask.get_by_label(f"Choices, {place}: keys").press_sequentially(keys)
        ask.get_by_label(f"Choices, {place}: outcome").press_sequentially(outcome)
    expect(ask.get_by_label("Choices, 3: keys")).to_be_visible()
    expect(ask.get_by_label("Choices, 3: outcome")).to_have_value("")
    more = ask.get_by_label("More prompts, 1").filter(visible=True)
    more.select_option("Demo refusal")
    expect(ask.get_by_label("More prompts, 2").filter(visible=True)).to_have_value("")

    add_step(page, "bye").get_by_label("Text").fill("Bye")
    page.get_by_role("button", name="Add a branch").click()
    page.keyboard.type("ask")
    branch = row(page, 0, "branch")
    branch.get_by_label("Outcome").focus()
    offered = page.locator("#outcomes option").evaluate_all("all => all.map(each => each.value)")
    assert {"nothing", "wrong", "sales", "Help", "error"} <= set(offered)
    assert not [each for each in offered if "{" in each or not each]
    branch.get_by_label("Outcome").fill("sales")
    branch.get_by_label("Go to step", exact=True).fill("bye")

    press(page, "Save and publish")
    told = page.locator(".field.errors", has=page.get_by_label("Choices, 1: keys"))
    expect(told).to_contain_text("22: expected small letters, digits and dashes, at most 40, got 'Help'")
    row(page, 0).get_by_label("Choices, 2: outcome").fill("help")
    press(page, "Save and publish")
    assert "Desk: version 1 is live." in said(page)
    expect(row(page, 0).get_by_label("Choices, 2: outcome")).to_have_value("help")
    expect(row(page, 0).get_by_label("More prompts, 1").filter(visible=True).locator("option:checked")).to_have_text(
        "Demo refusal"
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")])
def test_settings_fit_the_window_and_stand_below_their_app(
    operator: Page, site: str, width: int, scheme: Literal["dark", "light"]
) -> None:
    page = operator
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{site}/admin/callflows/callflow/")
    page.get_by_role("link", name="Menu in the socket", exact=True).click()
    step = row(page, 0)
    expect(step).to_be_visible()
    assert fits(page)
    keys, outcome = (step.get_by_label(f"Choices, 1: {each}").bounding_box() for each in ("keys", "outcome"))
    assert keys is not None
    assert outcome is not None
    # On one line, and both wide enough to be read.
    assert abs(keys["y"] - outcome["y"]) < 2
    assert keys["x"] + keys["width"] < outcome["x"]
    assert outcome["width"] > 90
    assert step.get_by_role("group", name="Menu").first.is_visible()
