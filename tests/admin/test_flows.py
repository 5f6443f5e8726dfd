from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client

from callflows.models import Branch, CallFlow
from tests.admin.forms import FLOWS, branch, field_errors, flow_data, messages, someone, step, talk
from tests.make import ECHO, make_flow, make_number, make_prompt
from tests.make import talk as talking

pytestmark = pytest.mark.django_db

ASK = step("ask", "input", **{"input.type": ["dtmf"], "input.dtmf.maxDigits": "1"})


def post(client: Client, flow: CallFlow, *steps: dict[str, Any], follow: bool = True, **more: Any) -> Any:
    data = flow_data(*steps, **{"name": flow.name, **more})
    return client.post(f"{FLOWS}{flow.pk}/change/", data, follow=follow)


def problems(client: Client, flow: CallFlow) -> list[str]:
    """Return the problems that a flow's page lists, with their steps."""
    page = client.get(f"{FLOWS}{flow.pk}/change/")
    return [f"{each.severity} {each.step}: {each.message}" for each in page.context["problems"]]


def test_steps_and_the_branches_that_name_them_are_added_in_one_save(admin_client: Client) -> None:
    branches = (branch("ask", "1", "echo"), branch("ask", "wrong", "ask", at_most="2"))
    steps = (ASK, step("echo", "connect", **{"connect.to": "ours.echo"}))
    data = flow_data(*steps, branches=branches, _publish="Save and publish")
    page = admin_client.post(f"{FLOWS}add/", data, follow=True)
    assert "Reception: version 1 is live." in messages(page)
    flow = CallFlow.objects.get()
    assert [str(each) for each in flow.branches.all()] == ["ask: 1", "ask: wrong"]
    assert flow.live is not None
    assert flow.live.published_by == User.objects.get(username="admin")
    assert not flow.unpublished


@pytest.mark.parametrize(("targets", "got"), [({}, "neither"), ({"to_step": "ask", "to_flow": True}, "both")])
def test_branch_has_exactly_one_target(admin_client: Client, targets: dict[str, Any], got: str) -> None:
    other = make_flow(ECHO)
    chosen = {**targets, **({"to_flow": other.pk} if "to_flow" in targets else {})}
    page = admin_client.post(f"{FLOWS}add/", flow_data(ASK, branches=({**branch("ask", "1"), **chosen},)))
    assert field_errors(page) == {"branches-0-to_step": [f"expected a step or a flow to lead to, got {got}"]}


def test_branch_can_lead_to_another_flow(admin_client: Client) -> None:
    other = make_flow(ECHO)
    data = flow_data(ASK, branches=(branch("ask", "1", to_flow=other.pk),), _publish="1")
    assert "Reception: version 1 is live." in messages(admin_client.post(f"{FLOWS}add/", data, follow=True))
    assert Branch.objects.get().to_flow == other


def test_flow_without_steps_is_saved_and_not_published(admin_client: Client) -> None:
    page = admin_client.post(f"{FLOWS}add/", flow_data(_publish="Save and publish"), follow=True)
    flow = CallFlow.objects.get()
    assert "Reception was not published: a flow needs at least one step: add one, then publish" in messages(page)
    assert flow.live is None
    assert problems(admin_client, flow) == ["error : a flow needs at least one step: add one, then publish"]


def test_branch_to_nowhere_blocks_publishing_and_not_saving(admin_client: Client) -> None:
    data = flow_data(ASK, branches=(branch("ask", "1", "nowhere"),), _publish="1")
    page = admin_client.post(f"{FLOWS}add/", data, follow=True)
    told = "Reception was not published: ask, 1: leads to 'nowhere', but the steps are ask"
    assert told in messages(page)
    flow = CallFlow.objects.get()
    assert flow.branches.get().to_step == "nowhere"
    assert flow.live is None


def test_step_after_a_socket_blocks_publishing_and_names_the_step(admin_client: Client) -> None:
    flow = make_flow(ECHO, talking("goodbye"), publish=False)
    assert problems(admin_client, flow) == [
        "error goodbye: stands after the socket of 'echo', where no caller comes: reach it by a branch"
    ]
    page = admin_client.post(FLOWS, {"action": "publish", "_selected_action": flow.pk}, follow=True)
    assert messages(page) == [
        "Echo was not published: goodbye: stands after the socket of 'echo', "
        "where no caller comes: reach it by a branch"
    ]


