"""Knows that sound reaches Vonage as it asks for it, and that recordings reach only those who may listen."""

from __future__ import annotations

import io
import wave
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.models import AudioPrompt, Call, Line, Recording
from callflows.models.prompts import sound_path
from tests import dates
from tests.admin.forms import someone
from tests.make import ask, make_flow, make_number, make_prompt, streamed

pytestmark = pytest.mark.django_db

PUBLIC = "https://calls.example.com"


@pytest.fixture
def path() -> str:
    """Where Vonage fetches a prompt of one second, today."""
    return sound_path(newest(make_prompt(1.0)), timezone.now())


def newest(prompt: AudioPrompt) -> int:
    version = prompt.newest
    assert version
    return version.pk


def whole(client: Client, path: str) -> bytes:
    return streamed(client.get(path))


@pytest.mark.django_db(transaction=True)
def test_stream_of_a_prompt_points_at_our_public_address_the_same_all_day(client: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC
    morning = dates.tomorrow(0, 0, 1)
    with time_machine.travel(morning, tick=False) as clock:
        make_number(make_flow(("sound", "stream", {"prompt": make_prompt().pk})))
        (first,) = ask(client)
        clock.move_to(morning + timedelta(hours=23, minutes=59))
        (later,) = ask(client, uuid="another-call")
        clock.move_to(morning + timedelta(hours=24))
        (next_day,) = ask(client, uuid="a-third-call")
    (url,) = first["streamUrl"]
    assert url.startswith(f"{PUBLIC}/sounds/")
    assert later["streamUrl"] == [url]
    assert next_day["streamUrl"] != [url]


@pytest.mark.parametrize("moment", [(0, 0, 1), (12, 0, 1), (23, 59, 1)])
def test_address_is_valid_for_a_day_at_least_and_not_for_ever(client: Client, moment: tuple[int, int, int]) -> None:
    begun = dates.tomorrow(*moment)
    path = sound_path(newest(make_prompt()), begun)
    for hours, status in ((0, 200), (24, 200), (24 * 3, 404)):
        with time_machine.travel(begun + timedelta(hours=hours), tick=False):
            assert client.head(path).status_code == status


def test_forged_address_is_not_found(client: Client, path: str) -> None:
    name, _, signature = path.partition(":")
    for forged in (f"{name.replace('/sounds/', '/sounds/9')}:{signature}", f"{name}:{'A' * 43}.wav", "/sounds/1.wav"):
        assert client.get(forged).status_code == 404


def test_sound_is_a_wav_of_16_khz_and_16_bits(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response["Content-Type"]) == (200, "audio/wav")
    content = streamed(response)
    assert int(response["Content-Length"]) == len(content)
    with wave.open(io.BytesIO(content)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (16000, 2, 1)
        assert sound.getnframes() == 16000


def test_another_upload_has_another_address_and_the_old_one_its_old_sound(client: Client) -> None:
    prompt, longer = make_prompt(1.0), make_prompt(2.0, "Longer")
    old = sound_path(newest(prompt), timezone.now())
    before = whole(client, old)
    prompt.add_version(io.BytesIO(whole(client, sound_path(newest(longer), timezone.now()))), "longer.wav")
    new = sound_path(newest(prompt), timezone.now())
    assert old != new
    assert (whole(client, old), len(whole(client, new))) == (before, 64044)


def test_sound_may_be_kept_for_a_day_as_it_never_changes(client: Client, path: str) -> None:
    response = client.get(path)
    assert response["Cache-Control"] == "public, max-age=86400, immutable"
    kept = response["ETag"]
    again = client.get(path, headers={"If-None-Match": kept})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", kept)
    assert again["Cache-Control"] == "public, max-age=86400, immutable"
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_tells_the_size_and_sends_nothing(client: Client, path: str) -> None:
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response["Content-Length"]) == len(whole(client, path))
    assert (response["Accept-Ranges"], response["Content-Type"]) == ("bytes", "audio/wav")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, 32043),
        ("bytes=-100", 31944, 32043),
        ("bytes=32000-99999", 32000, 32043),
        ("bytes=-99999", 0, 32043),
    ],
)
def test_range_is_served_as_that_part(client: Client, path: str, asked: str, first: int, last: int) -> None:
    response = client.get(path, headers={"Range": asked})
    content = whole(client, path)
    assert len(content) == 32044
    assert streamed(response) == content[first : last + 1]
    assert int(response["Content-Length"]) == last + 1 - first
    if last + 1 - first < len(content):
        assert (response.status_code, response["Content-Range"]) == (206, f"bytes {first}-{last}/32044")
    else:
        assert response.status_code == 200


