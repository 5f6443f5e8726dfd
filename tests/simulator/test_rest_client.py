"""Our own REST client and set-up commands run against the fake, over real connections and in real time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from callflows.simulator.party import Behaviour, Outcome
from callflows.vonage import calls as rest
from callflows.vonage.account import VonageError
from callflows.vonage.applications import Applications, new, voice, with_ours
from callflows.vonage.files import NotFetched, download
from callflows.vonage.numbers import Numbers, linking
from callflows.vonage.setup import Credentials, Sender
from tests.simulator.rest_fake import LOOPED, Running, running
from tests.simulator.rest_world import APPLICATION, CONVERSATION, OURS

CALLEE = "447700900222"


@pytest.fixture
async def fake() -> AsyncIterator[Running]:
    async with running(numbers_rps=1000) as found:
        yield found


def order(**more: Any) -> dict[str, Any]:
    return {
        "to": [{"type": "phone", "number": CALLEE}],
        "from": {"type": "phone", "number": OURS},
        "ncco": LOOPED,
        **more,
    }


async def placed(fake: Running) -> str:
    """Place a call that is answered; return its leg."""
    created = await asyncio.to_thread(rest.create, fake.client(), order())
    assert created["status"] == "started"
    await fake.answered(created["uuid"])
    return str(created["uuid"])


async def test_a_call_is_placed_steered_and_ended(fake: Running) -> None:
    leg, client = await placed(fake), fake.client()
    assert (await asyncio.to_thread(rest.get, client, leg))["status"] == "answered"
    for switch in ("mute", "unmute", "earmuff", "unearmuff"):
        await asyncio.to_thread(rest.switch, client, leg, switch)
    await asyncio.to_thread(rest.talk, client, leg, "One moment", "en-GB")
    await asyncio.to_thread(rest.stop_talking, client, leg)
    await asyncio.to_thread(rest.send_digits, client, leg, "12#")
    await asyncio.to_thread(rest.transfer, client, leg, ncco=LOOPED)
    await fake.until(lambda: any(each.get("type") == "transfer" for each in fake.site.events))
    await asyncio.to_thread(rest.hang_up, client, leg)
    await fake.until(lambda: "completed" in fake.site.statuses(leg))
    assert fake.site.statuses(leg) == ["started", "ringing", "answered", "completed"]
    found = await asyncio.to_thread(rest.get, client, leg)
    assert (found["status"], found["network"]) == ("completed", "23410")
    with pytest.raises(VonageError) as refused:
        await asyncio.to_thread(rest.hang_up, client, leg)
    assert refused.value.status == 404


@pytest.mark.parametrize(("outcome", "status"), [("busy", "busy"), ("declines", "rejected"), ("no route", "failed")])
async def test_a_call_that_reaches_nobody_keeps_its_reason(fake: Running, outcome: Outcome, status: str) -> None:
    fake.platform.parties[CALLEE] = Behaviour(outcome, rings=0.05)
    leg = (await asyncio.to_thread(rest.create, fake.client(), order()))["uuid"]
    await fake.until(lambda: fake.platform.legs[leg].ended is not None)
    found = await asyncio.to_thread(lambda: list(rest.listed(fake.client(), status=status)))
    assert [(each["uuid"], each["status"], each["duration"]) for each in found] == [(leg, status, "0")]


async def test_a_call_asks_our_answer_webhook(fake: Running) -> None:
    body = order(answer_url=[f"{fake.site.server.url}/webhooks/answer"])
    del body["ncco"]
    created = await asyncio.to_thread(rest.create, fake.client(), body)
    await fake.answered(created["uuid"])


async def test_calls_are_listed_by_conversation(fake: Running) -> None:
    leg = await placed(fake)
    conversation = fake.platform.legs[leg].conversation
    found = await asyncio.to_thread(lambda: list(rest.listed(fake.client(), conversation_uuid=conversation)))
    assert [each["uuid"] for each in found] == [leg]
    assert not await asyncio.to_thread(lambda: list(rest.listed(fake.client(), conversation_uuid=CONVERSATION)))


async def test_a_hang_up_that_comes_too_early_is_refused_and_our_client_tries_again() -> None:
    async with running(early_hang_up_seconds=1.0) as fake:
        leg, client = await placed(fake), fake.client()
        with pytest.raises(VonageError) as refused:
            await asyncio.to_thread(client.request, "PUT", f"/v1/calls/{leg}", json={"action": "hangup"})
        assert refused.value.status == 400
        await asyncio.to_thread(rest.hang_up, client, leg)
        await fake.until(lambda: "completed" in fake.site.statuses(leg))


async def test_a_fourth_call_in_a_second_is_refused(fake: Running) -> None:
    async def place() -> int:
        try:
            await asyncio.to_thread(rest.create, fake.client(), order())
        except VonageError as error:
            return error.status
        return 201

    assert sorted(await asyncio.gather(*(place() for _ in range(4)))) == [201, 201, 201, 429]


async def test_a_recording_is_downloaded_from_where_its_event_says(fake: Running) -> None:
    recorded = [{"action": "record", "split": "conversation", "channels": 2}, *LOOPED]
    created = await asyncio.to_thread(rest.create, fake.client(), order(ncco=recorded))
    await fake.answered(created["uuid"])
    await asyncio.to_thread(rest.hang_up, fake.client(), created["uuid"])
    await fake.until(lambda: any("recording_url" in each for each in fake.site.events))
    [event] = [each for each in fake.site.events if "recording_url" in each]
    file = io.BytesIO()
    told = await asyncio.to_thread(download, fake.client().account, event["recording_url"], file)
    assert (told, len(file.getvalue())) == ("", event["size"])
    with pytest.raises(NotFetched):
        await asyncio.to_thread(download, fake.client().account, event["recording_url"] + "x", io.BytesIO())


async def test_an_account_is_set_up(fake: Running) -> None:
    account = fake.account
    credentials = Credentials(account.api_key, account.api_secret)
    applications, numbers = Applications(Sender(credentials, fake.fake.url)), Numbers(credentials, fake.fake.url)

    def work() -> dict[str, Any]:
        made = applications.create(new("Second", "https://calls.example.com"))
        assert {each["name"] for each in applications.all()} == {"Front desk", "Second"}
        changed = applications.update(made["id"], with_ours(made, "https://new.example.com"))
        assert voice(changed)["webhooks"]["answer_url"]["address"] == "https://new.example.com/webhooks/answer"
        numbers.buy("GB", "447700900201")
        bought = numbers.own("447700900201")
        assert bought is not None
        numbers.update(linking(bought, made["id"]))
        assert [each["msisdn"] for each in numbers.linked(made["id"])] == ["447700900201"]
        assert applications.find(APPLICATION) is not None
        return made

    made = await asyncio.to_thread(work)
    assert made["keys"]["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert account.answers("447700900201") is account.applications[made["id"]]
