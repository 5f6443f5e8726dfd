from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.test import Client

from callflows.models import CallFlow, HeaderSet
from callflows.ncco.actions import ACTIONS, Talk
from callflows.ncco.option import option
from tests.admin.forms import FLOWS, field_errors, flow_data, save_steps, saved_again, step, talk, wrong
from tests.make import make_flow, make_prompt

pytestmark = pytest.mark.django_db


def test_empty_options_are_left_to_vonage(admin_client: Client) -> None:
    (saved,) = save_steps(admin_client, talk("hello", "Hello", **{"talk.loop": "", "talk.language": ""}))
    assert saved.options == {"text": "Hello"}


def test_options_are_stored_as_vonage_spells_them(admin_client: Client) -> None:
    fields = {"input.dtmf.timeOut": "7", "input.dtmf.maxDigits": "1", "input.dtmf.submitOnHash": "on"}
    (saved,) = save_steps(admin_client, step("ask", "input", **{"input.type": ["dtmf"]}, **fields))
    assert saved.options == {"type": ["dtmf"], "dtmf": {"timeOut": 7, "maxDigits": 1, "submitOnHash": True}}


def test_each_option_of_the_catalogue_has_a_field(admin_client: Client) -> None:
    page = admin_client.get(f"{FLOWS}add/").content.decode()
    for name in ("talk.text", "talk.bargeIn", "stream.streamUrl", "input.dtmf.maxDigits", "record.endOnKey"):
        assert f'name="steps-__prefix__-{name}"' in page
    for name in ("connect.websocket.uri", "connect.phone.number", "connect.sip.standardHeaders.User-to-User"):
        assert f'name="steps-__prefix__-{name}"' in page
    for name in ("connect.headerSet", "app.record.end_key", "app.play.prompt"):
        assert f'name="steps-__prefix__-{name}"' in page
    assert "eventUrl" not in page


