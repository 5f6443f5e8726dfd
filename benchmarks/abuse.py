"""Measures what calls notice of somebody who abuses the server, in each of several ways."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from urllib.parse import urlencode

from benchmarks.echo import machine
from benchmarks.harness.client import BINARY, PING, TEXT, masked
from benchmarks.harness.rough import ECHO_NUMBER, UPGRADE, Peer, Where, ask
from benchmarks.harness.servers import (
    BASE_DIR,
    BenchError,
    Cores,
    Server,
    guarded,
    kept_on,
    new_site,
    of_servers,
    started,
)
from benchmarks.soak import sample

# What callers may notice, and how much memory may go.
GAP_MS, MEGABYTES = 40.0, 20.0
CALLS, FRAME_SECONDS = 5, 0.02
# How long the callers talk before and after each way.
ALONE_SECONDS = 2.0
WAY_SECONDS = 60
GIGABYTE = 1 << 30
BLOCK = bytes(1 << 16)
# A fragment that is not the last, without any content: the head of one that is, with FIN taken away.
FRAGMENT = bytes([masked(0, b"")[0] & 0x7F]) + masked(0, b"")[1:]
SMALL = {
    "pings": masked(PING, b""),
    "empty fragments": FRAGMENT,
    "small texts": masked(TEXT, b"{}"),
    "texts of one letter": masked(TEXT, b"x"),
    "empty frames": masked(BINARY, b""),
}
SOCKETS, SMALL_FRAMES = 5, 200_000
DRIPS, HANDSHAKES, PASSWORDS = 400, 3000, 60


@dataclass
class Way:
    """What became of one way: its answers, the worst pause between two echoes of a call, and memory that went."""

    name: str
    answers: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    gap_ms: float = 0.0
    # How late the callers themselves were, at worst: what their own machine did.
    late_ms: float = 0.0
    megabytes: float = 0.0

    @property
    def failures(self) -> list[str]:
        found = []
        if self.gap_ms - self.late_ms > GAP_MS:
            found.append(f"{self.name}: a call had a gap of {self.gap_ms:.0f} ms, expected at most {GAP_MS:g}")
        if self.megabytes > MEGABYTES:
            found.append(f"{self.name}: {self.megabytes:.0f} MB went, expected at most {MEGABYTES:g}")
        return found


# The abusers: each returns how often it got which answer.


def gigabyte(port: int, path: str = "/healthz", counted: bool = True) -> str:
    """Send a gigabyte to an address that wants nothing; return the status, and how much was taken."""
    head = f"Content-Length: {GIGABYTE}" if counted else "Transfer-Encoding: chunked"
    with socket.create_connection(("127.0.0.1", port), timeout=WAY_SECONDS) as peer:
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode())
        block = BLOCK if counted else b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)
        with suppress(OSError):
            for _ in range(GIGABYTE // len(BLOCK)):
                peer.sendall(block)
        return status_of(peer)


def status_of(peer: socket.socket) -> str:
    try:
        return peer.recv(100).split(b"\r\n")[0].decode("latin-1") or "ended"
    except OSError as error:
        return type(error).__name__


def long_address(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=WAY_SECONDS) as peer:
        peer.sendall(b"GET /webhooks/events?a=" + b"a" * 80_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return status_of(peer)


def drips(port: int) -> Counter[str]:
    """Hold as many connections as are let in with a letter of a head now and then; count how they end."""
    ends: Counter[str] = Counter()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(DRIPS)]
        for each in held:
            each.setblocking(False)
        deadline = time.monotonic() + WAY_SECONDS
        while held and time.monotonic() < deadline:
            held = [each for each in held if _drip(each)]
            # A letter now and then keeps a connection alive that only silence would end.
            time.sleep(0.5)
        ends["ended by the server"], ends["still open"] = DRIPS - len(held), len(held)
    return ends


def _drip(peer: socket.socket) -> bool:
    """Send one more letter; whether the connection is still open."""
    try:
        peer.send(b"G")
        return bool(peer.recv(1000))
    except BlockingIOError:
        return True
    except OSError:
        return False


def handshakes(port: int) -> Counter[str]:
    ends: Counter[str] = Counter()
    for number in range(HANDSHAKES):
        with socket.create_connection(("127.0.0.1", port), timeout=WAY_SECONDS) as peer:
            asked = UPGRADE.format(path=f"/socket/{number:016}/none")
            # As the proxy in front would say it: who asks from elsewhere has a limit of his own.
            peer.sendall(asked.replace("\r\n", "\r\nX-Forwarded-For: 198.51.100.1\r\n", 1).encode())
            ends[status_of(peer)] += 1
    return ends


def passwords(port: int) -> Counter[str]:
    ends: Counter[str] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAY_SECONDS)
    for number in range(PASSWORDS):
        connection.request("GET", "/admin/login/")
        page = connection.getresponse()
        cookie = (page.headers["Set-Cookie"] or "").split(";")[0]
        token = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page.read())
        body = urlencode(
            {"csrfmiddlewaretoken": token[1].decode() if token else "", "username": "a", "password": number}
        )
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/admin/login/", body, headers)
        answer = connection.getresponse()
        answer.read()
        ends[str(answer.status)] += 1
    return ends


def flood(frame: bytes, port: int) -> Counter[str]:
    return asyncio.run(small_frames(frame, port))


async def small_frames(frame: bytes, port: int) -> Counter[str]:
    """Open some sockets one after the other as Vonage would, and send nothing but small frames at full speed."""
    where, ends = Where(port), Counter[str]()
    for _ in range(SOCKETS):
        peer = await Peer.let_in(where, await asyncio.to_thread(ask, where, ECHO_NUMBER))
        if frame == FRAGMENT:
            await peer.send(bytes([TEXT]) + masked(TEXT, b"")[1:])
        sending = asyncio.create_task(peer.send(frame * SMALL_FRAMES))
        ends[await _closed(peer)] += 1
        sending.cancel()
        await asyncio.wait({sending})
        peer.connection.close()
    return ends


async def _closed(peer: Peer) -> str:
    try:
        async with asyncio.timeout(WAY_SECONDS):
            while True:
                opcode, payload = await peer.message()
                if opcode == 0x8:
                    return f"closed {int.from_bytes(payload[:2])}"
    except TimeoutError:
        return "still open"
    except OSError as error:
        return type(error).__name__


WAYS: dict[str, Callable[[int], Counter[str]]] = {
    "nothing": lambda port: Counter[str](),
    "1 GB, counted": lambda port: Counter([gigabyte(port)]),
    "1 GB, in chunks": lambda port: Counter([gigabyte(port, counted=False)]),
    "1 GB to the answer": lambda port: Counter([gigabyte(port, "/webhooks/answer", counted=False)]),
    "80 KB of address": lambda port: Counter([long_address(port)]),
    f"{DRIPS} drips": drips,
    f"{HANDSHAKES} handshakes": handshakes,
    f"{PASSWORDS} passwords": passwords,
    **{name: partial(flood, frame) for name, frame in SMALL.items()},
}


# The callers


@dataclass
class Caller:
    """One good call: a frame every 20 ms, and when each came back."""

    peer: Peer
    gap: float = 0.0
    late: float = 0.0
    last: float = 0.0
    echoes: int = 0

    async def talk(self) -> None:
        frame, due = masked(BINARY, bytes(640)), time.monotonic()
        while True:
            due += FRAME_SECONDS
            await asyncio.sleep(due - time.monotonic())
            self.late = max(self.late, time.monotonic() - due)
            await self.peer.send(frame)

    async def listen(self) -> None:
        while True:
            opcode, payload = await self.peer.message()
            if opcode == BINARY:
                now = time.monotonic()
                self.gap = max(self.gap, now - self.last) if self.last else 0.0
                self.last, self.echoes = now, self.echoes + 1
            elif opcode == PING:
                await self.peer.send(masked(0xA, payload))

    def forget(self) -> None:
        self.gap = self.late = 0.0


@dataclass
class Suffering:
    """One server, and the calls that go on at it."""

    server: Server
    cores: Cores
    callers: list[Caller] = field(default_factory=list)

    async def suffer(self, names: Sequence[str]) -> list[Way]:
        where = Where(self.server.port)
        for _ in range(CALLS):
            path = await asyncio.to_thread(ask, where, ECHO_NUMBER)
            self.callers.append(Caller(await Peer.let_in(where, path)))
        tasks = [asyncio.create_task(work()) for each in self.callers for work in (each.talk, each.listen)]
        try:
            await asyncio.sleep(ALONE_SECONDS)
            ways = [await self._one(name) for name in names]
            for task in tasks:
                if task.done():
                    raise BenchError(f"a call ended in the middle: {task.exception()}")
            return ways
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, name: str) -> Way:
        before, begun = sample(self.server.process.pid, 0.0).resident, time.monotonic()
        for each in self.callers:
            each.forget()
        way = Way(name, await asyncio.to_thread(self._abuse, name), round(time.monotonic() - begun, 1))
        await asyncio.sleep(ALONE_SECONDS)
        way.gap_ms = round(max(each.gap for each in self.callers) * 1000, 1)
        way.late_ms = round(max(each.late for each in self.callers) * 1000, 1)
        way.megabytes = round(sample(self.server.process.pid, 0.0).resident - before, 1)
        return way

    def _abuse(self, name: str) -> dict[str, int]:
        """Abuse from a process of its own, which gives way to the callers beside it."""
        command = [sys.executable, "-m", "benchmarks.abuse", "--be", name, "--port", str(self.server.port)]
        done = subprocess.run(
            command,
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=10 * WAY_SECONDS,
            preexec_fn=kept_on(self.cores.generator),
        )
        if done.returncode:
            raise BenchError(f"{name}: {done.stderr.strip()[-2000:]}\n{self.server.said()}")
        found: dict[str, int] = json.loads(done.stdout)
        return found


def tell(server: str, ways: Sequence[Way]) -> None:
    print(f"\n{server:20}{'seconds':>9}{'worst gap':>12}{'own late':>11}{'memory':>10}  answers")
    for way in ways:
        answers = ", ".join(f"{times} {answer}" for answer, times in way.answers.items())
        figures = f"{way.gap_ms:>9.0f} ms{way.late_ms:>8.0f} ms{way.megabytes:>7.0f} MB"
        print(f"{way.name:20}{way.seconds:>9.1f}{figures}  {answers}", flush=True)


@contextmanager
def serving(name: str, cores: Cores) -> Iterator[Server]:
    # The abuser's own sockets are let in, however busy the server is with others of him.
    with new_site(1000, MAX_LAG="60") as site:
        command = ["manage.py", "serve", "--with", name, "--drain", "1", "--port"]
        with started(site, name, command, cores.server, asks=True) as server:
            yield server
            _, mark, error = server.log.read_text(errors="replace").partition("Traceback")
            if mark:
                raise BenchError(f"the server said:\n{mark}{error[:4000]}")


def run(chosen: argparse.Namespace) -> int:
    if chosen.be:
        os.nice(19)
        print(json.dumps(WAYS[chosen.be](chosen.port)))
        return 0
    about, cores = machine(), Cores.choose()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    results: dict[str, list[Way]] = {}
    for name in chosen.servers:
        with serving(name, cores) as server:
            os.sched_setaffinity(0, {cores.generator})
            results[name] = asyncio.run(Suffering(server, cores).suffer(chosen.ways))
        tell(name, results[name])
    failures = [f"{name}: {each}" for name, ways in results.items() for way in ways for each in way.failures]
    print("\nNot passed:" if failures else "\nPassed")
    print("".join(f"  {each}\n" for each in failures), end="")
    if chosen.json:
        found = {name: [asdict(each) for each in ways] for name, ways in results.items()}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(bool(failures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--be", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    return of_servers(parser)


def main() -> int:
    return guarded("abuse", lambda: run(arguments()))


if __name__ == "__main__":
    sys.exit(main())
