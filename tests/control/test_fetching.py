"""Knows that what Vonage recorded comes to us once, whole, by jobs that may be repeated and interrupted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connections
from pytest_django import Settings

from callflows.models import Application, Call, Job, Recording
from callflows.models.parts import folder, part, sweep
from tests.audio.test_kinds import make
from tests.file_server import FileServer, Sent, file_server
from tests.payloads.test_transcript import FIXTURE
from tests.rest_server import APPLICATION
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PATH, TEXT = "/v1/files/bbbbbbbb-1111", "/v1/files/cccccccc-2222"
UUID = "aaaaaaaa-0000"


@pytest.fixture
def host(settings: Settings) -> Iterator[FileServer]:
    with file_server() as server:
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


@pytest.fixture
def call(application: Application, host: FileServer) -> Call:
    Application.objects.update(api_host=host.url)
    return Call.objects.create(uuid="call", application=application)


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return make(tmp_path / "sound", "mp3", 12.3).read_bytes()


def enqueue(call: Call, url: str, kind: str = "fetch_recording", uuid: str = UUID, source: str = "vonage") -> Job:
    return Job.objects.enqueue(kind, call=call.pk, uuid=uuid, url=url, source=source)


def run(call: Call, url: str, kind: str = "fetch_recording", **more: str) -> Job:
    job = enqueue(call, url, kind, **more)
    assert Job.objects.run_next("worker")
    job.refresh_from_db()
    return job


def kept(recording: Recording) -> bytes:
    return Path(recording.file.path).read_bytes()


def told(call: Call) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in call.timeline.order_by("id")]


def files() -> list[Path]:
    return [each for each in Path(default_storage.path("")).rglob("*") if each.is_file()]


def test_recording_comes_into_the_storage_and_onto_the_timeline(call: Call, host: FileServer, sound: bytes) -> None:
    url = host.put(PATH, sound, Content_Type="application/octet-stream")
    assert run(call, url).state == "done"
    recording = Recording.objects.get()
    assert (recording.source, recording.recording_uuid, recording.url) == ("vonage", UUID, url)
    assert recording.seconds == pytest.approx(12.3, abs=0.2)
    assert kept(recording) == sound
    assert Path(recording.file.path).stat().st_mode & 0o777 == 0o600
    ((kind, text),) = told(call)
    assert kind == "recording"
    assert text.startswith("fetched, 12.")
    assert host.tokens == [(PATH, APPLICATION)]


@pytest.mark.parametrize("kind", ["mp3", "wav", "ogg"])
def test_kind_is_that_of_the_content_not_of_the_name(call: Call, host: FileServer, tmp_path: Path, kind: str) -> None:
    body = make(tmp_path / "sound", kind).read_bytes()
    run(call, host.put("/v1/files/x.wav", body, Content_Type="audio/mpeg"))
    assert Recording.objects.get().kind == kind


def test_repeat_fetches_and_tells_nothing_again(call: Call, host: FileServer, sound: bytes) -> None:
    url = host.put(PATH, sound)
    for _ in range(3):
        assert run(call, url).state == "done"
    assert Recording.objects.count() == 1
    assert (len(told(call)), len(host.tokens), len(files())) == (1, 1, 1)


def test_recording_of_a_shared_room_is_each_calls_own(call: Call, host: FileServer, sound: bytes) -> None:
    url, other = host.put(PATH, sound), Call.objects.create(uuid="other", application=call.application)
    for each in (call, other):
        run(each, url)
    assert Recording.objects.filter(recording_uuid=UUID).count() == 2
    call.delete()
    assert kept(Recording.objects.get()) == sound
    assert len(files()) == 1


def test_speech_of_several_inputs_has_no_uuid_and_is_told_apart_by_its_address(
    call: Call, host: FileServer, sound: bytes
) -> None:
    for path in (PATH, TEXT, PATH):
        run(call, host.put(path, sound), uuid="", source="speech")
    assert [(each.source, each.recording_uuid) for each in Recording.objects.all()] == [("speech", None)] * 2


def test_sound_without_a_readable_length_is_kept_all_the_same(call: Call, host: FileServer) -> None:
    run(call, host.put(PATH, b"ID3" + bytes(100)))
    assert Recording.objects.get().seconds is None
    assert told(call) == [("recording", "fetched, 103 bytes")]


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b'{"type":"UNAUTHORIZED"}', b""])
def test_what_is_no_sound_is_not_kept(call: Call, host: FileServer, body: bytes) -> None:
    assert run(call, host.put(PATH, body)).state == "failed"
    ((kind, text),) = told(call)
    assert kind == "problem"
    assert text.startswith("Recording could not be fetched: expected sound as MP3, WAV or Ogg, got ")
    assert files() == []
    assert not Recording.objects.get().file


@pytest.mark.parametrize(("status", "why"), [(401, "needs the private key"), (404, "kept for 30 days")])
def test_refusal_is_told_once_and_not_tried_for_ever(call: Call, host: FileServer, status: int, why: str) -> None:
    job = run(call, host.put(PATH, status=status))
    assert (job.state, job.attempts) == ("failed", 1)
    ((kind, text),) = told(call)
    assert (kind, why in text) == ("problem", True)
    assert not Job.objects.run_next("worker")


@pytest.mark.parametrize("status", [429, 500])
def test_passing_trouble_is_tried_again_without_a_word(call: Call, host: FileServer, sound: bytes, status: int) -> None:
    job = run(call, host.put(PATH, status=status))
    assert (job.state, told(call)) == ("waiting", [])
    host.put(PATH, sound)
    Job.objects.hasten("fetch_recording")
    assert Job.objects.run_next("worker")
    assert len(told(call)) == 1
    assert Recording.objects.get().file


def test_trouble_that_stays_is_told_when_it_is_given_up(call: Call, host: FileServer) -> None:
    run(call, host.put(PATH, status=503))
    while Job.objects.hasten("fetch_recording"):
        assert Job.objects.run_next("worker")
    assert told(call) == [("problem", "Recording could not be fetched: Vonage answered 503")]
    assert len(host.tokens) == 6


def test_without_a_private_key_nothing_is_asked_and_the_reason_told(
    call: Call, host: FileServer, monkeypatch: pytest.MonkeyPatch, sound: bytes
) -> None:
    monkeypatch.delenv("TEST_PRIVATE_KEY")
    assert run(call, host.put(PATH, sound)).state == "failed"
    ((_, text),) = told(call)
    assert "needs the application's private key" in text
    assert host.tokens == []


def test_call_without_an_application_is_told_of(call: Call, host: FileServer, sound: bytes) -> None:
    Call.objects.update(application=None)
    assert run(call, host.put(PATH, sound)).state == "failed"
    assert "belongs to no application" in told(call)[0][1]


def test_address_at_another_host_gets_no_token_and_an_entry(call: Call, host: FileServer, sound: bytes) -> None:
    """Rule 15: the default host is asked for it instead."""
    with file_server() as evil:
        job = run(call, evil.put(PATH, sound))
        assert evil.tokens == []
    assert job.state == "failed"
    ((kind, text),) = told(call)
    assert kind == "problem"
    assert "our token was sent nowhere else" in text
    assert host.tokens == [(PATH, APPLICATION)]


def test_file_that_the_default_host_has_too_is_fetched_there(call: Call, host: FileServer, sound: bytes) -> None:
    host.put(PATH, sound)
    run(call, f"https://files.elsewhere.example{PATH}")
    assert [kind for kind, _ in told(call)] == ["recording", "problem"]
    assert "files.elsewhere.example is none of Vonage's hosts" in told(call)[1][1]


def test_call_that_is_gone_needs_no_recording(call: Call, host: FileServer) -> None:
    job = enqueue(call, host.put(PATH))
    call.delete()
    assert Job.objects.run_next("worker")
    job.refresh_from_db()
    assert (job.state, host.tokens) == ("done", [])


def test_empty_recording_has_no_address_and_is_no_failure(call: Call, host: FileServer) -> None:
    assert run(call, "").state == "done"
    assert (told(call), Recording.objects.count()) == ([], 0)


# Transcripts


def test_transcript_is_kept_with_its_recording_whichever_comes_first(
    call: Call, host: FileServer, sound: bytes
) -> None:
    text, url = host.put(TEXT, FIXTURE.read_bytes()), host.put(PATH, sound)
    for uuid, order in (("first", (text, url)), ("second", (url, text))):
        for address in order:
            run(call, address, "fetch_transcript" if address == text else "fetch_recording", uuid=uuid)
        recording = Recording.objects.get(recording_uuid=uuid)
        assert recording.transcript == json.loads(FIXTURE.read_text())
        assert (recording.url, bool(recording.file)) == (url, True)
    assert ("recording", "transcript fetched, 1 sentence") in told(call)


def test_repeat_of_a_transcript_fetches_nothing_again(call: Call, host: FileServer) -> None:
    url = host.put(TEXT, FIXTURE.read_bytes())
    for _ in range(2):
        run(call, url, "fetch_transcript")
    assert (len(told(call)), len(host.tokens)) == (1, 1)


@pytest.mark.parametrize(
    "body", [b"", b"not JSON", b"[]", b'{"x": NaN}', b'{"x": "\\u0000"}', b'{"x": "\\ud800"}', b"[" * 100_000]
)
def test_transcript_that_cannot_be_kept_is_told_of(call: Call, host: FileServer, body: bytes) -> None:
    assert run(call, host.put(TEXT, body), "fetch_transcript").state == "failed"
    ((kind, text),) = told(call)
    assert (kind, text[:31]) == ("problem", "Transcript could not be fetched")
    assert Recording.objects.get().transcript is None


@pytest.mark.parametrize("body", [b"{}", b'{"channels": null}', b'{"channels": [{"transcript": [3]}], "new": [1.5]}'])
def test_transcript_of_another_shape_is_kept_as_it_is(call: Call, host: FileServer, body: bytes) -> None:
    run(call, host.put(TEXT, body), "fetch_transcript")
    assert Recording.objects.get().transcript == json.loads(body)
    assert told(call) == [("recording", "transcript fetched, 0 sentences")]


# Interruptions


def test_nothing_half_made_stays_of_a_download_that_broke(call: Call, host: FileServer, sound: bytes) -> None:
    url = host.put(PATH, sound)
    host.files[PATH] = Sent(sound, cut=True)
    assert run(call, url).state == "waiting"
    assert files() == []
    assert not Recording.objects.get().file


def test_two_workers_with_the_same_recording_keep_it_once(call: Call, host: FileServer, sound: bytes) -> None:
    url, go_on = host.put(PATH, sound), threading.Event()
    host.files[PATH] = Sent(sound, pause=go_on)
    jobs = [enqueue(call, url), enqueue(call, url)]
    threads = [threading.Thread(target=run_one) for _ in jobs]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(host.tokens) == 2, "both download it")
    go_on.set()
    for thread in threads:
        thread.join()
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    assert (Recording.objects.count(), len(told(call)), len(files())) == (1, 1, 1)
    assert kept(Recording.objects.get()) == sound


def run_one() -> None:
    try:
        Job.objects.run_next("worker")
    finally:
        connections.close_all()


def test_file_that_a_killed_worker_left_in_its_place_is_replaced(call: Call, host: FileServer, sound: bytes) -> None:
    """It died between moving the file and writing down that it did."""
    url = host.put(PATH, sound)
    run(call, url)
    name = Recording.objects.get().file.name
    Path(default_storage.path(str(name))).write_bytes(b"half")
    Recording.objects.update(file="", seconds=None)
    run(call, url)
    assert Recording.objects.get().file.name == name
    assert kept(Recording.objects.get()) == sound
    assert len(files()) == 1


def test_parts_that_a_killed_worker_left_are_swept_and_open_ones_not(settings: Settings) -> None:
    with part() as file:
        (folder() / "left").write_bytes(b"half a recording")
        assert sweep() == 1
        assert [each.name for each in folder().iterdir()] == [Path(file.name).name]
        assert Path(file.name).stat().st_mode & 0o777 == 0o600
    assert list(folder().iterdir()) == []
    assert sweep() == 0


def test_sweeping_before_anything_was_fetched_finds_nothing() -> None:
    assert sweep() == 0
