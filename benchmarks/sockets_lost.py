"""Measures whether a server loses sockets: callers end badly, and nothing may be left of them."""
# ruff: noqa: ASYNC110

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from benchmarks.echo import machine
from benchmarks.harness import rough
from benchmarks.harness.held import held
from benchmarks.harness.island import Island, island
from benchmarks.harness.rough import CUT_OFF, ENDINGS, FRAMES, HALF_OPEN, Manners, Peer, Where
from benchmarks.harness.servers import BenchError, Cores, Server, Site, guarded, new_site, of_servers, started
from benchmarks.soak import database

# What is closed or reset is gone after so many seconds at most.
CLOSED_SECONDS = 8.0
# A peer is dead after 30 s without a sign of life; the rest is the margin of a busy machine.
SILENT_SECONDS = 40.0
LOOK_SECONDS = 0.2
# Whose ends stay open on our side; how many are cut off by a network that drops all.
KEPT, CUT_OFF_SOCKETS = {HALF_OPEN, CUT_OFF}, 20
# That an answer came late says something of the machine, and nothing of sockets.
TROUBLE = re.compile(r"Traceback|^\S+ (?:ERROR|CRITICAL) (?!.*served the safe NCCO).*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seconds a server may hold what was closed or reset, and what fell silent."""

    closed: float = CLOSED_SECONDS
    silent: float = SILENT_SECONDS


@dataclass
class Ending:
    """What became of those who ended in one way; ``seconds``: until all was gone."""

    sockets: int = 0
    left_open: int = 0
    lines_open: int = 0
    seconds: float | None = None


@dataclass
class Result:
    """What was seen of one server; ``dead``: descriptors of connections that the kernel gave up."""

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
            most = limits.silent if name in KEPT else limits.closed
            if ending.left_open or ending.lines_open:
                left = f"{ending.left_open} sockets and {ending.lines_open} lines"
                self.failures.append(f"{name}: {left} stayed open")
            elif ending.seconds is None or ending.seconds > most:
                took = f"it took {ending.seconds} s until nothing was left"
                self.failures.append(f"{name}: {took}, expected {most:g}")
        if self.dead:
            self.failures.append(f"{self.dead} descriptors of dead connections stayed open")
        if self.silent is None:
            self.failures.append(f"a silent peer was still open after {limits.silent:g} s")


@dataclass
class Abuse:
    """One server being abused; ``open_lines`` asks the database which lines are open."""

    pid: int
    where: Where
    open_lines: Callable[[], set[str]]
    limits: Limits
    result: Result
    # Whose callers are cut off at the end, where there is one.
    island: Island | None = None
    ended: dict[str, list[Peer]] = field(default_factory=dict)
    # The port of the silent peer, who comes when the others have gone; 0 before.
    silent: int = 0

    async def run(self, every: Sequence[Manners], at_once: int, frames: int) -> None:
        await rough.good_call(self.where)
        started = time.monotonic()
        came = await rough.misbehave_all(self.where, every, at_once, frames)
        cut_off = await self._cut_off(frames)
        begun = time.monotonic()
        self.result.abused = round(begun - started, 1)
        self._sort(every, came, cut_off)
        try:
            await self._look_after(begun)
        finally:
            for name in KEPT & self.ended.keys():
                for peer in self.ended[name]:
                    peer.connection.close()

    async def _cut_off(self, frames: int) -> list[Peer | str]:
        """Let callers of the island burst, all at once, and pull its cable."""
        if self.island is None:
            return []
        numbers = range(CUT_OFF_SOCKETS)
        every = [Manners("burst", HALF_OPEN, False, number % 2 == 0, number) for number in numbers]
        where = replace(self.where, make=self.island.socket)
        came = await rough.misbehave_all(where, every, len(every), frames)
        self.island.pull()
        return came

    def _sort(
        self,
        every: Sequence[Manners],
        came: list[Peer | str],
        cut_off: list[Peer | str],
    ) -> None:
        """Put each peer to those who ended alike."""
        names = (*ENDINGS, *((CUT_OFF,) if cut_off else ()))
        self.ended = {name: [] for name in names}
        for ending, peer in [
            *zip([how.ending for how in every], came, strict=True),
            *((CUT_OFF, each) for each in cut_off),
        ]:
            if isinstance(peer, str):
                self.result.unfinished += 1
                self.result.failures.append(peer)
            else:
                # Without a line it never ended its handshake, and so was reset.
                known = ending if peer.line or ending != HALF_OPEN else rough.RESET
                self.ended[known].append(peer)
        self.result.endings = {name: Ending(len(peers)) for name, peers in self.ended.items()}

    async def _look_after(self, begun: float) -> None:
        silent = asyncio.create_task(self._silence())
        await self._wait_for((rough.CLOSED, rough.RESET), begun, self.limits.closed)
        try:
            await rough.good_call(self.where)
        except (OSError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            self.result.failures.append(f"an ordinary call afterwards: {what}")
        every = list(self.ended)
        await self._wait_for(every, begun, self.limits.silent)
        await silent
        await self._count(begun, every)

    async def _silence(self) -> None:
        try:
            async with asyncio.timeout(self.limits.silent):
                peer = await rough.mute(self.where)
                self.silent = peer.port
                self.result.silent = round(await rough.ended_after(peer), 1)
        except TimeoutError:
            self.result.silent = None
        except OSError as error:
            self.result.failures.append(f"a silent peer: {error}")

    async def _wait_for(self, names: Sequence[str], begun: float, seconds: float) -> None:
        """Look again and again, until nothing is left of those who ended so, or time is up."""
        while not await self._count(begun, names) and time.monotonic() - begun < seconds:
            # Polled: another process and its database tell of nothing.
            await asyncio.sleep(LOOK_SECONDS)

    async def _count(self, begun: float, names: Sequence[str]) -> bool:
        """Count what is left; return whether that is nothing of ``names``."""
        now, lines = held(self.pid, self.where.port), await asyncio.to_thread(self.open_lines)
        self.result.dead = now.dead
        kept = {each.port for name in KEPT for each in self.ended.get(name, ())} | {self.silent}
        for name, peers in self.ended.items():
            ports = {each.port for each in peers}
            # One that is kept may have got the port of one that was closed before.
            ports -= set() if name in KEPT else kept
            ending = self.result.endings[name]
            ending.left_open = sum(port in ports for port in now.far_ports)
            ending.lines_open = len(lines & {each.line for each in peers})
            self._time(ending, begun)
        left = (self.result.endings[name] for name in names)
        return not now.dead and all(each.seconds is not None for each in left)

    def _time(self, ending: Ending, begun: float) -> None:
        """Note when nothing was left, and forget it when something is there again."""
        clean = not (ending.left_open or ending.lines_open)
        if clean and ending.seconds is None:
            ending.seconds = round(time.monotonic() - begun, 1)
        elif not clean:
            ending.seconds = None


def abuse(
    name: str,
    pid: int,
    where: Where,
    open_lines: Callable[[], set[str]],
    every: Sequence[Manners],
    *,
    at_once: int,
    frames: int = FRAMES,
    limits: Limits | None = None,
    island: Island | None = None,
) -> Result:
    """Be these callers at one server; return what is left of them."""
    limits = limits or Limits()
    result = Result(name)
    asyncio.run(Abuse(pid, where, open_lines, limits, result, island).run(every, at_once, frames))
    result.judge(limits)
    return result


def trouble_in(log: str) -> list[str]:
    """Return what a server's log says that it should not."""
    return [f"in the log: {each[:200]}" for each in TROUBLE.findall(log)[:5]]


def at(
    site: Site,
    name: str,
    core: int,
    every: Sequence[Manners],
    at_once: int,
    frames: int,
) -> Result:
    with island() as far:
        host = far.here if far else "127.0.0.1"
        site.environment["ALLOWED_HOSTS"] = host
        command = ["manage.py", "serve", "--with", name, "--drain", "1", "--host", host, "--port"]
        with started(site, name, command, core, True, host) as server:
            pid, where = server.process.pid, Where(server.port, host)
            result = abuse(
                name,
                pid,
                where,
                lambda: lines_of(site),
                every,
                at_once=at_once,
                frames=frames,
                island=far,
            )
            result.failures += trouble_in(server.log.read_text(errors="replace"))
            still_runs(server)
    return result


def lines_of(site: Site) -> set[str]:
    found = database(site, "SELECT id FROM callflows_line WHERE state = 'open'")
    return {name for (name,) in found}


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
            cells = (
                result.server,
                name,
                each.sockets,
                each.left_open,
                each.lines_open,
                seconds,
                silent,
            )
            widths = [len(title) + 2 for title in head]
            print("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
        ended = f"all but {result.unfinished} came to their end within {result.abused} s"
        print(f"  {result.server}: {ended}")
        if result.dead:
            print(f"  {result.server}: {result.dead} descriptors of dead connections stayed open")
    failures = [f"{result.server}: {each}" for result in results for each in result.failures]
    print("\nNot passed:" if failures else "\nPassed")
    for failure in failures[:40]:
        print(f"  {failure}")


def run(chosen: argparse.Namespace) -> int:
    about, cores = machine(), Cores.choose()
    python, load = about["python"], about["load_before"]
    print(f"{about['cpu']}, {about['cores']} cores, Python {python}, load before {load}")
    each = f"{chosen.frames} frames each, {chosen.at_once} at a time, seed {chosen.seed}"
    print(f"{chosen.sockets} sockets, {each}\n", flush=True)
    every = rough.manners(chosen.sockets, chosen.seed)
    results = []
    with new_site(chosen.sockets * 2) as site:
        # What is shown here is what becomes of sockets that were let in.
        site.environment["MAX_LAG"] = "60"
        for name in chosen.servers:
            results.append(at(site, name, cores.server, every, chosen.at_once, chosen.frames))
    tell(results)
    if chosen.json:
        found = [asdict(each) for each in results]
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(each.failures for each in results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--frames", type=int, default=FRAMES, help="in one burst")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    return of_servers(parser)


def main() -> int:
    return guarded("sockets_lost", lambda: run(arguments()))


if __name__ == "__main__":
    sys.exit(main())
