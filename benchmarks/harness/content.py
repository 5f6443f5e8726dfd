"""Knows what the measurements call, beside the demo's numbers: `python -m benchmarks.harness.content` loads it.

The prompts are constant, so that a frame says by its sign of which prompt it is; at 16 kHz each keeps its values.
"""

from __future__ import annotations

import io
import os
from typing import Any

import django
import numpy as np

RATE = 16000
LEVEL = 8000
# A server takes no longer prompt (PROMPT_MAX_SECONDS).
LONG_SECONDS, SHORT_SECONDS = 600.0, 1.0
# The menu's question is above zero, and what is heard after a wrong key below.
QUESTION_SECONDS, REFUSAL_SECONDS = 60.0, 1.0
# So often a menu asks again.
MOST_WRONG = 10
WRONG_KEY = "9"

LONG, SHORT, MENU, RECORD = "447700900011", "447700900012", "447700900013", "447700900014"


def load() -> None:
    """Make prompts, flows and numbers."""
    long, short = prompt("Long", LONG_SECONDS, LEVEL), prompt("Short", SHORT_SECONDS, LEVEL)
    question, refusal = prompt("Question", QUESTION_SECONDS, LEVEL), prompt("Refusal", REFUSAL_SECONDS, -LEVEL)
    flow(LONG, "play", prompt=long, loop=0)
    flow(SHORT, "play", prompt=short, then="stay")
    asked = {"prompt": question, "wrong_prompt": refusal, "wrong_limit": MOST_WRONG}
    flow(MENU, "menu", choices={"1": "one"}, timeout=60, **asked)
    flow(RECORD, "record", beep=False, max_seconds=3600)


def prompt(name: str, seconds: float, level: int) -> int:
    from callflows.audio.files import wav_bytes
    from callflows.models import AudioPrompt

    made = AudioPrompt.objects.create(name=name)
    pcm = np.full(round(seconds * RATE), level, "<i2").tobytes()
    made.add_version(io.BytesIO(wav_bytes(pcm, RATE)), f"{name}.wav")
    return int(made.pk)


def flow(digits: str, app: str, **settings: Any) -> None:
    from callflows.models import Application, CallFlow, PhoneNumber
    from callflows.sockets.registry import outcomes

    endpoint = {"type": "websocket", "content-type": f"audio/l16;rate={RATE}"}
    made = CallFlow.objects.create(name=f"{app} {digits}", description="")
    options = {"app": app, "endpoint": endpoint, "settings": settings}
    made.steps.create(position=0, name=app, action="connect", then="end", options=options)
    made.publish(outcomes())
    PhoneNumber.objects.create(digits=digits, name=app, flow=made, application=Application.objects.get())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    load()
