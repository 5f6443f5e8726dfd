"""Knows the numbers that are asked for answers: `python -m benchmarks.harness.numbers` loads them.

Half of them ask a question, half connect to a socket.
"""

from __future__ import annotations

import os
from typing import Any

import django

from benchmarks.harness.asking import APPLICATION, FIRST_NUMBER, NUMBERS

FLOWS = 20


def load() -> None:
    """Make the numbers, and flows that answer them."""
    from callflows.models import Application, PhoneNumber

    application, _ = Application.objects.get_or_create(name="Asked", defaults={"application_id": APPLICATION})
    flows = [flow(number) for number in range(FLOWS)]
    PhoneNumber.objects.bulk_create(
        PhoneNumber(digits=str(FIRST_NUMBER + each), flow=flows[each % FLOWS], application=application)
        for each in range(NUMBERS)
    )


def flow(number: int) -> Any:
    from callflows.models import CallFlow
    from callflows.sockets.registry import outcomes

    made = CallFlow.objects.create(name=f"Asked {number}")
    hello = {"text": "Hello {{ from }}, this is {{ to }}. How may we help you?", "language": "en-GB"}
    made.steps.create(position=0, name="hello", action="talk", options=hello)
    made.steps.create(position=1, name="ask", **(asking() if number % 2 else connecting()))
    if number % 2:
        made.branches.create(step="ask", outcome="1", to_step="hello")
    made.publish(outcomes())
    return made


def asking() -> dict[str, Any]:
    return {"action": "input", "options": {"type": ["dtmf"], "dtmf": {"maxDigits": 1, "timeOut": 5}}}


def connecting() -> dict[str, Any]:
    endpoint = {"type": "websocket", "content-type": "audio/l16;rate=16000", "headers": {"caller": "{{ from }}"}}
    return {"action": "connect", "then": "end", "options": {"app": "echo", "endpoint": endpoint}}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    load()
