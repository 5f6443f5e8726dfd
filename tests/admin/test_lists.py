from __future__ import annotations

import pytest
from django.test import Client

from callflows.models import Job, Refusal
from tests.admin.forms import someone

pytestmark = pytest.mark.django_db

PAGES = ("application", "audioprompt", "call", "callflow", "headerset", "job", "phonenumber", "recording", "refusal")


@pytest.mark.parametrize("name", PAGES)
def test_empty_list_says_what_will_stand_there(admin_client: Client, name: str) -> None:
    page = admin_client.get(f"/admin/callflows/{name}/").content.decode()
    assert '<div class="empty-page">' in page
    assert "here" in page.split('<div class="empty-page">')[1].split("</div>")[0]


def test_list_that_a_search_emptied_says_so(admin_client: Client) -> None:
    Refusal.objects.count_up("body")
    Job.objects.create(kind="keep_recording")
    assert "Nothing fits" in admin_client.get("/admin/callflows/job/", {"q": "nothing like that"}).content.decode()


def test_jobs_and_refusals_are_only_shown(admin_client: Client) -> None:
    job = Job.objects.create(kind="keep_recording", arguments={"line": "abc"}, error="LookupError: gone")
    Refusal.objects.count_up("body")
    page = admin_client.get(f"/admin/callflows/job/{job.pk}/change/").content.decode()
    assert "LookupError: gone" in page
    assert "_save" not in page
    assert "body" in admin_client.get("/admin/callflows/refusal/").content.decode()
    assert admin_client.get("/admin/callflows/refusal/add/").status_code == 403


def test_links_of_the_header_are_those_that_one_may_see(admin_client: Client) -> None:
    page = someone("view_callflow").get("/admin/").content.decode()
    assert 'href="/admin/callflows/callflow/"' in page
    assert 'href="/admin/callflows/call/"' not in page
    assert "Callflows" in page
    assert 'href="/admin/callflows/call/"' in admin_client.get("/admin/").content.decode()


def test_pages_have_nothing_inline(admin_client: Client) -> None:
    for name in PAGES:
        page = admin_client.get(f"/admin/callflows/{name}/").content.decode()
        assert " style=" not in page
        assert "<style" not in page
