"""Measures whether a server loses sockets: callers burst and end badly, and then nothing may be left of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.echo import allow_many_sockets, machine
from benchmarks.harness import rough
from benchmarks.harness.held import Held, held
from benchmarks.harness.rough import ENDINGS, FRAMES, HALF_OPEN, Manners, Peer
from benchmarks.harness.servers import BenchError, Cores, Server, Site, new_site, started
from benchmarks.soak import database

SERVERS = ("daphne", "uvicorn")
# What is closed or reset is gone after so many seconds at most.
CLOSED_SECONDS = 8.0
# A peer is dead after 30 s without a sign of life; the rest is the margin of a busy machine.
SILENT_SECONDS = 40.0
LOOK_SECONDS = 0.2
TROUBLE = re.compile(r"Traceback|^\S+ (?:ERROR|CRITICAL) .*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server may take: ``closed`` seconds to let go of what was ended, ``silent`` of what fell silent."""

    closed: float = CLOSED_SECONDS
    silent: float = SILENT_SECONDS


@dataclass
class Ending:
    """What became of those who ended in one way; ``seconds`` is how long after the last one nothing was left."""

    sockets: int = 0
    left_open: int = 0
    lines_open: int = 0
    seconds: float | None = None


@dataclass
class Result:
    """All that was seen of one server. ``dead``: descriptors of connections that the kernel has given up."""

    server: str
    endings: dict[str, Ending] = field(default_factory=dict)
    dead: int = 0
    # Callers who did not come to their end, and for how many seconds all of them took.
    unfinished: int = 0
    abused: float = 0.0
    silent: float | None = None
    failures: list[str] = field(default_factory=list)

    def judge(self, limits: Limits) -> None:
        for name, ending in self.endings.items():
            most = limits.silent if name == HALF_OPEN else limits.closed
            if ending.left_open or ending.lines_open:
                self.failures.append(f"{name}: {ending.left_open} sockets and {ending.lines_open} lines stayed open")
            elif ending.seconds is None or ending.seconds > most:
                self.failures.append(f"{name}: it took {ending.seconds} s until nothing was left, expected {most:g}")
        if self.dead:
            self.failures.append(f"{self.dead} descriptors of connections that are no more stayed open")
        if self.silent is None:
            self.failures.append(f"a silent peer was still open after {limits.silent:g} s")


@dataclass
class Abuse:
    """One server being abused; ``open_lines`` asks the database for the ids of lines that are open."""

    pid: int
    port: int
    open_lines: Callable[[], set[str]]
    limits: Limits
    result: Result
    ended: dict[str, list[Peer]] = field(default_factory=lambda: {name: [] for name in ENDINGS})

    async def run(self, every: Sequence[Manners], at_once: int, frames: int) -> None:
        await rough.good_call(self.port)
        started = time.monotonic()
        came = await rough.misbehave_all(self.port, every, at_once, frames)
        begun = time.monotonic()
        self.result.abused = round(begun - started, 1)
        for how, peer in zip(every, came, strict=True):
            if isinstance(peer, str):
                self.result.unfinished += 1
                self.result.failures.append(peer)
            else:
                ending = rough.RESET if peer.line == "" and how.ending == HALF_OPEN else how.ending
                self.ended[ending].append(peer)
        self.result.endings = {name: Ending(len(peers)) for name, peers in self.ended.items()}
        try:
            await self._look_after(begun)
        finally:
            for peer in self.ended[HALF_OPEN]:
                peer.connection.close()

    async def _look_after(self, begun: float) -> None:
        silent = asyncio.create_task(self._silence())
        await self._wait_for((rough.CLOSED, rough.RESET), begun, self.limits.closed)
        try:
            await rough.good_call(self.port)
        except (OSError, TimeoutError) as error:
            self.result.failures.append(f"an ordinary call afterwards: {error or type(error).__name__}")
        await self._wait_for(ENDINGS, begun, self.limits.silent)
        await silent
        await self._count(begun, ENDINGS)

    async def _silence(self) -> None:
        try:
            async with asyncio.timeout(self.limits.silent):
                self.result.silent = round(await rough.silence(self.port), 1)
        except TimeoutError:
            self.result.silent = None
        except OSError as error:
            self.result.failures.append(f"a silent peer: {error}")

    async def _wait_for(self, names: Sequence[str], begun: float, seconds: float) -> None:
        """Look again and again, until nothing is left of those who ended so, or time is up."""
        # Polled: another process and its database tell of nothing.
        while not await self._count(begun, names) and time.monotonic() - begun < seconds:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def _count(self, begun: float, names: Sequence[str]) -> bool:
        """Count what is left; return whether that is nothing of ``names``."""
        now, lines = held(self.pid, self.port), await asyncio.to_thread(self.open_lines)
        self.result.dead = now.dead
        for name in ENDINGS:
            self._count_one(self.result.endings[name], self.ended[name], now, lines, begun)
        left = (self.result.endings[name] for name in names)
        return not now.dead and all(each.seconds is not None for each in left)

    def _count_one(self, ending: Ending, peers: list[Peer], now: Held, lines: set[str], begun: float) -> None:
        ports = {each.port for each in peers}
        if ending is not self.result.endings[HALF_OPEN]:
            # These may have got the port of one that was closed before.
            ports -= {each.port for each in self.ended[HALF_OPEN]}
        ending.left_open = sum(port in ports for port in now.far_ports)
        ending.lines_open = len(lines & {each.line for each in peers})
        clean = not (ending.left_open or ending.lines_open)
        if clean and ending.seconds is None:
            ending.seconds = round(time.monotonic() - begun, 1)
        elif not clean:
            ending.seconds = None