def test_new_option_of_the_catalogue_appears_by_itself(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Whispering(Talk):
        whisper: int = option("How softly.", 3, ge=0, le=9)

    monkeypatch.setitem(ACTIONS, "talk", Whispering)
    page = admin_client.get(f"{FLOWS}add/").content.decode()
    assert 'name="steps-__prefix__-talk.whisper"' in page
    assert "How softly. 0 to 9." in page
    assert wrong(admin_client, talk("hello", **{"talk.whisper": "10"})) == {
        "steps-0-talk.whisper": ["expected at most 9, got 10"]
    }
    (saved,) = save_steps(admin_client, talk("hello", **{"talk.whisper": "9"}))
    assert saved.options == {"text": "Hello", "whisper": 9}


def test_all_errors_stand_on_their_fields_at_once(admin_client: Client) -> None:
    found = wrong(
        admin_client,
        talk("Main Menu", "x" * 1501, **{"talk.loop": "often", "talk.level": "2"}),
        step("ask", "input", **{"input.type": ["dtmf"], "input.dtmf.timeOut": "11", "input.dtmf.maxDigits": "23"}),
        step("message", "record", **{"record.endOnSilence": "2", "record.endOnKey": "12"}),
        step("away", "connect", **{"connect.to": "websocket", "connect.websocket.uri": "https://sockets.example"}),
        step("on", "talk", **{"then": "step"}),
    )
    assert {name: errors[0] for name, errors in found.items()} == {
        "steps-0-name": "Expected small letters, digits and dashes: main-menu.",
        "steps-0-talk.text": "1501 characters, at most 1500 allowed",
        "steps-0-talk.loop": "expected a whole number, got 'often'",
        "steps-0-talk.level": "expected at most 1.0, got 2.0",
        "steps-1-input.dtmf.timeOut": "expected at most 10, got 11",
        "steps-1-input.dtmf.maxDigits": "expected at most 22, got 23",
        "steps-2-record.endOnSilence": "expected at least 3, got 2",
        "steps-2-record.endOnKey": "expected one of the keys 0 to 9, * and #, got '12'",
        "steps-3-connect.websocket.uri": "expected an address that begins with wss:// or ws://, got 'https://sockets.example'",
        "steps-4-talk.text": "is required",
        "steps-4-to_step": "expected the step to go to, got nothing",
    }


def test_fields_of_another_action_do_not_count(admin_client: Client) -> None:
    (saved,) = save_steps(admin_client, talk("hello", **{"input.dtmf.timeOut": "rubbish", "record.format": "mp3"}))
    assert saved.options == {"text": "Hello"}


def test_two_steps_of_one_name_are_refused(admin_client: Client) -> None:
    assert wrong(admin_client, talk("menu"), talk("menu")) == {
        "steps-1-name": ["another step is called 'menu': each needs a name of its own"]
    }


def test_two_steps_may_swap_their_names(admin_client: Client) -> None:
    flow = make_flow(("first", "talk", {"text": "1"}), ("second", "talk", {"text": "2"}), publish=False)
    one, two = flow.steps.all()
    sent = [talk("second", "1", id=one.pk, flow=flow.pk), talk("first", "2", id=two.pk, flow=flow.pk)]
    response = admin_client.post(f"{FLOWS}{flow.pk}/change/", flow_data(*sent, initial=2, name="Echo"))
    assert response.status_code == 302, field_errors(response)
    assert [each.name for each in flow.steps.all()] == ["second", "first"]


def test_steps_come_in_the_order_of_their_places(admin_client: Client) -> None:
    steps = save_steps(admin_client, talk("last", position=2), talk("first", position=0), talk("middle", position=1))
    assert [each.name for each in CallFlow.objects.get().steps.all()] == ["first", "middle", "last"]
    assert len(steps) == 3


def test_empty_new_row_is_no_step(admin_client: Client) -> None:
    assert [each.name for each in save_steps(admin_client, talk("hello"), step("", "talk"))] == ["hello"]


def test_removed_row_is_not_checked(admin_client: Client) -> None:
    assert len(save_steps(admin_client, talk("hello"), step("", "connect", DELETE="on"))) == 1


def test_stream_plays_a_prompt_or_an_address(admin_client: Client) -> None:
    prompt = make_prompt()
    assert wrong(admin_client, step("sound", "stream")) == {
        "steps-0-stream.prompt": ["choose a prompt, or give an address elsewhere"]
    }
    both = {"stream.prompt": prompt.pk, "stream.streamUrl": "https://sounds.example/a.mp3"}
    assert wrong(admin_client, step("sound", "stream", **both)) == {
        "steps-0-stream.streamUrl": ["expected a prompt or an address, got both: leave one of them out"]
    }
    ours, elsewhere = save_steps(
        admin_client,
        step("ours", "stream", **{"stream.prompt": prompt.pk}),
        step("elsewhere", "stream", **{"stream.streamUrl": "https://sounds.example/a.mp3"}),
    )
    assert ours.options == {"prompt": prompt.pk}
    assert elsewhere.options == {"streamUrl": ["https://sounds.example/a.mp3"]}


def test_connect_stores_app_settings_and_header_set(admin_client: Client) -> None:
    headers, prompt = HeaderSet.objects.create(name="Call"), make_prompt()
    fields = {
        "connect.to": "ours.record",
        "app.record.prompt": prompt.pk,
        "app.record.max_seconds": "30",
        "app.record.end_key": "",
        "app.record.end_silence": "0",
        "connect.websocket.content-type": "audio/l16;rate=8000",
        "connect.headerSet": headers.pk,
        "connect.timeout": "20",
    }
    (saved,) = save_steps(admin_client, step("message", "connect", **fields))
    assert saved.options == {
        "endpoint": {"type": "websocket", "content-type": "audio/l16;rate=8000"},
        "app": "record",
        "settings": {"prompt": prompt.pk, "beep": False, "max_seconds": 30, "end_key": ""},
        "headerSet": headers.pk,
        "timeout": 20,
    }


def test_settings_of_the_chosen_app_are_checked_by_its_own_model(admin_client: Client) -> None:
    fields = {"connect.to": "ours.play", "app.play.loop": "1001", "app.record.max_seconds": "rubbish"}
    assert wrong(admin_client, step("sound", "connect", **fields)) == {
        "steps-0-app.play.prompt": ["is required"],
        "steps-0-app.play.loop": ["expected at most 1000, got 1001"],
    }


def test_changing_the_app_gives_up_the_settings_of_the_other(admin_client: Client) -> None:
    options = {"app": "record", "settings": {"max_seconds": 30}, "timeout": 20}
    flow = make_flow(("message", "connect", options), publish=False)
    socket = {"type": "websocket"}
    changed = saved_again(admin_client, flow, **{"connect.to": "ours.echo"})
    assert changed == {"endpoint": socket, "app": "echo", "timeout": 20}
    elsewhere = {"connect.to": "websocket", "connect.websocket.uri": "wss://sockets.example/a"}
    changed = saved_again(admin_client, flow, **elsewhere)
    assert changed == {"endpoint": {**socket, "uri": "wss://sockets.example/a"}, "timeout": 20}


def test_unknown_options_and_quoted_numbers_stay_when_a_step_is_saved(admin_client: Client) -> None:
    options = {"text": "Hello", "loop": "2", "eventUrl": ["https://other.example"], "mood": {"kind": "glad"}}
    flow = make_flow(("hello", "talk", options), publish=False)
    assert saved_again(admin_client, flow, **{"talk.text": "Good morning"}) == {**options, "text": "Good morning"}
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/").content.decode()
    assert "Kept as they came" in page
    assert "https://other.example" in page


@pytest.mark.parametrize(
    "options",
    [
        {"text": " Hello\n there ", "bargeIn": False, "level": 0.5, "loop": 1},
        {"text": "Hello", "premium": True, "providerOptions": {"a": 1}},
    ],
)
def test_saving_what_the_page_shows_changes_nothing(admin_client: Client, options: dict[str, Any]) -> None:
    flow = make_flow(("hello", "talk", options), publish=False)
    assert saved_again(admin_client, flow) == options


def test_flag_that_was_on_can_be_taken_off(admin_client: Client) -> None:
    flow = make_flow(("hello", "talk", {"text": "Hello", "premium": True}), publish=False)
    assert saved_again(admin_client, flow, **{"talk.premium": False}) == {"text": "Hello"}


def test_prompt_that_is_gone_is_told_on_its_field(admin_client: Client) -> None:
    flow = make_flow(("sound", "stream", {"prompt": 77}), publish=False)
    one = flow.steps.get()
    sent = step("sound", "stream", **{"stream.prompt": 77, "id": one.pk, "flow": flow.pk})
    page = admin_client.post(f"{FLOWS}{flow.pk}/change/", flow_data(sent, initial=1, name="Echo"))
    assert field_errors(page) == {"steps-0-stream.prompt": ["prompt 77 does not exist any more: choose another one"]}


def test_a_page_of_many_steps_reads_prompts_and_flows_once(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    names = itertools.islice(("talk", "stream", "connect"), 3)
    options: dict[str, dict[str, Any]] = {
        "talk": {"text": "Hello"},
        "stream": {"streamUrl": ["https://sounds.example/a.mp3"]},
        "connect": {"app": "echo"},
    }
    kinds = list(names) * 7
    steps = [(f"step-{place}", kind, options[kind]) for place, kind in enumerate(kinds)]
    flow = make_flow(*steps, publish=False)
    with django_assert_max_num_queries(40):
        assert admin_client.get(f"{FLOWS}{flow.pk}/change/").status_code == 200


def test_flow_of_a_hundred_steps_with_many_options_is_saved(admin_client: Client) -> None:
    """Django by itself takes 1,000 fields, and drops a whole form that has more."""
    typed = {f"connect.{name}": "" for name in ("from", "timeout", "limit", "machineDetection", "phone.dtmfAnswer")}
    phone = {"connect.to": "phone", "connect.phone.number": "447700900222"}
    steps = [step(f"step-{place}", "connect", to_step="", to_flow="", **typed, **phone) for place in range(100)]
    assert len(save_steps(admin_client, *steps)) == 100
