from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from callflows.models import AudioPrompt, CallFlow, FlowVersion
from callflows.sockets.registry import outcomes
from tests.admin.forms import FLOWS, messages, someone
from tests.make import ask, make_flow, make_number, make_prompt, talk

pytestmark = pytest.mark.django_db(transaction=True)


def changed_flow(**options: Any) -> CallFlow:
    """Return a flow with two versions: its one talk says "Old words", and since then "New words"."""
    flow = make_flow(talk("hello", "Old words"))
    flow.steps.update(options={"text": "New words", **options})
    flow.publish(outcomes())
    return flow


def address(flow: CallFlow, number: int, publish: bool = True) -> str:
    return f"{FLOWS}{flow.pk}/versions/{number}/{'publish/' if publish else ''}"


def heard(client: Client, uuid: str) -> str:
    (action,) = ask(client, uuid=uuid, conversation_uuid=f"CON-{uuid}")
    return str(action["text"])


def test_page_lists_the_versions_and_shows_each_as_callers_got_it(admin_client: Client) -> None:
    flow = changed_flow()
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/").content.decode()
    assert address(flow, 1, publish=False) in page
    assert address(flow, 1) in page
    # What is live already needs no publishing.
    assert address(flow, 2) not in page
    old = admin_client.get(address(flow, 1, publish=False))
    assert "Old words" in old.context["document"]
    assert "New words" not in old.content.decode()


def test_old_version_is_published_again_as_a_new_one(admin_client: Client) -> None:
    flow = changed_flow()
    make_number(flow)
    assert heard(admin_client, "a" * 32) == "New words"
    page = admin_client.post(address(flow, 1), follow=True)
    assert messages(page) == ["Echo: version 3 is live, with the content of version 1."]
    flow.refresh_from_db()
    assert flow.live is not None
    assert flow.live.number == 3
    assert flow.live.document == FlowVersion.objects.get(flow=flow, number=1).document
    assert flow.live.published_by is not None
    assert heard(admin_client, "b" * 32) == "Old words"
    # Nobody's draft is lost, and the history tells.
    assert flow.steps.get().options == {"text": "New words"}
    assert flow.unpublished
    history = admin_client.get(f"{FLOWS}{flow.pk}/history/").content.decode()
    assert "Published version 1 again, as version 3." in history


def test_page_asks_first_and_says_who_gets_it(admin_client: Client) -> None:
    flow = changed_flow()
    make_number(flow)
    page = admin_client.get(address(flow, 1)).content.decode()
    assert "on +44 7700 900001" in page
    assert "instead of version 2" in page
    assert flow.versions.count() == 2


def test_version_whose_prompt_was_deleted_is_refused_with_the_reason(admin_client: Client) -> None:
    prompt = make_prompt()
    flow = make_flow(("sound", "stream", {"prompt": prompt.pk}))
    flow.steps.update(action="talk", options={"text": "New words"})
    flow.publish(outcomes())
    AudioPrompt.objects.get(pk=prompt.pk).delete()
    asking = admin_client.get(address(flow, 1))
    assert [each.message for each in asking.context["errors"]] == [
        "plays a prompt that was deleted: choose another one in the draft, and publish that"
    ]
    assert b"<form method" not in asking.content.partition(b"content-main")[2]
    page = admin_client.post(address(flow, 1), follow=True)
    assert messages(page) == [
        "version 1 was not published again: sound, prompt: "
        "plays a prompt that was deleted: choose another one in the draft, and publish that"
    ]
    assert flow.versions.count() == 2


def test_reader_sees_old_versions_and_publishes_none() -> None:
    flow = changed_flow()
    reader = someone("view_callflow")
    assert reader.get(address(flow, 1, publish=False)).status_code == 200
    assert address(flow, 1) not in reader.get(f"{FLOWS}{flow.pk}/change/").content.decode()
    assert reader.get(address(flow, 1)).status_code == 403
    assert reader.post(address(flow, 1)).status_code == 403
    assert flow.versions.count() == 2


def test_stranger_and_unknown_number_get_nothing(admin_client: Client) -> None:
    flow = changed_flow()
    assert someone("view_call").get(address(flow, 1, publish=False)).status_code == 403
    assert Client().post(address(flow, 1)).status_code == 302
    assert admin_client.get(address(flow, 3, publish=False)).status_code == 404
    assert admin_client.post(address(flow, 3)).status_code == 404
    assert flow.versions.count() == 2


def test_publishing_again_needs_the_forms_own_token(admin_client: Client) -> None:
    flow = changed_flow()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin_client.cookies
    assert strict.post(address(flow, 1)).status_code == 403
    assert flow.versions.count() == 2