def test_unknown_value_is_a_warning_and_does_not_block(admin_client: Client) -> None:
    flow = make_flow(talking("hello", "Hello {{ caller_name }}"), publish=False)
    assert problems(admin_client, flow) == [
        "warning hello: no value is called 'caller_name': callers get its default, or nothing"
    ]
    page = admin_client.post(FLOWS, {"action": "publish", "_selected_action": flow.pk}, follow=True)
    assert messages(page) == ["Echo: version 1 is live."]


def test_draft_that_differs_is_told_on_page_and_list(admin_client: Client) -> None:
    flow = make_flow(talking("hello"))
    assert "draft differs" not in admin_client.get(FLOWS).content.decode()
    flow.steps.update(options={"text": "Good morning"})
    assert "draft differs" in admin_client.get(FLOWS).content.decode()
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/").content.decode()
    assert "The draft differs from version 1" in page


def test_publishing_the_same_again_makes_no_version(admin_client: Client) -> None:
    flow = make_flow(talking("hello"))
    page = admin_client.post(FLOWS, {"action": "publish", "_selected_action": flow.pk}, follow=True)
    assert messages(page) == ["Echo: nothing to publish, version 1 is live."]
    assert flow.versions.count() == 1


def test_new_upload_of_a_prompt_makes_the_draft_differ(admin_client: Client) -> None:
    prompt = make_prompt()
    flow = make_flow(("sound", "stream", {"prompt": prompt.pk}))
    newest = prompt.newest
    assert newest is not None
    with default_storage.open(newest.wav) as sound:
        prompt.add_version(io.BytesIO(sound.read()))
    flow.refresh_from_db()
    assert flow.unpublished


def test_second_of_two_people_is_told_and_overwrites_nothing(admin_client: Client) -> None:
    flow = make_flow(talking("hello"), publish=False)
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    anna = someone("change_callflow", "view_callflow")
    assert post(anna, flow, talk("hello", "From Anna", **row), initial=1, edit=0, follow=False).status_code == 302
    page = post(admin_client, flow, talk("hello", "From the second", **row), initial=1, edit=0)
    (told,) = field_errors(page)["__all__"]
    assert "saved by someone else while you edited it (anna, " in told
    assert "Nothing was overwritten" in told
    assert flow.steps.get().options == {"text": "From Anna"}
    assert "From the second" in page.content.decode()


def test_second_is_told_too_when_the_first_removed_the_step(admin_client: Client) -> None:
    flow = make_flow(talking("hello"), publish=False)
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    post(admin_client, flow, talk("hello", DELETE="on", **row), initial=1, edit=0)
    assert not flow.steps.exists()
    page = post(admin_client, flow, talk("hello", "From the second", **row), initial=1, edit=0)
    assert "saved by someone else" in field_errors(page)["__all__"][0]
    assert "From the second" in page.content.decode()
    assert not flow.steps.exists()


def test_saving_does_not_take_back_what_somebody_published_meanwhile(admin_client: Client) -> None:
    flow = make_flow(talking("hello"))
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    post(admin_client, flow, talk("hello", "Changed", **row), initial=1, edit=0, _publish="1")
    flow.refresh_from_db()
    assert flow.live is not None
    assert flow.live.number == 2
    assert flow.edit == 1


