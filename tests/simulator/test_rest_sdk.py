"""The vendor's Python SDK drives the fake over TLS, as its users would drive Vonage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.rest_fake import Running, running
from tests.simulator.rest_world import APPLICATION, OURS, pair

vonage = pytest.importorskip("vonage")
voice = pytest.importorskip("vonage_voice")
numbers = pytest.importorskip("vonage_numbers")
applications = pytest.importorskip("vonage_application")
errors = pytest.importorskip("vonage_http_client")

CALLEE = "447700900222"
# Says something for as long as anybody listens.
HOLD = voice.Talk(text="Please hold the line.", loop=0)


@pytest.fixture
async def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with running(tls=True, numbers_rps=1000, **getattr(request, "param", {})) as found:
        assert found.fake.certificate
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(found.fake.certificate.path))
        yield found


@pytest.fixture
def sdk(fake: Running) -> Any:
    host, account = fake.fake.url.removeprefix("https://"), fake.account
    auth = vonage.Auth(
        application_id=APPLICATION,
        private_key=pair()[0],
        api_key=account.api_key,
        api_secret=account.api_secret,
    )
    return vonage.Vonage(auth, vonage.HttpClientOptions(api_host=host, rest_host=host))


async def placed(fake: Running, sdk: Any) -> str:
    request = voice.CreateCallRequest(
        to=[voice.ToPhone(number=CALLEE)], from_=voice.Phone(number=OURS), ncco=[HOLD], ringing_timer=30
    )
    created = await asyncio.to_thread(sdk.voice.create_call, request)
    assert (created.status, created.direction) == ("started", "outbound")
    assert created.conversation_uuid.startswith("CON-")
    await fake.answered(created.uuid)
    return str(created.uuid)


async def test_the_sdk_places_and_reads_calls(fake: Running, sdk: Any) -> None:
    leg = await placed(fake, sdk)
    found = await asyncio.to_thread(sdk.voice.get_call, leg)
    assert (found.status, found.to.number, found.from_.number) == ("answered", CALLEE, OURS)
    assert found.link == f"/v1/calls/{leg}"
    listed, more = await asyncio.to_thread(sdk.voice.list_calls, voice.ListCallsFilter(status="answered"))
    assert ([each.uuid for each in listed], more) == ([leg], None)
    await placed(fake, sdk)
    listed, more = await asyncio.to_thread(sdk.voice.list_calls, voice.ListCallsFilter(page_size=1))
    assert ([each.uuid for each in listed], more) == ([leg], 1)


async def test_the_sdk_changes_calls(fake: Running, sdk: Any) -> None:
    leg = await placed(fake, sdk)
    before = fake.platform.legs[leg].conversation
    for change in ("mute", "unmute", "earmuff", "unearmuff"):
        await asyncio.to_thread(getattr(sdk.voice, change), leg)
        shown = fake.platform.legs[leg]
        assert (shown.muted, shown.earmuffed) == (change == "mute", change == "earmuff")
    await asyncio.to_thread(sdk.voice.transfer_call_ncco, leg, [HOLD])
    await fake.until(lambda: fake.platform.legs[leg].conversation != before)
    await asyncio.to_thread(sdk.voice.transfer_call_answer_url, leg, f"{fake.site.server.url}/webhooks/answer")
    await asyncio.to_thread(sdk.voice.hangup, leg)
    await fake.until(lambda: "completed" in fake.site.statuses(leg))


async def test_the_sdk_plays_speaks_and_presses_keys(fake: Running, sdk: Any) -> None:
    leg = await placed(fake, sdk)
    sound = voice.AudioStreamOptions(stream_url=[f"{fake.site.server.url}/hold.wav"], loop=2, level=0.5)
    speech = voice.TtsStreamOptions(text="One moment", language="en-GB", level=-0.5)
    said = [
        await asyncio.to_thread(sdk.voice.play_audio_into_call, leg, sound),
        await asyncio.to_thread(sdk.voice.stop_audio_stream, leg),
        await asyncio.to_thread(sdk.voice.play_tts_into_call, leg, speech),
        await asyncio.to_thread(sdk.voice.stop_tts, leg),
        await asyncio.to_thread(sdk.voice.play_dtmf_into_call, leg, "12p#"),
    ]
    assert {each.uuid for each in said} == {leg}
    words = ["Stream started", "Stream stopped", "Talk started", "Talk stopped", "DTMF sent"]
    assert [each.message for each in said] == words


async def test_the_sdk_is_told_what_is_wrong(fake: Running, sdk: Any) -> None:
    with pytest.raises(errors.NotFoundError, match="NOT_FOUND"):
        await asyncio.to_thread(sdk.voice.get_call, "nobody")
    stranger = vonage.Vonage(
        vonage.Auth(application_id="11111111-1111-4111-8111-111111111111", private_key=pair()[0]),
        vonage.HttpClientOptions(api_host=fake.fake.url.removeprefix("https://")),
    )
    with pytest.raises(errors.AuthenticationError, match="UNAUTHORIZED"):
        await asyncio.to_thread(stranger.voice.list_calls)


@pytest.mark.parametrize("fake", [{"requests_per_second": 1}], indirect=True)
async def test_the_sdk_is_slowed_down(fake: Running, sdk: Any) -> None:
    async def ask() -> int:
        try:
            await asyncio.to_thread(sdk.voice.list_calls)
        except errors.RateLimitedError:
            return 429
        return 200

    # One a second, so that a slow machine sends too many as well.
    found = [await ask() for _ in range(16)]
    assert found.count(429) >= 1


async def test_the_sdk_manages_applications(fake: Running, sdk: Any) -> None:
    hook = applications.VoiceUrl(address="https://calls.example.com/webhooks/answer", http_method="POST")
    spoken = applications.Voice(webhooks=applications.VoiceWebhooks(answer_url=hook), region="eu-west")
    config = applications.ApplicationConfig(name="Second", capabilities=applications.Capabilities(voice=spoken))
    made = await asyncio.to_thread(sdk.application.create_application, config)
    assert made.keys.private_key.startswith("-----BEGIN PRIVATE KEY-----")
    listed, more = await asyncio.to_thread(sdk.application.list_applications)
    assert ({each.name for each in listed}, more) == ({"Front desk", "Second"}, None)
    found = await asyncio.to_thread(sdk.application.get_application, made.id)
    assert found.capabilities.voice.region == "eu-west"
    assert not hasattr(found.keys, "private_key")
    renamed = applications.ApplicationConfig(name="Renamed")
    assert (await asyncio.to_thread(sdk.application.update_application, made.id, renamed)).name == "Renamed"
    await asyncio.to_thread(sdk.application.delete_application, made.id)
    with pytest.raises(errors.NotFoundError):
        await asyncio.to_thread(sdk.application.get_application, made.id)


async def test_the_sdk_manages_numbers(fake: Running, sdk: Any) -> None:
    """Also after it has sent JSON: from then on it calls its forms JSON."""
    await asyncio.to_thread(sdk.application.create_application, applications.ApplicationConfig(name="Second"))
    found, count, more = await asyncio.to_thread(
        sdk.numbers.search_available_numbers, numbers.SearchAvailableNumbersFilter(country="GB")
    )
    assert ([each.msisdn for each in found], count, more) == (["447700900201"], 1, None)
    bought = numbers.NumberParams(country="GB", msisdn="447700900201")
    assert (await asyncio.to_thread(sdk.numbers.buy_number, bought)).error_code == "200"
    link = numbers.UpdateNumberParams(country="GB", msisdn="447700900201", app_id=APPLICATION)
    await asyncio.to_thread(sdk.numbers.update_number, link)
    owned, count, _ = await asyncio.to_thread(
        sdk.numbers.list_owned_numbers, numbers.ListOwnedNumbersFilter(application_id=APPLICATION)
    )
    assert {each.msisdn for each in owned} == {OURS, "447700900201"}
    await asyncio.to_thread(sdk.numbers.cancel_number, bought)
    with pytest.raises(errors.HttpRequestError, match="method failed"):
        await asyncio.to_thread(sdk.numbers.cancel_number, bought)


async def test_the_sdk_downloads_recordings(fake: Running, sdk: Any, tmp_path: Path) -> None:
    recorded = [voice.Record(), HOLD]
    request = voice.CreateCallRequest(to=[voice.ToPhone(number=CALLEE)], from_=voice.Phone(number=OURS), ncco=recorded)
    leg = (await asyncio.to_thread(sdk.voice.create_call, request)).uuid
    await fake.answered(leg)
    await asyncio.to_thread(sdk.voice.hangup, leg)
    await fake.until(lambda: any("recording_url" in each for each in fake.site.events))
    [event] = [each for each in fake.site.events if "recording_url" in each]
    # It asks hosts of Vonage's only, and looks for their names anywhere in the address.
    address, file = f"{event['recording_url']}?as=vonage.com", tmp_path / "recording.mp3"
    await asyncio.to_thread(sdk.voice.download_recording, address, str(file))
    assert file.stat().st_size == event["size"]
