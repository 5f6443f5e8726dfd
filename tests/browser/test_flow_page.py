from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def row(page: Page, place: int, kind: str = "step") -> Locator:
    """Return a step's or branch's row by its place on the page, from 0."""
    return page.locator(f"[data-row-list] .{kind}").nth(place)


def names(page: Page) -> list[str]:
    return [each.get_by_label("Name").input_value() for each in page.locator("[data-row-list] .step").all()]


def add_step(page: Page, name: str, action: str = "talk") -> Locator:
    """Press the button by keyboard; the new row's first field has the focus."""
    page.get_by_role("button", name="Add a step").press("Enter")
    page.keyboard.type(name)
    added = page.locator("[data-row-list] .step").last
    added.get_by_label("Action").select_option(action)
    return added


def new_flow(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/admin/callflows/callflow/add/")
    page.get_by_label("Name:").fill(name)


def press(page: Page, name: str) -> None:
    """Press a button that sends the form, and wait for the page that comes."""
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()


def shown(row: Locator, label: str) -> Locator:
    """Return the field of the chosen action; others of the same name are hidden."""
    return row.get_by_label(label).filter(visible=True)


def said(page: Page) -> str:
    return page.locator(".messagelist").inner_text()


def test_flow_is_made_ordered_and_published_by_keyboard_and_mouse(operator: Page, site: str) -> None:
    page = operator
    new_flow(page, site, "Reception")
    echo = add_step(page, "echo", "connect")
    echo.get_by_label("Connect to").select_option("ours.echo")
    add_step(page, "menu", "input").get_by_label("Max digits").fill("1")
    add_step(page, "hello").get_by_label("Text").fill("Press one.")

    up = row(page, 2).get_by_role("button", name="Move this step up")
    up.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert names(page) == ["hello", "echo", "menu"]
    expect(row(page, 0).get_by_role("button", name="Move this step down")).to_be_focused()

    drag(page, row(page, 2), row(page, 1))
    assert names(page) == ["hello", "menu", "echo"]

    page.get_by_role("button", name="Add a branch").click()
    page.keyboard.type("menu")
    branch = row(page, 0, "branch")
    branch.get_by_label("Outcome").fill("1")
    branch.get_by_label("Go to step", exact=True).fill("echo")
    offered = page.locator("#step-names option").evaluate_all("all => all.map(each => each.value)")
    assert offered == ["hello", "menu", "echo"]

    press(page, "Save and publish")
    assert "Reception: version 1 is live." in said(page)
    assert names(page) == ["hello", "menu", "echo"]
    assert page.get_by_text("A call gets now: version 1").is_visible()


def drag(page: Page, source: Locator, target: Locator) -> None:
    """Drag a row by its handle to the upper edge of another one."""
    source.scroll_into_view_if_needed()
    handle, to = source.locator("[data-row-handle]"), target.bounding_box()
    at = handle.bounding_box()
    assert to is not None
    assert at is not None
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(to["x"] + 20, to["y"] + 5, steps=8)
    page.mouse.up()


def test_only_the_fields_of_the_chosen_action_and_app_are_shown(operator: Page, site: str) -> None:
    new_flow(operator, site, "Fields")
    step = add_step(operator, "one")
    step.get_by_label("Text").fill("Hello")
    expect(step.get_by_label("Connect to")).to_have_count(0)
    step.get_by_label("Action").select_option("connect")
    expect(step.get_by_label("Text")).to_be_hidden()
    step.get_by_label("Connect to").select_option("ours.record")
    expect(step.get_by_label("Ends at key")).to_be_visible()
    expect(step.get_by_label("Ends at key")).to_have_value("#")
    expect(step.get_by_label("Address", exact=True)).to_be_hidden()
    step.get_by_label("Connect to").select_option("an audio socket elsewhere")
    expect(step.get_by_label("Ends at key")).to_be_hidden()
    expect(step.get_by_label("Address", exact=True)).to_be_visible()
    expect(step.get_by_label("Flow")).to_be_hidden()
    step.get_by_label("Then").select_option("flow")
    expect(step.get_by_label("Flow")).to_be_visible()
    step.get_by_label("Action").select_option("talk")
    expect(step.get_by_label("Text")).to_have_value("Hello")


def test_endpoint_decides_which_fields_are_shown_and_a_failed_save_keeps_them(operator: Page, site: str) -> None:
    new_flow(operator, site, "Endpoints")
    step = add_step(operator, "away", "connect")
    step.get_by_label("Connect to").select_option("a phone")
    for label, is_there in (("Number", True), ("Machine detection", True), ("Sound", False), ("User", False)):
        expect(step.get_by_label(label, exact=True).first).to_be_visible(visible=is_there)
    step.get_by_label("Number", exact=True).fill("12")
    step.get_by_text("More options").filter(visible=True).click()
    step.get_by_label("Show any number").check()
    expect(step.get_by_label("Shown number")).to_be_hidden()
    step.get_by_label("Connect to").select_option("an extension (VBC)")
    expect(step.get_by_label("Number", exact=True)).to_be_hidden()
    expect(step.get_by_label("Extension")).to_be_visible()
    step.get_by_label("Connect to").select_option("a phone")
    expect(step.get_by_label("Number", exact=True)).to_have_value("12")
    press(operator, "Save draft")
    step = row(operator, 0)
    assert "7 to 15 digits" in step.inner_text()
    expect(step.get_by_label("Number", exact=True)).to_have_value("12")
    expect(step.get_by_label("Show any number")).to_be_checked()
    expect(step.get_by_label("Extension")).to_be_hidden()
    step.get_by_label("Number", exact=True).fill("447700900222")
    press(operator, "Save draft")
    assert "successfully" in said(operator)
    assert '"randomFromNumber": true' in operator.locator("pre.json").last.inner_text()


def test_choices_inside_a_step_bring_the_fields_that_they_need(operator: Page, site: str) -> None:
    new_flow(operator, site, "Choices")
    ask = add_step(operator, "ask", "input")
    expect(ask.get_by_label("Max digits")).to_be_visible()
    expect(ask.get_by_role("group", name="Speech").first).to_be_hidden()
    ask.get_by_label("speech", exact=True).check()
    ask.get_by_label("keys", exact=True).uncheck()
    expect(ask.get_by_label("Max digits")).to_be_hidden()
    expect(ask.get_by_label("Likely words")).to_be_visible()
    tape = add_step(operator, "tape", "record")
    tape.get_by_text("More options").filter(visible=True).click()
    expect(tape.get_by_label("Transcribe in")).to_be_hidden()
    tape.get_by_label("Transcription").check()
    expect(tape.get_by_label("Transcribe in")).to_be_visible()
    bot = add_step(operator, "bot", "connect")
    bot.get_by_text("More options").filter(visible=True).click()
    bot.get_by_label("Authorization").select_option("a value of one's own")
    expect(bot.get_by_label("Value")).to_be_visible()
    bot.get_by_label("Authorization").select_option("signed by Vonage")
    expect(bot.get_by_label("Value")).to_be_hidden()


def test_branch_is_offered_the_outcomes_of_its_step(operator: Page, site: str) -> None:
    new_flow(operator, site, "Outcomes")
    add_step(operator, "first")
    add_step(operator, "ask", "input")
    add_step(operator, "echo", "connect").get_by_label("Connect to").select_option("ours.record")
    operator.get_by_role("button", name="Add a branch").click()
    branch = row(operator, 0, "branch")
    for step, some, never in (
        ("ask", {"1", "nothing", "wrong"}, {"busy", "human"}),
        ("echo", {"failed", "limit", "key"}, {"1", "human"}),
        ("first", {"human", "machine", "beep"}, {"1", "failed"}),
    ):
        branch.get_by_label("After step").fill(step)
        branch.get_by_label("Outcome").focus()
        offered = set(operator.locator("#outcomes option").evaluate_all("all => all.map(each => each.value)"))
        assert some <= offered
        assert not never & offered


def test_old_version_is_published_again_after_asking(operator: Page, site: str) -> None:
    new_flow(operator, site, "Rollback")
    add_step(operator, "hello").get_by_label("Text").fill("Old words")
    press(operator, "Save and publish")
    operator.get_by_label("Text").first.fill("New words")
    press(operator, "Save and publish")
    operator.get_by_role("link", name="Publish again…").click()
    assert "Old words" in operator.locator("pre.json").inner_text()
    press(operator, "Publish version 1 again")
    assert "Rollback: version 3 is live, with the content of version 1." in said(operator)
    assert operator.get_by_label("Text").first.input_value() == "New words"
    assert "Old words" in operator.locator("pre.json").first.inner_text()


def test_failed_save_keeps_rows_order_and_texts_and_shows_the_errors(operator: Page, site: str) -> None:
    new_flow(operator, site, "Errors")
    add_step(operator, "one").get_by_label("Text").fill("The first")
    second = add_step(operator, "two")
    second.get_by_text("More options").click()
    shown(second, "Loop").fill("often")
    second.get_by_role("button", name="Move this step up").click()
    press(operator, "Save draft")
    assert names(operator) == ["two", "one"]
    first = row(operator, 0)
    expect(first.locator(".field.errors")).to_have_count(2)
    assert "expected a whole number, got 'often'" in first.inner_text()
    assert "is required" in first.inner_text()
    shown(first, "Loop").fill("2")
    first.get_by_label("Text").fill("The second")
    press(operator, "Save draft")
    assert names(operator) == ["two", "one"]
    assert row(operator, 1).get_by_label("Text").input_value() == "The first"


def test_removed_rows_are_gone_after_saving_new_ones_too(operator: Page, site: str) -> None:
    new_flow(operator, site, "Removing")
    for name in ("one", "two", "three"):
        add_step(operator, name).get_by_label("Text").fill(name)
    row(operator, 1).get_by_label("Remove").check()
    press(operator, "Save draft")
    assert names(operator) == ["one", "three"]
    add_step(operator, "four").get_by_label("Text").fill("four")
    row(operator, 2).get_by_role("button", name="Move this step up").click()
    row(operator, 0).get_by_label("Remove").check()
    press(operator, "Save draft")
    assert names(operator) == ["four", "three"]


def test_flow_of_many_steps_is_saved_whole(operator: Page, site: str) -> None:
    """Only shown fields are sent: Django takes no more than 1,000."""
    new_flow(operator, site, "Long")
    operator.get_by_role("button", name="Add a step").evaluate(
        "button => { for (let n = 0; n < 40; n++) button.click() }"
    )
    operator.locator("[data-row-list]").first.evaluate(FILL)
    press(operator, "Save draft")
    assert "successfully" in said(operator)
    assert len(names(operator)) == 40


FILL = """list => [...list.children].forEach((row, place) => {
  row.querySelector("[name$=-name]").value = `step-${place}`;
  row.querySelector("[name$='-talk.text']").value = `Number ${place}`;
})"""


def test_second_person_reads_who_saved_meanwhile(operator: Page, site: str) -> None:
    new_flow(operator, site, "Two people")
    add_step(operator, "one").get_by_label("Text").fill("The first")
    press(operator, "Save draft")
    other = operator.context.new_page()
    other.goto(operator.url)
    other.get_by_label("Text").first.fill("The other")
    press(other, "Save draft")
    operator.get_by_label("Text").first.fill("Mine")
    press(operator, "Save draft")
    assert (
        "saved by someone else while you edited it (operator, "
        in operator.locator(".errornote + .errorlist").inner_text()
    )
    assert operator.get_by_label("Text").first.input_value() == "Mine"
    other.reload()
    assert other.get_by_label("Text").first.input_value() == "The other"
