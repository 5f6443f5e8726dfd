"""Knows callers who go on calling whatever breaks: an answer, a key and events, sent as Vonage sends them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit

MENU = "447700900003"
# Vonage's own limits: a second for the connection, 5 s for an answer, 10 s for an event, a second
# until it tries again.
EVENT_SECONDS, ANSWER_SECONDS, AGAIN_SECONDS = 10.0, 5.0, 1.0
STATUSES = ("started", "ringing", "answered", "completed")


@dataclass
class Reply:
    """What a request got: ``status`` 0 when nobody answered."""

    status: int
    body: bytes
    at: float
    took: float


@dataclass
class Asked:
    """One answer webhook, or one event, with all that it was answered."""

    mark: str
    kind: str
    replies: list[Reply] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether we told that we have it: 503 to the first of two is such a word too, with a wish for the second."""
        return any(reply.status in (200, 204, 503) for reply in self.replies)

    @property
    def safe(self) -> bool:
        return b"Sorry, this line is not available" in self.replies[-1].body

    @property
    def right(self) -> bool:
        return self.replies[-1].status == 200 and not self.safe


class Callers:
    """Calls at a steady rate to servers that may die: ``ports`` can be changed meanwhile."""

    def __init__(self, ports: Sequence[int], rate: float, seed: int) -> None:
        self.ports = list(ports)
        self.rate = rate
        self.chance = Random(seed)
        self.asked: list[Asked] = []
        self._calls: list[threading.Thread] = []
        self._stop = threading.Event()
        self._dialling = threading.Thread(target=self._dial)
        # What a request took that needs nothing but a share of the machine, which others use as well.
        self.lateness = 0.0
        self._pulse = threading.Thread(target=self._feel)

    def __enter__(self) -> Callers:
        self._dialling.start()
        self._pulse.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Let nobody call any more, and those who are on the phone come to their end."""
        self._stop.set()
        self._dialling.join()
        self._pulse.join()
        for call in self._calls:
            call.join()

    @property
    def answers(self) -> list[Asked]:
        return [each for each in list(self.asked) if each.kind == "answer" and each.replies]

    def _feel(self) -> None:
        while not self._stop.wait(0.1):
            healthy = self._request("GET", "/healthz", "", EVENT_SECONDS)
            self.lateness = max(self.lateness, healthy.took if healthy.status else 0.0)

    def _dial(self) -> None:
        begun, number = time.monotonic(), 0
        while not self._stop.wait(max(0.0, begun + number / self.rate - time.monotonic())):
            pause = self.chance.uniform(0.05, 0.3)
            self._calls.append(threading.Thread(target=self._call, args=(number, pause)))
            self._calls[-1].start()
            number += 1

    def _call(self, number: int, pause: float) -> None:
        uuid = f"chaos-{number:05d}"
        ids = {"uuid": uuid, "conversation_uuid": f"CON-{uuid}", "from": "447700900123", "to": MENU}
        answer = self._ask("answer", f"{uuid}-answer", "/webhooks/answer", ids, ANSWER_SECONDS)
        for status in STATUSES:
            if status == "completed" and answer.right:
                self._press(answer, ids)
            event = {**ids, "status": status, "direction": "inbound", "timestamp": now()}
            self._ask("event", f"{uuid}-{status}", "/webhooks/events", event, EVENT_SECONDS)
            time.sleep(pause)

    def _press(self, answer: Asked, ids: dict[str, str]) -> None:
        """Press 1 in the menu; without an answer Vonage asks the fallback webhook."""
        url = json.loads(answer.replies[-1].body)[1]["eventUrl"][0]
        event = {**ids, "dtmf": {"digits": "1", "timed_out": False}, "timestamp": now()}
        pressed = self._ask("key", f"{ids['uuid']}-key", urlsplit(url).path, event, EVENT_SECONDS)
        if pressed.replies[-1].status not in (200, 204):
            why = {
                "reason": "Invalid response code.",
                "original_request": {"url": url, "type": "event"},
            }
            self._ask(
                "fallback",
                f"{ids['uuid']}-fallback",
                "/webhooks/fallback",
                ids | why,
                ANSWER_SECONDS,
            )

    def _ask(self, kind: str, mark: str, path: str, body: dict[str, Any], seconds: float) -> Asked:
        """Ask once, and where Vonage does, once more."""
        asked = Asked(mark, kind)
        self.asked.append(asked)
        text = json.dumps({**body, "mark": mark})
        for _ in range(2):
            asked.replies.append(self._request("POST", path, text, seconds))
            if asked.replies[-1].status not in (0, 429, 503, 504):
                break
            time.sleep(AGAIN_SECONDS)
        return asked

    def _request(self, method: str, path: str, text: str, seconds: float) -> Reply:
        begun = time.monotonic()
        status, body = 0, b""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port(), timeout=seconds)) as connection:
            try:
                connection.request(method, path, text, {"Content-Type": "application/json"})
                response = connection.getresponse()
                status, body = response.status, response.read()
            except OSError:
                pass
        return Reply(status, body, time.monotonic(), time.monotonic() - begun)

    def _port(self) -> int:
        self.ports.append(self.ports.pop(0))
        return self.ports[0]


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
