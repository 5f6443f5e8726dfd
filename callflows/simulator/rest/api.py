"""Knows which of the fake's APIs answers a request; all stand at one address."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from callflows.simulator.rest.applications import Applications, Pair
from callflows.simulator.rest.calls import Calls
from callflows.simulator.rest.keys import new_pair
from callflows.simulator.rest.lookups import balance, insight
from callflows.simulator.rest.messages import Reply, Request
from callflows.simulator.rest.numbers import Numbers
from callflows.simulator.rest.ports import Platform
from callflows.simulator.rest.refusals import Voice


def _dashed() -> str:
    return str(uuid.uuid4())


class Api:
    """Answers requests about one platform; ``now`` is in seconds from the platform's beginning. No I/O."""

    def __init__(
        self,
        platform: Platform,
        new_id: Callable[[], str] = _dashed,
        new_pair: Callable[[], Pair] = new_pair,
    ) -> None:
        knobs = platform.knobs
        self._keeps_slash = knobs.trailing_slash == "kept"
        self._account, self._new_id = platform.account, new_id
        self._calls = Calls(platform, knobs)
        self._applications = Applications(platform.account, knobs, new_id, new_pair)
        self._numbers = Numbers(platform.account, knobs)
        self._refusals = Voice(knobs.error_form)

    def answer(self, request: Request, now: float) -> Reply:
        if request.path[-1:] == ("",):
            if self._keeps_slash:
                return self._refusals.status(404)
            request = replace(request, path=request.path[:-1])
        match request.path:
            case ("v1", "calls" | "files", *_):
                return self._calls.answer(request, now)
            case ("v2", "applications", *_):
                return self._applications.answer(request)
            case ("account", "get-balance"):
                return balance(request, self._account)
            case ("ni", "basic", "json"):
                return insight(request, self._account, self._new_id())
            case ("account" | "number", *_):
                return self._numbers.answer(request, now)
        return self._refusals.status(404)
