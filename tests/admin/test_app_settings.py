"""The settings of a socket app in a step's form: drawn from the app, stored as it reads them, errors at the field."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from callflows.admin.usage import used_by
from callflows.models import CallFlow
from callflows.sockets import registry
from callflows.sockets.app import Settings, SocketApp, setting
from callflows.sockets.line import Line
from tests.admin.forms import FLOWS, branch, field_errors, flow_data, messages, save_steps, saved_again, step, wrong
from tests.make import make_flow, make_prompt

pytestmark = pytest.mark.django_db

MENU: dict[str, Any] = {"connect.to": "ours.menu"}
CHOICES = "app.menu.choices"


def page_of(client: Client, options: dict[str, Any]) -> str:
    flow = make_flow(("ask", "connect", options), publish=False)
    return client.get(f"{FLOWS}{flow.pk}/change/").content.decode()


def test_menu_is_stored_as_the_app_reads_it(admin_client: Client) -> None:
    one, two = make_prompt(name="One"), make_prompt(name="Two")
    fields = {
        **MENU,
        "app.menu.prompt": one.pk,
        "app.menu.more_prompts": [two.pk, one.pk, ""],
        CHOICES: ["1", "sales", " 42 ", " help ", "", ""],
        "app.menu.timeout": "7",
        "app.menu.wrong_prompt": two.pk,
        "app.menu.wrong_limit": "0",
        "app.menu.end_key": "",
    }
    (saved,) = save_steps(admin_client, step("ask", "connect", **fields))
    assert saved.options["settings"] == {
        "prompt": one.pk,
        "more_prompts": [two.pk, one.pk],
        "choices": {"1": "sales", "42": "help"},
        "timeout": 7,
        "wrong_prompt": two.pk,
        "wrong_limit": 0,
        "end_key": "",
    }
    assert "step ask of flow Reception (draft)" in used_by(two)


def test_what_is_stored_is_shown_and_saved_again_unchanged(admin_client: Client) -> None:
    one, two = make_prompt(name="One"), make_prompt(name="Two")
    settings = {"prompt": one.pk, "more_prompts": [two.pk, two.pk], "choices": {"1": "sales", "22": "help"}}
    options = {"app": "menu", "endpoint": {"type": "websocket"}, "settings": settings}
    flow = make_flow(("ask", "connect", options), publish=False)
    assert saved_again(admin_client, flow) == options
    changed = saved_again(admin_client, flow, **{CHOICES: ["1", "sales"], "app.menu.more_prompts": [one.pk]})
    assert changed["settings"] == {"prompt": one.pk, "more_prompts": [one.pk], "choices": {"1": "sales"}}
    emptied = saved_again(admin_client, flow, **{"app.menu.more_prompts": [""]})
    assert emptied["settings"] == {"prompt": one.pk, "choices": {"1": "sales"}}


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({CHOICES: []}, CHOICES, "is required"),
        ({CHOICES: ["1", ""]}, CHOICES, "expected a key and an outcome; missing is, for 1: which outcome it chooses"),
        ({CHOICES: ["", "help"]}, CHOICES, "missing is, for help: the key that chooses it"),
        ({CHOICES: ["1", "a", "1", "b"]}, CHOICES, "1 stands twice: each key chooses one outcome"),
        ({CHOICES: ["A", "a"]}, CHOICES, "expected the keys 0 to 9, * and #, at most 20 of them, got 'A'"),
        ({CHOICES: ["1", "Sales!"]}, CHOICES, "1: expected small letters, digits and dashes, at most 40, got 'Sales!'"),
        ({CHOICES: ["1", "failed"]}, CHOICES, "1: failed has a meaning of its own, choose another name"),
        (
            {CHOICES: ["12#", "a"], "app.menu.end_key": "#"},
            "app.menu.end_key",
            "the choice 12# contains #, which would end it",
        ),
        ({"app.menu.timeout": "61"}, "app.menu.timeout", "expected at most 60, got 61"),
        ({"app.menu.timeout": "soon"}, "app.menu.timeout", "expected a whole number, got 'soon'"),
        ({"app.menu.prompt": ""}, "app.menu.prompt", "is required"),
        ({"app.menu.more_prompts": ["77"]}, "app.menu.more_prompts", "prompt 77 does not exist any more"),
        ({"app.menu.more_prompts": ["x"]}, "app.menu.more_prompts", "expected one of the list, got 'x'"),
    ],
)
def test_error_stands_at_its_setting(admin_client: Client, fields: dict[str, Any], field: str, told: str) -> None:
    right = {**MENU, "app.menu.prompt": make_prompt().pk, CHOICES: ["1", "sales"]}
    found = wrong(admin_client, step("ask", "connect", **{**right, **fields}))
    assert list(found) == [f"steps-0-{field}"]
    assert told in found[f"steps-0-{field}"][0]


def test_failed_form_shows_the_rows_that_were_typed(admin_client: Client) -> None:
    sent = step("ask", "connect", **{**MENU, CHOICES: ["1", "Sales!", "2", "help"]})
    page = admin_client.post(f"{FLOWS}add/", flow_data(sent)).content.decode()
    shown = re.findall(r'<input type="text"[^>]*name="steps-0-app.menu.choices" value="([^"]*)"', page)
    assert shown == ["1", "Sales!", "2", "help", "", ""]


def test_prompt_of_a_list_that_is_gone_is_shown_as_such(admin_client: Client) -> None:
    page = page_of(admin_client, {"app": "play", "settings": {"prompt": 1, "more_prompts": [77]}})
    assert '<option value="77" selected>77 (not known here)</option>' in page


def test_settings_have_labels_units_help_and_names_for_choices(admin_client: Client) -> None:
    page = page_of(admin_client, {"app": "menu"})
    assert "Waits for a key (s)" in page
    assert "Again after nothing (times)" in page
    assert "Once the question was heard. 1 to 60." in page
    assert '<option value="hang-up">hang up</option>' in page
    assert 'aria-label="Choices, 1: keys"' in page


def test_choices_of_a_menu_are_branches_of_its_flow(admin_client: Client) -> None:
    fields = {**MENU, "app.menu.prompt": make_prompt().pk, CHOICES: ["1", "sales"]}
    steps = (step("ask", "connect", **{**fields, "then": "end"}), step("bye", **{"talk.text": "Bye", "then": "end"}))
    taken = flow_data(*steps, branches=(branch("ask", "sales", "bye"),), _publish="Save and publish")
    response = admin_client.post(f"{FLOWS}add/", taken, follow=True)
    assert "Reception: version 1 is live." in messages(response)[-1]
    flow = CallFlow.objects.get()
    assert flow.live is not None
    assert flow.live.document["steps"][0]["options"]["settings"]["choices"] == {"1": "sales"}
    assert flow.live.document["steps"][0]["options"]["settings"]["prompt"]["version"]
    flow.branches.update(outcome="slaes")
    assert [each.path for each in flow.problems(registry.outcomes()) if each.severity == "error"] == ["ask.slaes"]


def test_lists_of_prompts_are_published_with_their_versions(admin_client: Client) -> None:
    one, two = make_prompt(name="One"), make_prompt(name="Two")
    flow = make_flow(("sound", "connect", {"app": "play", "settings": {"prompt": one.pk, "more_prompts": [two.pk]}}))
    assert flow.live is not None
    settings = flow.live.document["steps"][0]["options"]["settings"]
    newest = [one.newest, two.newest]
    assert [settings["prompt"]["version"], settings["more_prompts"][0]["version"]] == [
        each and each.pk for each in newest
    ]
    assert "step sound of flow Echo (version 1, live)" in used_by(two)
    two.versions.all().delete()
    assert [each.path for each in flow.problems(registry.outcomes(), flow.live)] == ["sound.more_prompts"]


def test_app_of_ones_own_gets_its_form_by_itself(admin_client: Client) -> None:
    class Whispering(Settings):
        softly: int = setting("How softly", "Very.", 3, unit="dB", ge=1, le=9)
        rarely: bool = setting("Only now and then", "", False, rare=True)

    async def whisper(line: Line) -> str:
        return "done"

    app = SocketApp("whisper", "Whisper", whisper, ("done",), settings=Whispering)
    with patch.dict(registry.APPS, whisper=app):
        page = page_of(admin_client, {"app": "whisper", "settings": {"rarely": True}})
        assert '<option value="ours.whisper" selected>Whisper</option>' in page
        assert "How softly (dB)" in page
        assert "(1 set)" in page
        sent = step("soft", "connect", **{"connect.to": "ours.whisper", "app.whisper.softly": "10"})
        errors = field_errors(admin_client.post(f"{FLOWS}add/", flow_data(sent)))
        assert errors == {"steps-0-app.whisper.softly": ["expected at most 9, got 10"]}