@pytest.mark.parametrize("asked", ["bytes=32044-", "bytes=99999-100000", "bytes=-0"])
def test_range_past_the_end_is_refused_with_the_size(client: Client, path: str, asked: str) -> None:
    response = client.get(path, headers={"Range": asked})
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */32044")


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "frames=1-2", f"bytes={'9' * 5000}-", "x"])
def test_what_is_no_single_range_is_the_whole(client: Client, path: str, asked: str) -> None:
    response = client.get(path, headers={"Range": asked})
    assert (response.status_code, response["Content-Length"]) == (200, "32044")


def test_range_of_another_sound_than_the_kept_one_is_the_whole(client: Client, path: str) -> None:
    kept = client.head(path)["ETag"]
    for if_range, status in ((kept, 206), ('"other"', 200)):
        response = client.get(path, headers={"Range": "bytes=0-9", "If-Range": if_range})
        assert response.status_code == status


def test_sound_is_only_fetched(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


def make_recording(name: str = "x.mp3", content: bytes = b"ID3 sound") -> Recording:
    recording = Recording(call=Call.objects.create(uuid="call"), source="vonage", recording_uuid="r1")
    recording.file.save(name, ContentFile(content))
    return recording


def address(recording: Recording, kind: str) -> str:
    return f"/files/recordings/{recording.pk}.{kind}"


@pytest.mark.parametrize(("kind", "content_type"), [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("ogg", "audio/ogg")])
def test_recording_is_served_as_what_it_is(admin_client: Client, kind: str, content_type: str) -> None:
    response = admin_client.get(address(make_recording(f"x.{kind}"), kind))
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == (content_type, "nosniff")
    assert response["Cache-Control"] == "private, no-store"
    assert streamed(response) == b"ID3 sound"


def test_recording_under_another_kind_or_without_a_file_is_not_found(admin_client: Client) -> None:
    recording = make_recording()
    bare = Recording.objects.create(call=recording.call, source="vonage", recording_uuid="r2")
    for path in (address(recording, "wav"), address(bare, "mp3"), address(bare, "")):
        assert admin_client.get(path).status_code == 404


def test_recording_is_for_those_who_may_listen(client: Client, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    path = address(make_recording(), "mp3")
    assert client.get(path).status_code == 302
    assert someone("view_call", "view_recording").get(path).status_code == 403
    assert someone("listen_recording", name="ben").get(path).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_deleted_recording_takes_its_file_along(settings: Settings) -> None:
    recording = make_recording()
    file = Path(recording.file.path)
    assert file.exists()
    recording.call.delete()
    assert not file.exists()


def test_kept_files_are_for_our_user_only() -> None:
    file = Path(make_recording().file.path)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_measures_beside_a_recording_of_a_line_are_served_to_those_who_may_listen(admin_client: Client) -> None:
    call = Call.objects.create(uuid="measured")
    line = Line.objects.create(call=call, app="record", step="message", expires=timezone.now())
    recording = Recording(call=call, source="line", line=line)
    recording.file.save("line.wav", ContentFile(b"RIFF"))
    assert admin_client.get(address(recording, "jsonl")).status_code == 404
    default_storage.save(recording.timing_name, ContentFile(b'{"at":0}\n'))
    response = admin_client.get(address(recording, "jsonl"))
    assert (streamed(response), response["Content-Type"]) == (b'{"at":0}\n', "application/jsonl")
    assert someone("view_call").get(address(recording, "jsonl")).status_code == 403
    assert admin_client.get(address(make_recording(), "jsonl")).status_code == 404
