from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callflows.models import AudioPrompt, Call, CallFlow, HeaderSet
from callflows.sockets.registry import outcomes
from tests.make import ECHO, make_flow, make_number, make_prompt, talk

pytestmark = pytest.mark.django_db


def delete(client: Client, thing: Any) -> str:
    """Press Delete and confirm; return the page that refuses, or nothing."""
    name = thing._meta.model_name
    response = client.post(f"/admin/callflows/{name}/{thing.pk}/delete/", {"post": "yes"})
    return response.content.decode() if response.status_code == 200 else ""


def test_prompt_of_a_draft_is_not_deleted(admin_client: Client) -> None:
    prompt = make_prompt()
    make_flow(("message", "connect", {"app": "record", "settings": {"prompt": prompt.pk}}), publish=False)
    assert "Tone is used by step message of flow Echo (draft)" in delete(admin_client, prompt)
    assert AudioPrompt.objects.exists()


def test_prompt_of_a_live_version_is_not_deleted(admin_client: Client) -> None:
    prompt = make_prompt()
    flow = make_flow(("sound", "stream", {"prompt": prompt.pk}))
    flow.steps.all().delete()
    assert "Tone is used by step sound of flow Echo (version 1, live)" in delete(admin_client, prompt)
    assert AudioPrompt.objects.exists()


def test_prompt_that_a_running_call_may_still_reach_is_not_deleted(admin_client: Client) -> None:
    """A call keeps the versions of its start, whatever is published while it lasts."""
    prompt = make_prompt()
    flow = make_flow(("sound", "stream", {"prompt": prompt.pk}))
    call = Call.objects.create(uuid="a", started=timezone.now())
    flow.steps.update(action="talk", options={"text": "Hello"})
    flow.publish(outcomes())
    assert "step sound of flow Echo (version 1, of calls that go on now)" in delete(admin_client, prompt)
    Call.objects.filter(pk=call.pk).update(ended=timezone.now())
    assert not delete(admin_client, prompt)


def test_prompt_that_nothing_uses_is_deleted(admin_client: Client) -> None:
    assert not delete(admin_client, make_prompt())
    assert not AudioPrompt.objects.exists()


def test_header_set_of_a_draft_is_not_deleted_by_page_or_list(admin_client: Client) -> None:
    headers = HeaderSet.objects.create(name="Call")
    make_flow(("echo", "connect", {"app": "echo", "headerSet": headers.pk}))
    assert "Call is used by step echo of flow Echo (draft)" in delete(admin_client, headers)
    chosen = {"action": "delete_selected", "_selected_action": headers.pk, "post": "yes"}
    assert "is used by step echo" in admin_client.post("/admin/callflows/headerset/", chosen).content.decode()
    assert HeaderSet.objects.exists()


def test_flow_that_a_number_or_another_flow_leads_to_is_not_deleted(admin_client: Client) -> None:
    flow = make_flow(ECHO, name="Target")
    make_number(flow)
    other = make_flow(("ask", "input", {}), name="Other", branches=(("ask", "1", flow),))
    page = delete(admin_client, flow)
    assert "Target is used by number +44 7700 900001" in page
    assert "branch ask: 1 of flow Other (draft)" in page
    other.branches.all().delete()
    assert "branch ask: 1 of flow Other (live)" in delete(admin_client, flow)
    assert CallFlow.objects.filter(pk=flow.pk).exists()


def test_flow_that_nothing_uses_is_deleted(admin_client: Client) -> None:
    flow = make_flow(talk("hello"))
    assert not delete(admin_client, flow)
    assert not CallFlow.objects.exists()
