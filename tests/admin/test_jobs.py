"""Knows that operators see what failed in the background, and can let it run again."""

from __future__ import annotations

import pytest
from django.test import Client

from callflows.models import Job
from tests.admin.forms import messages, someone

pytestmark = pytest.mark.django_db

JOBS = "/admin/callflows/job/"


def make_job(state: str = "failed") -> Job:
    return Job.objects.create(kind="keep_recording", state=state, attempts=6, error="not today", worker="gone")


def state(job: Job) -> tuple[str, int, str]:
    job.refresh_from_db()
    return job.state, job.attempts, job.worker


def test_failed_job_is_tried_again_from_its_page(admin_client: Client) -> None:
    job = make_job()
    page = admin_client.get(f"{JOBS}{job.pk}/change/").content.decode()
    action = f"{JOBS}{job.pk}/try-again/"
    assert f'action="{action}"' in page
    response = admin_client.post(action, follow=True)
    assert messages(response) == ["The job is tried again now."]
    assert state(job) == ("waiting", 0, "")
    assert "Try again" not in response.content.decode()


def test_list_says_in_words_what_is_done_and_leads_to_the_call(admin_client: Client) -> None:
    job = make_job()
    Job.objects.update(kind="fetch_recording", arguments={"call": 7})
    for page in (admin_client.get(JOBS), admin_client.get(f"{JOBS}{job.pk}/change/")):
        text = page.content.decode()
        assert "fetch recording" in text
        assert '<a href="/admin/callflows/call/7/change/">call 7</a>' in text
    (kinds,) = [each for each in admin_client.get(JOBS).context["cl"].filter_specs if each.title == "kind"]
    assert [each["display"] for each in kinds.choices(admin_client.get(JOBS).context["cl"])][1:] == ["fetch recording"]
    assert len(admin_client.get(JOBS, {"kind": "fetch_recording"}).context["cl"].queryset) == 1


def test_failed_jobs_are_tried_again_from_the_list(admin_client: Client) -> None:
    jobs = [make_job(), make_job(), make_job("done")]
    chosen = {"action": "try_again", "_selected_action": [job.pk for job in jobs]}
    assert messages(admin_client.post(JOBS, chosen, follow=True)) == ["2 jobs are tried again now."]
    assert [state(job)[0] for job in jobs] == ["waiting", "waiting", "done"]


@pytest.mark.parametrize("kind", ["waiting", "done"])
def test_job_that_did_not_fail_is_left_as_it_is(admin_client: Client, kind: str) -> None:
    job = make_job(kind)
    response = admin_client.post(f"{JOBS}{job.pk}/try-again/", follow=True)
    assert messages(response) == ["Only failed jobs are tried again, and this was none."]
    assert state(job) == (kind, 6, "gone")


def test_trying_again_needs_a_post_and_the_permission(admin_client: Client) -> None:
    job = make_job()
    action = f"{JOBS}{job.pk}/try-again/"
    assert admin_client.get(action).status_code == 405
    reader = someone("view_job")
    assert "Try again" not in reader.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "try_again" not in reader.get(JOBS).content.decode()
    assert reader.post(action).status_code == 403
    assert state(job)[0] == "failed"
    assert someone("view_job", "change_job", name="ben").post(action).status_code == 302
    assert state(job)[0] == "waiting"
    assert admin_client.post(f"{JOBS}999/try-again/").status_code == 404
