"""Knows how to ask for answers, from a process of its own: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import hmac
import json
import os
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from uuid import uuid4

import uvloop

from benchmarks.harness.load import core_seconds, percentile, used

# Of what is signed; nobody else's.
KEY, SECRET = "bench000", "signature-secret-of-the-measurements-0123456789"
APPLICATION = "5b0f3f5e-6f0c-4a1c-9d84-0d7e6c1b2a39"
# Numbers of ours that are called, 1,000 in turn from this one on.
FIRST_NUMBER, NUMBERS = 442079460000, 1000
OPEN_SECONDS, ANSWER_SECONDS = 20.0, 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``connections`` that ask again and again for ``seconds``, after ``discard`` unmeasured ones.

    With 0 seconds each asks once, all at the same moment. ``most`` is how many requests are made
    ready beforehand.
    """

    port: int
    pid: int
    connections: int
    seconds: float
    discard: float
    most: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it: latencies in milliseconds, shares as parts of one core.

    ``wrong`` are answers without the caller's own number in them: the safe NCCO among others.
    ``load_core_share`` is what anybody took of the generator's core, the database too.
    """

    answers: int
    rate: float
    wrong: int
    p50: float
    p99: float
    longest: float
    server_share: float
    others_share: float
    generator_share: float
    load_core_share: float
    ran_out: bool


def signed(body: bytes) -> str:
    """Return the token with which Vonage would sign a request with ``body``."""
    claims = {
        "iat": int(time.time()),
        "jti": str(uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": KEY,
        "application_id": APPLICATION,
    }
    text = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + _encoded(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def request(number: int, port: int) -> tuple[bytes, bytes]:
    """Return a new caller, whom the answer must name, and the signed webhook that asks for it."""
    caller = f"1555010{number:07}"
    asked = {
        "from": caller,
        "to": str(FIRST_NUMBER + number % NUMBERS),
        "uuid": uuid4().hex,
        "conversation_uuid": f"CON-{uuid4()}",
        "region_url": "https://api-us-3.vonage.com",
        "endpoint_type": "phone",
    }
    body = json.dumps(asked).encode()
    head = (
        f"POST /webhooks/answer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {signed(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return caller.encode(), head.encode() + body


@dataclass
class Asked:
    """What all connections share: the requests that are left, and what was measured."""

    requests: Iterator[tuple[bytes, bytes]]
    measured_from: float = 0.0
    until: float = 0.0
    took: array[float] = field(default_factory=lambda: array("d"))
    wrong: int = 0
    ran_out: bool = False


class Connection(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self) -> None:
        found = next(self.asked.requests, None)
        if found is None:
            self.asked.ran_out = True
            self.end()
            return
        self.caller, data = found
        self.data, self.begun = b"", time.monotonic()
        self.transport.write(data)  # type: ignore[attr-defined]  # it is one that writes

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.monotonic()
        if self.begun >= self.asked.measured_from:
            self.asked.took.append(now - self.begun)
            self.asked.wrong += self.caller not in body
        self.ask() if now < self.asked.until else self.end()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


async def measure(plan: Plan) -> Report:
    loop, asked = asyncio.get_running_loop(), Asked(iter([request(each, plan.port) for each in range(plan.most)]))
    async with asyncio.timeout(OPEN_SECONDS):
        opened = [
            await loop.create_connection(lambda: Connection(asked), "127.0.0.1", plan.port)
            for _ in range(plan.connections)
        ]
    gc.disable()
    connections = [connection for _, connection in opened]
    begun = time.monotonic()
    asked.measured_from = begun + plan.discard
    asked.until = asked.measured_from + plan.seconds
    for connection in connections:
        connection.ask()
    await asyncio.sleep(plan.discard)
    started, before = time.monotonic(), _used(plan.pid)
    async with asyncio.timeout(plan.seconds + ANSWER_SECONDS):
        await asyncio.gather(*(each.done for each in connections))
    took, after = time.monotonic() - started, _used(plan.pid)
    for transport, _ in opened:
        transport.abort()
    shares = [round((late - soon) / took, 3) for soon, late in zip(before, after, strict=True)]
    return Report(
        answers=len(asked.took),
        rate=round(len(asked.took) / took, 1),
        wrong=asked.wrong,
        p50=percentile(asked.took, 0.5),
        p99=percentile(asked.took, 0.99),
        longest=percentile(asked.took, 1.0),
        server_share=shares[0],
        others_share=max(0.0, shares[1]),
        generator_share=shares[2],
        load_core_share=shares[3],
        ran_out=asked.ran_out,
    )


def _used(pid: int) -> tuple[float, ...]:
    return (*used(pid), core_seconds(os.getpid()))


def main() -> int:
    plan = Plan(**json.load(sys.stdin))
    try:
        report = uvloop.run(measure(plan))
    except (OSError, TimeoutError) as error:
        print(f"{plan.connections} connections could not ask: {error or type(error).__name__}", file=sys.stderr)
        return 1
    json.dump(asdict(report), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
