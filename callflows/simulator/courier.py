"""Knows how the webhooks of a call leave: in order, signed, with a second attempt, and to the fallback URL at last."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from callflows.simulator import events
from callflows.simulator.account import Hook
from callflows.simulator.delivery import INVALID, REFUSED, Reply, Webhook, as_query, event_name, judge
from callflows.simulator.effects import Fetch, Fetched, NotFetched
from callflows.simulator.legs import Leg
from callflows.simulator.scripts import Wait
from callflows.simulator.signing import hashed

if TYPE_CHECKING:
    from callflows.simulator.call import Call


@dataclass(eq=False, slots=True)
class Posted:
    """One event on its way; ``reply`` is None until its webhook was answered or has failed for good."""

    webhook: Webhook
    leg: Leg
    reply: Reply | None = None


class Courier:
    """Delivers the webhooks of one call, and makes its other HTTP requests."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._results: dict[int, Fetched | NotFetched] = {}
        self._outbox: deque[Posted] = deque()
        self._running = False

    @property
    def idle(self) -> bool:
        """Whether every event was delivered, or has failed for good."""
        return not self._outbox

    def take(self, result: Fetched | NotFetched) -> None:
        """Take what came of a request."""
        self._results[result.id] = result

    def post(self, webhook: Webhook, leg: Leg) -> Posted:
        """Send an event after all that were sent before it; with `duplicate_rate` some come twice."""
        posted = Posted(webhook, leg)
        self._outbox.append(posted)
        if webhook.wants == "nothing" and self._call.platform.chance("duplicate", self._call.knobs.duplicate_rate):
            self._outbox.append(Posted(webhook, leg))
        if not self._running:
            self._running = True
            self._call.platform.scripts.start(self._run(), self._call.group)
        return posted

    async def fetch(self, fetch: Fetch) -> Fetched | NotFetched:
        """Make an HTTP request and wait for what comes of it, as long as it says."""
        platform = self._call.platform
        platform.fetching[fetch.id] = self._call
        self._call.emit(fetch)
        try:
            await Wait(self._call.now + fetch.seconds, lambda: fetch.id in self._results)
        finally:
            platform.fetching.pop(fetch.id, None)
        late = NotFetched(fetch.id, "timeout", f"no response within {fetch.seconds:g} s")
        return self._results.pop(fetch.id, late)

    async def get(self, url: str, seconds: float = 5.0, query: Mapping[str, str] | None = None) -> Fetched | NotFetched:
        """Fetch a file, unsigned."""
        return await self.fetch(Fetch(self._call.platform.number(), "GET", url, query or {}, None, seconds))

    async def _run(self) -> None:
        """Deliver events one after the other: a slow one delays the next, but none overtakes another."""
        while self._outbox:
            posted = self._outbox[0]
            posted.reply = await self.deliver(posted.webhook, posted.leg)
            self._outbox.popleft()
        self._running = False

    async def deliver(self, webhook: Webhook, leg: Leg) -> Reply:
        """Deliver a webhook, twice if need be, then ask the fallback URL where an answer was expected.

        The fallback's own failure ends the call, unless it was silent and the call has a document to go on with.
        """
        call = self._call
        reply = await self._attempts(webhook, leg)
        if not reply.reason or webhook.wants == "nothing":
            return reply
        if reply.reason == INVALID:
            call.post(events.error(leg, call.clock), leg)
        hook = call.application.hook("fallback_answer_url")
        if hook is None:
            return reply
        body = events.fallback(webhook.body, reply.reason, webhook.url, webhook.kind)
        second = await self._attempts(ask(hook, webhook, body), leg)
        if second.reason in (INVALID, REFUSED):
            call.disconnect(f"the fallback webhook gave no NCCO: {second.text}")
        return second

    async def _attempts(self, webhook: Webhook, leg: Leg) -> Reply:
        """Try, and try again where Vonage does; a webhook that fails for good is a refusal."""
        knobs = self._call.knobs
        unsigned = self._call.signer is not None and self._call.platform.chance("unsigned", knobs.unsigned_rate)
        for retry in range(knobs.webhook_retries + 1):
            if retry:
                await Wait(self._call.now + knobs.retry_delay)
            reply = await self._attempt(webhook, leg, unsigned)
            # An unsigned one that is answered with 5xx comes again, signed.
            if not reply.again and not (unsigned and "HTTP 5" in reply.text):
                break
            unsigned = False
        if reply.reason:
            # Whoever forgot to say where a server has its webhooks sees what was asked.
            asked = f"{webhook.name} {urlsplit(webhook.url).path}" if "HTTP 404" in reply.text else webhook.name
            self._call.refuse(f"{asked}: {reply.reason} {reply.text}".strip(), leg)
        return reply

    async def _attempt(self, webhook: Webhook, leg: Leg, unsigned: bool) -> Reply:
        call = self._call
        sent = call.now
        result = await self.fetch(self._signed(webhook, unsigned))
        reply = judge(result, webhook.wants, call.knobs)
        what = event_name(webhook.body) if webhook.kind == "event" else webhook.name
        outcome = f"HTTP {result.status}" if isinstance(result, Fetched) else reply.reason
        text = f"{what}: {outcome} after {(call.now - sent) * 1000:.0f} ms"
        if reply.text and not reply.reason:
            text = f"{text}; {reply.text}"
        data = {"method": webhook.method, "url": webhook.url, "body": dict(webhook.body)}
        call.note(webhook.kind, text, leg, data)
        return reply

    def _signed(self, webhook: Webhook, unsigned: bool) -> Fetch:
        call, get = self._call, webhook.method == "GET"
        query, body = (as_query(webhook.body), None) if get else ({}, webhook.body)
        number = call.platform.number()
        headers: dict[str, Any] = {}
        fetch = Fetch(
            number, webhook.method, webhook.url, query, body, webhook.seconds, webhook.connect_seconds, headers
        )
        if call.signer is not None and not unsigned:
            headers["Authorization"] = call.signer.bearer(call.clock, call.platform.new_id(), hashed(fetch))
        return fetch


def ask(hook: Hook, webhook: Webhook, body: Mapping[str, Any]) -> Webhook:
    """Return a webhook to another address, with another body."""
    return Webhook(
        webhook.kind, hook.method, hook.address, body, webhook.wants, hook.socket_seconds, hook.connect_seconds
    )
