"""Knows how the webhooks of a call leave: in order, with a second attempt, and to the fallback URL at last."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from callflows.simulator import events
from callflows.simulator.delivery import INVALID, Reply, Webhook, as_query, event_name, judge
from callflows.simulator.effects import Fetch, Fetched, NotFetched
from callflows.simulator.scripts import Wait

if TYPE_CHECKING:
    from callflows.simulator.call import Call


@dataclass(frozen=True, slots=True)
class Site:
    """Where the webhooks of an application are, and how Vonage asks them.

    ``retries`` is the number of attempts after the first one, each ``retry_seconds`` after the failure before it.
    """

    answer: str
    events: str
    fallback: str
    method: Literal["GET", "POST"] = "GET"
    region: str = "https://api-eu-3.vonage.com"
    retries: int = 1
    retry_seconds: float = 1.0

    @classmethod
    def at(cls, base: str, method: Literal["GET", "POST"] = "GET") -> Site:
        """Return the webhooks of a server of ours."""
        root = f"{base.rstrip('/')}/webhooks"
        return cls(f"{root}/answer", f"{root}/events", f"{root}/fallback", method)


@dataclass(eq=False, slots=True)
class Posted:
    """One event on its way; ``reply`` is None until its webhook was answered or has failed for good."""

    webhook: Webhook
    leg: str
    reply: Reply | None = None


class Courier:
    """Delivers the webhooks of one call, and makes its other HTTP requests."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._asked = 0
        self._results: dict[int, Fetched | NotFetched] = {}
        self._outbox: deque[Posted] = deque()

    @property
    def idle(self) -> bool:
        """Whether every event was delivered, or has failed for good."""
        return not self._outbox

    def take(self, result: Fetched | NotFetched) -> None:
        """Take what came of a request."""
        self._results[result.id] = result

    def post(self, webhook: Webhook, leg: str) -> Posted:
        """Send an event after all that were sent before it."""
        posted = Posted(webhook, leg)
        self._outbox.append(posted)
        return posted

    async def fetch(
        self, method: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None, seconds: float
    ) -> Fetched | NotFetched:
        """Make an HTTP request and wait for what comes of it, at most ``seconds``."""
        self._asked += 1
        number = self._asked
        self._call.emit(Fetch(number, method, url, query, body, seconds))
        await Wait(self._call.now + seconds, lambda: number in self._results)
        late = NotFetched(number, "timeout", f"no response within {seconds:g} s")
        return self._results.pop(number, late)

    async def run(self) -> None:
        """Deliver events one after the other: a slow one delays the next, but none overtakes another."""
        while True:
            await Wait(ready=lambda: bool(self._outbox))
            posted = self._outbox[0]
            posted.reply = await self.deliver(posted.webhook, posted.leg)
            self._outbox.popleft()

    async def deliver(self, webhook: Webhook, leg: str) -> Reply:
        """Deliver a webhook, twice if need be, then ask the fallback URL where an answer was expected."""
        call = self._call
        reply = await self._attempts(webhook, leg)
        if not reply.reason or webhook.wants == "nothing":
            return reply
        if reply.reason == INVALID:
            call.post(events.error(call.leg, call.clock))
        body = events.fallback(webhook.body, reply.reason, webhook.url, webhook.kind)
        second = Webhook(webhook.kind, call.site.method, call.site.fallback, body, webhook.wants, 5.0)
        return await self._attempts(second, leg)

    async def _attempts(self, webhook: Webhook, leg: str) -> Reply:
        """Try, and try again where Vonage does; a webhook that fails for good is a refusal."""
        for retry in range(self._call.site.retries + 1):
            if retry:
                await Wait(self._call.now + self._call.site.retry_seconds)
            reply = await self._attempt(webhook, leg)
            if not reply.again:
                break
        if reply.reason:
            self._call.refuse(f"{webhook.name}: {reply.reason} {reply.text}".strip(), leg)
        return reply

    async def _attempt(self, webhook: Webhook, leg: str) -> Reply:
        sent, get = self._call.now, webhook.method == "GET"
        query, body = (as_query(webhook.body), None) if get else ({}, webhook.body)
        result = await self.fetch(webhook.method, webhook.url, query, body, webhook.seconds)
        reply = judge(result, webhook.wants)
        what = event_name(webhook.body) if webhook.kind == "event" else webhook.name
        outcome = f"HTTP {result.status}" if isinstance(result, Fetched) else reply.reason
        text = f"{what}: {outcome} after {(self._call.now - sent) * 1000:.0f} ms"
        data = {"method": webhook.method, "url": webhook.url, "body": dict(webhook.body)}
        self._call.note(webhook.kind, text, leg, data)
        return reply
