"""Knows a platform that writes down what the REST side asks of it, and how to ask the REST side as clients do."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import jwt

from callflows.simulator.account import Account, Application, Number
from callflows.simulator.knobs import Knobs
from callflows.simulator.legs import Leg
from callflows.simulator.platform import Kind, NotPossible
from callflows.simulator.rest.api import Api
from callflows.simulator.rest.keys import new_pair
from callflows.simulator.rest.messages import Reply, Request
from callflows.vonage.account import read_key
from tests import dates

APPLICATION = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
LEG = "7d3c5a10-2b4e-4f6a-9c8d-0e1f2a3b4c5d"
CONVERSATION = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
BEGAN = dates.EXAMPLE
OURS, CALLEE = "442079460000", "447700900222"

pair = cache(new_pair)


@cache
def other_pair() -> tuple[str, str]:
    """The keys of somebody else."""
    return new_pair()


class File:
    """A recording of ours."""

    content = b"RIFF"
    content_type = "audio/wav"
    application = APPLICATION


class Platform:
    """One application with one number; ``asked`` is what was asked of it, ``refuses`` what it says to all of that."""

    def __init__(self, knobs: Knobs) -> None:
        self.began = BEGAN
        self.knobs = knobs
        application = Application.at(APPLICATION, "Front desk", "https://calls.example.com", pair()[1])
        number = Number(OURS, application=APPLICATION)
        for_sale = Number("447700900201", type="mobile-lvn", features=("VOICE", "SMS"))
        self.account = Account(
            applications={APPLICATION: application}, numbers={OURS: number}, for_sale={for_sale.msisdn: for_sale}
        )
        self.legs: dict[str, Leg] = {}
        self.recordings = {"file": File()}
        self.asked: list[tuple[Any, ...]] = []
        self.refuses: Kind | None = None

    def add(self, uuid: str = LEG, **more: Any) -> Leg:
        leg = Leg(uuid, CONVERSATION, "phone", OURS, CALLEE, "outbound", BEGAN, APPLICATION, status="answered")
        for name, value in more.items():
            setattr(leg, name, value)
        self.legs[uuid] = leg
        return leg

    def _take(self, *asked: Any) -> None:
        if self.refuses:
            raise NotPossible(self.refuses, "")
        self.asked.append(asked)

    def create(self, body: Mapping[str, Any], application_id: str) -> tuple[str, str]:
        self._take("create", body, application_id)
        return LEG, CONVERSATION

    def hang_up(self, uuid: str) -> None:
        self._take("hang_up", uuid)

    def mute(self, uuid: str) -> None:
        self._take("mute", uuid)

    def unmute(self, uuid: str) -> None:
        self._take("unmute", uuid)

    def earmuff(self, uuid: str) -> None:
        self._take("earmuff", uuid)

    def unearmuff(self, uuid: str) -> None:
        self._take("unearmuff", uuid)

    def transfer(self, uuid: str, ncco: list[Any] | None = None, url: str = "") -> None:
        self._take("transfer", uuid, ncco, url)

    def stream(self, uuid: str, options: Mapping[str, Any]) -> None:
        self._take("stream", uuid, options)

    def stop_stream(self, uuid: str) -> None:
        self._take("stop_stream", uuid)

    def talk(self, uuid: str, options: Mapping[str, Any]) -> None:
        self._take("talk", uuid, options)

    def stop_talk(self, uuid: str) -> None:
        self._take("stop_talk", uuid)

    def dtmf(self, uuid: str, digits: str) -> None:
        self._take("dtmf", uuid, digits)

    def subscribe_dtmf(self, uuid: str, event_url: str) -> None:
        self._take("subscribe_dtmf", uuid, event_url)

    def unsubscribe_dtmf(self, uuid: str) -> None:
        self._take("unsubscribe_dtmf", uuid)


class World:
    """A platform and its API; each request leaves ``apart`` seconds after the one before."""

    def __init__(self, **knobs: Any) -> None:
        self.platform = Platform(replace(Knobs(), **knobs))
        ids = (f"00000000-0000-4000-8000-{number:012}" for number in itertools.count(1))
        self.api = Api(self.platform, new_id=lambda: next(ids), new_pair=other_pair)
        self.now, self.apart = 0.0, 1.0

    def ask(self, method: str, target: str, body: object = None, token: str | None = None) -> Reply:
        """Ask the Voice API as the application."""
        self.now += self.apart
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.api.answer(Request.at(method, target, headers, content), self.now)

    def token(self, key: str = "", **claims: Any) -> str:
        """Return a token as our client signs it; a claim of None is left out."""
        now = int((BEGAN + timedelta(seconds=self.now)).timestamp())
        found = {"application_id": APPLICATION, "iat": now, "exp": now + 60, "jti": "one", **claims}
        kept = {name: value for name, value in found.items() if value is not None}
        return jwt.encode(kept, read_key(key or pair()[0]), algorithm="RS256")

    def manage(self, method: str, target: str, body: object = None, **headers: str) -> Reply:
        """Ask the Applications or Numbers API as the account: ``body`` as JSON, or as it is when it is bytes."""
        self.now += self.apart
        account = self.platform.account
        basic = b64encode(f"{account.api_key}:{account.api_secret}".encode()).decode()
        kind = "application/x-www-form-urlencoded" if isinstance(body, bytes) else "application/json"
        usual = {"authorization": f"Basic {basic}", "content-type": kind}
        found = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.api.answer(Request.at(method, target, usual | found, content), self.now)
