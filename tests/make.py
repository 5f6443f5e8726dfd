"""Knows how to make what tests need: numbers, flows, prompts, and the webhooks of a call."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from asgiref.sync import async_to_sync
from django.test import Client

from callflows.audio.files import wav_bytes
from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone
from callflows.models import Application, AudioPrompt, CallFlow, PhoneNumber
from callflows.sockets.registry import outcomes
from tests.dates import stamp

UUID = "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
NUMBER = "447700900001"
CALLER = "447700900123"

Step = tuple[str, str, dict[str, Any]]
ECHO: Step = (
    "echo",
    "connect",
    {"app": "echo", "endpoint": {"type": "websocket", "content-type": "audio/l16;rate=16000"}},
)


def talk(name: str, text: str = "Hello") -> Step:
    return (name, "talk", {"text": text})


def make_flow(
    *steps: Step,
    name: str = "Echo",
    branches: tuple[tuple[str, str, str | CallFlow], ...] = (),
    at_most: dict[int, int] | None = None,
    then: dict[str, str] | None = None,
    joinable: bool = False,
    publish: bool = True,
    prefixes: str = "",
) -> CallFlow:
    """Make a flow; a branch is (step, outcome, step or flow); ``at_most`` and ``then`` by its place or name."""
    flow = CallFlow.objects.create(name=name, joinable=joinable, prefixes=prefixes)
    for position, (step, action, options) in enumerate(steps):
        goes = (then or {}).get(step, "next")
        flow.steps.create(position=position, name=step, action=action, options=options, then=goes)
    for position, (step, outcome, target) in enumerate(branches):
        goal = {"to_step": target} if isinstance(target, str) else {"to_flow": target}
        most = (at_most or {}).get(position)
        flow.branches.create(position=position, step=step, outcome=outcome, at_most=most, **goal)
    if publish:
        flow.publish(outcomes())
    return flow


def make_number(flow: CallFlow | None = None, digits: str = NUMBER, **fields: Any) -> PhoneNumber:
    application, _ = Application.objects.get_or_create(name="Test", defaults={"application_id": "test"})
    return PhoneNumber.objects.create(digits=digits, flow=flow, application=application, **fields)


def make_prompt(seconds: float = 1.0, name: str = "Tone", hz: float = 440.0) -> AudioPrompt:
    prompt = AudioPrompt.objects.create(name=name)
    pcm = to_int16(tone(hz, seconds, 24000)).astype(np.dtype("<i2")).tobytes()
    prompt.add_version(io.BytesIO(wav_bytes(pcm, 24000)), "tone.wav")
    return prompt


def ask(client: Client, to: str = NUMBER, **more: str) -> Any:
    """Ask the answer webhook as Vonage does; return the NCCO."""
    query = {"to": to, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM, **more}
    response = client.get("/webhooks/answer", query)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return json.loads(response.content)


def tell(client: Client, url: str = "/webhooks/events", **event: Any) -> Any:
    """Post one event of the call; ``None`` leaves a member out."""
    body = {"uuid": UUID, "conversation_uuid": ROOM, "timestamp": stamp(5), **event}
    kept = {name: value for name, value in body.items() if value is not None}
    path = url.removeprefix("http://testserver")
    return client.post(path, json.dumps(kept), content_type="application/json")


def streamed(response: Any) -> bytes:
    """Return the body of a response that streams."""

    async def read() -> bytes:
        return b"".join([block async for block in response.streaming_content])

    return async_to_sync(read)()


def event_url(action: dict[str, Any]) -> str:
    """Return where an action's events go."""
    return str(action["eventUrl"][0])