def test_reader_sees_the_flow_and_can_change_nothing() -> None:
    flow = make_flow(talking("hello"), publish=False)
    reader = someone("view_callflow")
    page = reader.get(f"{FLOWS}{flow.pk}/change/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "Save and publish" not in text
    assert "Add a step" not in text
    assert post(reader, flow, talk("hello"), _publish="1", follow=False).status_code == 403
    data = {"action": "publish", "_selected_action": flow.pk}
    reader.post(FLOWS, data)
    assert not flow.versions.exists()


def test_editor_without_permissions_on_steps_can_edit_them() -> None:
    flow = make_flow(talking("hello"), publish=False)
    editor = someone("change_callflow")
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    post(editor, flow, talk("hello", "Changed", **row), initial=1, edit=0, _publish="1")
    flow.refresh_from_db()
    assert flow.steps.get().options == {"text": "Changed"}
    assert flow.live is not None


def test_page_shows_what_a_call_gets_now_and_what_the_draft_would_be(admin_client: Client) -> None:
    flow = make_flow(talking("hello", "Hello {{ from }}"), ECHO)
    make_number(flow)
    flow.steps.filter(name="hello").update(options={"text": "Changed"})
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/")
    live, draft = page.context["documents"]
    assert live["title"] == "A call gets now: version 1"
    assert "Hello 447700900000" in live["text"]
    assert "wss://callflows.example/socket/…" in live["text"]
    assert '"from": "447700900001"' in live["text"]
    assert "Changed" in draft["text"]


def test_document_that_leads_into_another_flow_is_shown_whole(admin_client: Client) -> None:
    other = make_flow(ECHO, name="Other")
    flow = make_flow(talking("hello"), name="First", publish=False)
    flow.steps.update(then="flow", to_flow=other)
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/")
    (draft,) = page.context["documents"]
    assert '"action": "connect"' in draft["text"]


def test_history_tells_what_was_changed_and_published(admin_client: Client) -> None:
    flow = make_flow(talking("hello"), publish=False)
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    post(admin_client, flow, talk("hello", "Changed", **row), initial=1, edit=0, _publish="1")
    page = admin_client.get(f"{FLOWS}{flow.pk}/history/").content.decode()
    assert "Changed Text for step" in page
    assert "Published version 1." in page


def test_misspelt_outcome_is_told_with_those_that_there_are(admin_client: Client) -> None:
    flow = make_flow(ECHO, talking("away"), branches=(("echo", "faild", "away"),), publish=False)
    (told,) = [each for each in problems(admin_client, flow) if each.startswith("error")]
    assert "timeout, failed, rejected, unanswered, busy, disconnected" in told
    assert told.endswith("got 'faild'")


@pytest.mark.parametrize(("letters", "is_saved"), [(200, True), (201, False)])
def test_phrase_may_have_200_characters(admin_client: Client, letters: int, is_saved: bool) -> None:
    ask = step("ask", "input", **{"input.type": ["dtmf", "speech"]})
    phrase = ("sales " * 40)[:letters].replace(" ", "-")
    page = admin_client.post(f"{FLOWS}add/", flow_data(ask, branches=(branch("ask", phrase, "ask"),)))
    assert (page.status_code == 302) == is_saved
    if not is_saved:
        assert list(field_errors(page)) == ["branches-0-outcome"]
    else:
        assert problems(admin_client, CallFlow.objects.get()) == []


def test_warning_names_who_says_so(admin_client: Client) -> None:
    options = {"endpoint": {"type": "websocket", "uri": "wss://bot.example/a"}}
    flow = make_flow(("bot", "connect", options), publish=False)
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/")
    (warning,) = page.context["problems"]
    assert (warning.severity, warning.option, warning.source) == (
        "warning",
        "endpoint.content-type",
        "Voice OpenAPI",
    )
    assert "(Voice OpenAPI)" in page.content.decode()


def test_outcomes_are_offered_by_what_a_step_is(admin_client: Client) -> None:
    offered = admin_client.get(f"{FLOWS}add/").context["outcomes"]
    assert {"1", "#", "nothing", "wrong"} <= set(offered["input"]["dtmf"])
    assert offered["input"]["asynchronous"] == []
    assert {"failed", "limit"} <= set(offered["connect"]["ours.record"])
    assert "human" not in offered["connect"]["ours.record"]
    assert {"busy", "human", "machine", "beep"} <= set(offered["connect"]["phone"])
    assert offered["notify"][""] == ["notified"]
    assert offered["talk"][""] == []
    assert offered["first"] == ["human", "machine", "beep"]


def test_flow_can_be_made_joinable_and_that_is_published(admin_client: Client) -> None:
    flow = make_flow(talking("hello"))
    row: dict[str, Any] = {"id": flow.steps.get().pk, "flow": flow.pk}
    post(admin_client, flow, talk("hello", **row), initial=1, edit=0, joinable="on")
    flow.refresh_from_db()
    assert flow.joinable
    assert flow.unpublished
    post(admin_client, flow, talk("hello", **row), initial=1, edit=1, joinable="on", _publish="1")
    flow.refresh_from_db()
    assert flow.live is not None
    assert flow.live.as_core().flow.joinable
    post(admin_client, flow, talk("hello", **row), initial=1, edit=2)
    flow.refresh_from_db()
    assert not flow.joinable


def test_page_draws_the_flow_that_is_saved(admin_client: Client) -> None:
    flow = make_flow(talking("hello"), ECHO, branches=(("echo", "failed", "hello"),), publish=False)
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/")
    assert [box.name for box in page.context["drawing"].boxes] == ["hello", "echo"]
    assert '<a href="#step-echo">' in page.content.decode()
