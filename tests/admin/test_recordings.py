"""Knows that operators find recordings, hear them, and read what was said, if they may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from callflows.models import Call, Recording, TimelineEntry
from tests.admin.forms import someone
from tests.admin.test_calls import make_call, make_line, page_of
from tests.payloads.test_transcript import FIXTURE

pytestmark = pytest.mark.django_db

LIST = "/admin/callflows/recording/"
TWO_CHANNELS = {
    "channels": [
        {"transcript": [{"sentence": "Who is it?", "timestamp": 0}, {"sentence": "Thank you.", "timestamp": 67_000}]},
        {"transcript": [{"sentence": "It is <me>.", "timestamp": 1500}]},
    ]
}


def make_recording(call: Call, file: str = "recordings/kept/vonage-1.mp3", **fields: Any) -> Recording:
    facts = {"source": "vonage", "recording_uuid": f"r{call.recordings.count()}", "seconds": 67.4}
    return Recording.objects.create(**{"call": call, "file": file, **facts, **fields})


def test_call_shows_recordings_of_all_sources_with_a_player(admin_client: Client) -> None:
    call = make_call()
    line = make_recording(call, "recordings/kept/x.wav", source="line", line=make_line(call), recording_uuid=None)
    vonage, speech = make_recording(call), make_recording(call, "recordings/kept/y.ogg", source="speech", seconds=None)
    page = page_of(admin_client, call)
    for recording, kind in ((line, "wav"), (vonage, "mp3"), (speech, "ogg")):
        assert f'<audio controls preload="none" src="/files/recordings/{recording.pk}.{kind}"></audio>' in page
    for what in ("echo, step echo", "Recorded by Vonage", "Speech input"):
        assert f"<span>{what}</span>" in page
    assert page.count('<span class="figure">1:07</span>') == 2


def test_recording_that_was_not_fetched_says_so(admin_client: Client) -> None:
    call = make_call()
    make_recording(call, "", seconds=None)
    page = page_of(admin_client, call)
    assert "Not fetched; the timeline says why" in page
    assert "<audio" not in page
    assert "not fetched" in admin_client.get(LIST).content.decode()


def test_transcript_is_read_as_sentences_with_times_and_channels(admin_client: Client) -> None:
    call = make_call()
    make_recording(call, transcript=TWO_CHANNELS)
    page = page_of(admin_client, call)
    places = [page.index(each) for each in ("Who is it?", "It is &lt;me&gt;.", "Thank you.")]
    assert places == sorted(places)
    assert "Channel 2" in page
    assert "<summary>Transcript</summary>" in page


def test_one_channel_alone_is_not_named_and_words_are_not_shown(admin_client: Client) -> None:
    call = make_call()
    make_recording(call, "", transcript=json.loads(FIXTURE.read_text()))
    page = page_of(admin_client, call)
    assert "Please call me back." in page
    assert '<td class="figure">0:01</td>' in page
    assert "Channel" not in page.split('id="recordings-heading"')[1].split("</section>")[0]
    assert "confidence" not in page


def test_transcript_without_a_sentence_says_so(admin_client: Client) -> None:
    call = make_call()
    make_recording(call, transcript={})
    assert "No sentence was recognized." in page_of(admin_client, call)


def test_sound_and_words_are_for_those_who_may_listen() -> None:
    call = make_call()
    make_recording(call, transcript=TWO_CHANNELS)
    page = page_of(someone("view_call"), call)
    assert "To listen you need the permission" in page
    assert "<audio" not in page
    assert "Who is it?" not in page
    assert "Who is it?" in page_of(someone("view_call", "listen_recording", name="ben"), call)


def test_list_names_call_source_length_and_when_and_leads_to_the_call(admin_client: Client) -> None:
    call = make_call()
    recording = make_recording(call, transcript={})
    page = admin_client.get(LIST).content.decode()
    assert f'<a href="/admin/callflows/call/{call.pk}/change/">' in page
    assert "Recorded by Vonage" in page
    assert "1:07" in page
    assert 'class="zone">' in page
    place = f"/admin/callflows/call/{call.pk}/change/#recording-{recording.pk}"
    assert f'href="{place}"' in page
    assert admin_client.get(f"{LIST}{recording.pk}/change/")["Location"] == place
    assert f'id="recording-{recording.pk}"' in page_of(admin_client, call)


def test_list_is_filtered_by_source(admin_client: Client) -> None:
    call = make_call()
    recording, _ = make_recording(call), make_recording(call, source="speech", recording_uuid=None)
    found = admin_client.get(LIST, {"source__exact": "vonage"}).context["cl"].queryset
    assert list(found) == [recording]


def test_list_of_50_takes_as_many_queries_as_one_of_1(
    admin_client: Client, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    call = make_call()
    make_recording(call, transcript=TWO_CHANNELS)
    admin_client.get(LIST)
    with django_assert_max_num_queries(10) as counted:
        admin_client.get(LIST)
    for _ in range(49):
        make_recording(call, transcript=TWO_CHANNELS)
    with django_assert_num_queries(len(counted)):
        assert len(admin_client.get(LIST).context["cl"].result_list) == 50


def test_recordings_are_neither_added_nor_changed_nor_deleted(admin_client: Client) -> None:
    recording = make_recording(make_call())
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{recording.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{LIST}999/change/").status_code == 404
    assert someone("view_call").get(f"{LIST}{recording.pk}/change/").status_code == 403


TIMING = {
    "seconds": 67,
    "frames": 3300,
    "late": 1002.4,
    "jitter": 1.2,
    "worst_jitter": 240.0,
    "gaps": 2,
    "ours": 1,
    "bursts": 3,
    "burst": 48,
    "lag": 210.6,
    "longest": [{"at": 12.3, "ms": 1012.0, "ours": False}, {"at": 61.0, "ms": 205.0, "ours": True}],
}


def make_measured(call: Call, **timing: Any) -> Recording:
    line = make_line(call)
    recording = make_recording(call, "recordings/kept/x.wav", source="line", line=line, recording_uuid=None)
    data = {"recording": recording.pk, "timing": TIMING | timing}
    call.note(TimelineEntry.Kind.RECORDING, "67.4 s kept", line=line, data=data)
    return recording


def test_recording_of_a_line_shows_how_its_sound_came_and_which_gaps_were_ours(admin_client: Client) -> None:
    call = make_call()
    recording = make_measured(call)
    page = " ".join(page_of(admin_client, call).split('id="recordings-heading"')[1].split("</section>")[0].split())
    for figure in (
        "3,300",
        "1,002 ms late",
        "1.2 ms, in the worst second 240 ms",
        "2, 1 of them ours",
        "3, up to 48 frames",
        "211 ms at most",
    ):
        assert f'<td class="figure">{figure}</td>' in page
    gap = '<td class="figure">{}</td> <td class="figure">{}</td> <td>{}</td>'
    assert gap.format("0:12", "1,012 ms", "network or Vonage") in page
    assert gap.format("1:01", "205 ms", "ours: this server was late") in page
    assert f'<a href="/files/recordings/{recording.pk}.jsonl" download>' in page


def test_recording_that_came_well_shows_no_gaps_and_who_may_not_listen_gets_no_file() -> None:
    call = make_call()
    make_measured(call, gaps=0, ours=0, bursts=0, burst=0, longest=[], lag=None)
    page = page_of(someone("view_call"), call).split('id="recordings-heading"')[1].split("</section>")[0]
    assert "How the sound came" in page
    assert "not measured" in page
    assert "No sound at" not in page
    assert ".jsonl" not in page


def test_recording_of_vonage_has_no_measures(admin_client: Client) -> None:
    call = make_call()
    make_recording(call)
    assert "How the sound came" not in page_of(admin_client, call)