def abuse(
    name: str,
    pid: int,
    port: int,
    open_lines: Callable[[], set[str]],
    every: Sequence[Manners],
    *,
    at_once: int,
    frames: int = FRAMES,
    limits: Limits | None = None,
) -> Result:
    """Be these callers at one server; return what is left of them."""
    limits = limits or Limits()
    result = Result(name)
    asyncio.run(Abuse(pid, port, open_lines, limits, result).run(every, at_once, frames))
    result.judge(limits)
    return result


def trouble_in(log: str) -> list[str]:
    """Return what a server's log says that it should not."""
    return [f"in the log: {each[:200]}" for each in TROUBLE.findall(log)[:5]]


def at(site: Site, name: str, core: int, every: Sequence[Manners], at_once: int, frames: int) -> Result:
    command = ["manage.py", "serve", "--with", name, "--drain", "1", "--port"]
    with started(site, name, command, core, True) as server:
        result = abuse(
            name, server.process.pid, server.port, lambda: lines_of(site), every, at_once=at_once, frames=frames
        )
        result.failures += trouble_in(server.log.read_text(errors="replace"))
        still_runs(server)
    return result


def lines_of(site: Site) -> set[str]:
    return {name for (name,) in database(site, "SELECT id FROM callflows_line WHERE state = 'open'")}


def still_runs(server: Server) -> None:
    if (code := server.process.poll()) is not None:
        raise BenchError(f"the server ended with {code} in the middle of it:\n{server.said()}")


def tell(results: Sequence[Result]) -> None:
    head = (
        "  server",
        "    ending",
        "sockets",
        "left open",
        "lines open",
        "seconds to clean",
        "silent peer ended after",
    )
    print("".join(f"{each:>{len(each) + 2}}" for each in head))
    for result in results:
        silent = f"{result.silent:.1f} s" if result.silent is not None else "never"
        for name, each in result.endings.items():
            seconds = f"{each.seconds:.1f}" if each.seconds is not None else "never"
            cells = (result.server, name, each.sockets, each.left_open, each.lines_open, seconds, silent)
            print("".join(f"{cell:>{len(title) + 2}}" for cell, title in zip(cells, head, strict=True)))
        print(f"  {result.server}: all came to their end within {result.abused} s, but {result.unfinished}")
        if result.dead:
            print(f"  {result.server}: {result.dead} descriptors of dead connections stayed open")
    failures = [f"{result.server}: {each}" for result in results for each in result.failures]
    print("\n".join(["\nNot passed:", *(f"  {each}" for each in failures[:40])]) if failures else "\nPassed")


def run(chosen: argparse.Namespace) -> int:
    about, cores = machine(), Cores.choose()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    print(f"{chosen.sockets} sockets, {chosen.frames} frames each, {chosen.at_once} at a time, seed {chosen.seed}\n")
    every = rough.manners(chosen.sockets, chosen.seed)
    results = []
    with new_site(chosen.sockets * 2) as site:
        # What is shown here is what becomes of sockets that were let in.
        site.environment["MAX_LAG"] = "60"
        for name in chosen.servers:
            results.append(at(site, name, cores.server, every, chosen.at_once, chosen.frames))
    tell(results)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n", encoding="utf-8")
    return int(any(each.failures for each in results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with", choices=SERVERS, action="append", dest="servers", help="both, unless named")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--frames", type=int, default=FRAMES, help="in one burst")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--json", type=Path, help="where all figures are written")
    chosen = parser.parse_args()
    chosen.servers = chosen.servers or list(SERVERS)
    return chosen


def main() -> int:
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    try:
        return run(arguments())
    except BenchError as error:
        print(f"benchmarks.sockets_lost: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
