"""However an app ends, the caller goes on: its outcome, or its error, takes the step's branch."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from callflows.models import Line, PromptVersion
from callflows.sockets import registry
from callflows.sockets.app import SocketApp
from callflows.sockets.line import Line as OpenLine
from callflows.wire.connection import CLEAR
from tests.consumers.test_audio import noted, path_of, socket
from tests.make import ROOM, make_prompt, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)

LEG = "ws-leg"


def told(client: Client, path: str) -> Any:
    """Tell that the socket's leg has ended; return the document that the caller goes on with, None for none."""
    call = Line.objects.get().call
    (url,) = json.loads(call.timeline.get(name="answer").reply)[-1]["eventUrl"]
    event = {"uuid": LEG, "conversation_uuid": ROOM, "status": "disconnected", "to": f"wss://testserver{path}"}
    response = tell(client, url, **event)
    return json.loads(response.content) if response.content else None


def ask_step(choices: dict[str, str], **settings: Any) -> tuple[str, str, dict[str, Any]]:
    chosen = {"prompt": make_prompt(5.0, "Question").pk, "choices": choices, **settings}
    return ("ask", "connect", {"app": "menu", "settings": chosen})


async def played(vonage: WebsocketCommunicator, frames: int) -> None:
    while frames:
        # Between frames the line may ask what was played.
        frames -= "bytes" in await vonage.receive_output(5)


async def ended(vonage: WebsocketCommunicator) -> list[str]:
    """Take what comes until the socket is closed with 1000; return the texts."""
    texts = []
    while (message := await vonage.receive_output(5))["type"] != "websocket.close":
        texts += [message["text"]] if message.get("text") else []
    assert message["code"] == 1000
    return texts


async def press(vonage: WebsocketCommunicator, digit: str) -> None:
    await vonage.send_json_to({"event": "websocket:dtmf", "digit": digit, "duration": 100})


async def test_key_in_a_menu_leads_to_the_branch_of_its_choice(client: Client) -> None:
    step = await sync_to_async(ask_step)({"1": "sales", "2": "help"})
    path = await sync_to_async(path_of)(
        client, step, talk("help", "Help"), branches=(("ask", "help", "help"),), then={"ask": "end"}
    )
    async with socket(path) as vonage:
        await played(vonage, 25)
        await press(vonage, "2")
        assert CLEAR in await ended(vonage)
    assert (await sync_to_async(Line.objects.get)()).outcome == "help"
    assert [each["text"] for each in await sync_to_async(told)(client, path)] == ["Help"]
    await noted("Asking: Question")
    await noted("Chosen: help")


async def test_menu_whose_keys_are_all_wrong_leads_to_the_branch_for_wrong(client: Client) -> None:
    step = await sync_to_async(ask_step)({"1": "sales"}, wrong_limit=0)
    branches = (("ask", "wrong", "bye"), ("ask", "disconnected", "away"))
    path = await sync_to_async(path_of)(
        client, step, talk("bye", "Bye"), talk("away", "Away"), branches=branches, then={"ask": "end", "bye": "end"}
    )
    async with socket(path) as vonage:
        await press(vonage, "9")
        await ended(vonage)
    assert [each["text"] for each in await sync_to_async(told)(client, path)] == ["Bye"]


async def raising(line: OpenLine) -> Any:
    raise RuntimeError("no bot today")


async def losing_its_way(line: OpenLine) -> Any:
    return "soon"


@pytest.mark.parametrize("outcome", ["error", "disconnected"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (raising, "The app failed: no bot today"),
        (losing_its_way, "The app failed: echo ended as 'soon', expected one of drained, error, hung-up"),
    ],
)
async def test_caller_of_an_app_that_fails_goes_on_with_the_branch(
    client: Client, body: Any, reason: str, outcome: str
) -> None:
    step = ("echo", "connect", {"app": "echo"})
    path = await sync_to_async(path_of)(
        client, step, talk("sorry", "Sorry"), branches=(("echo", outcome, "sorry"),), then={"echo": "end"}
    )
    with patch.dict(registry.APPS, echo=SocketApp("echo", "Broken", body, outcomes=())):
        async with socket(path) as vonage:
            await ended(vonage)
    assert (await sync_to_async(Line.objects.get)()).outcome == "error"
    assert [each["text"] for each in await sync_to_async(told)(client, path)] == ["Sorry"]
    await noted(reason)


async def test_prompt_that_was_deleted_since_is_an_error_of_the_app(client: Client) -> None:
    step = await sync_to_async(ask_step)({"1": "sales"})
    path = await sync_to_async(path_of)(
        client, step, talk("sorry", "Sorry"), branches=(("ask", "error", "sorry"),), then={"ask": "end"}
    )
    await sync_to_async(PromptVersion.objects.all().delete)()
    async with socket(path) as vonage:
        await asyncio.wait_for(ended(vonage), 5)
    assert [each["text"] for each in await sync_to_async(told)(client, path)] == ["Sorry"]
