"""Knows how to keep mixed calls going on a server, in a process of its own; tells of each, a line of JSON."""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import uvloop

from benchmarks.harness.bursts import Bursts
from benchmarks.harness.rough import ENDINGS
from benchmarks.harness.servers import CALLER
from callflows.simulator.account import APPLICATION, application
from callflows.simulator.caller import Caller, Press
from callflows.simulator.dial import Dial
from callflows.simulator.driver import Driver
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.party import behaviour_of
from callflows.simulator.platform import Platform
from callflows.simulator.sound import Voice

# The demo's numbers. Each slot keeps to one kind, so that the mix, and the memory that it takes, stays the same.
KINDS = {
    "echo": "447700900001",
    "echo at 8 kHz": "447700900005",
    "play": "447700900002",
    "record": "447700900004",
    "menu": "447700900006",
    "menu of webhooks": "447700900003",
}
ECHOES = ("echo", "echo at 8 kHz")
SHORTEST, LONGEST = 5.0, 40.0
# One call in eight is lost without a word, as when a network breaks; of one in four the socket bursts and ends badly:
# of those that were reset a server lost one in five, and a soak of a minute has ten of them.
LOST_SHARE, ROUGH_SHARE = 0.125, 0.25
# Echoes that may be on their way when a call ends. After a stall of either side an echo stays as late as that for the
# rest of its call, which is no loss; 5 s are more than any stall that was seen.
ON_THE_WAY = 250


class FragileDriver(Driver):
    """Ends its sockets without a word, if the call is ``lost_by_network``, or as badly as ``ending`` says."""

    bursts: Bursts
    lost_by_network = False
    ending = ""

    async def _close(self, leg: str, abort: bool) -> None:
        socket = self._sockets.get(leg)
        if self.ending and socket and not socket.transport.is_closing():
            self._hung_up.add(leg)
            self.bursts.begin(self._sockets.pop(leg), self.ending)
        else:
            await super()._close(leg, abort or self.lost_by_network)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call; ``at`` is when it ended, in seconds from the start of the load."""

    kind: str
    at: float
    seconds: float
    lost_by_network: bool
    ending: str
    heard: int
    wrong: int
    lost: int
    gaps: int
    errors: list[str]


class Ear:
    """Counts what a caller hears; with ``echo``, also whether each frame is the one that was said, in order."""

    def __init__(self, echo: bool) -> None:
        self.echo = echo
        self.heard = self.wrong = self.lost = 0
        self.said: deque[bytes] = deque()

    def __call__(self, seen: Note | Heard | Said) -> None:
        if isinstance(seen, Heard) and seen.source == "socket":
            self.heard += 1
            if self.echo:
                self._compare(seen.pcm)
        elif isinstance(seen, Said) and self.echo:
            self.said.append(seen.pcm)

    def _compare(self, pcm: bytes) -> None:
        for place, said in enumerate(self.said):
            if said == pcm:
                self.lost += place
                for _ in range(place + 1):
                    self.said.popleft()
                return
        self.wrong += 1

    def end(self) -> None:
        self.lost += max(0, len(self.said) - ON_THE_WAY)


def presses(kind: str, seconds: float, chance: random.Random) -> list[Press]:
    """Return the keys of a call: wrong ones that interrupt a question, a choice, and what ends a message."""
    found: list[Press] = []
    at = chance.uniform(0.3, 1.0)
    choice = "3" if kind == "record" else ""
    if kind.startswith("menu"):
        # The menu of webhooks asks for at least 4 s; its second wrong key would find nobody listening.
        for _ in range(chance.randint(0, 2 if kind == "menu" else 1)):
            found.append(Press("9", at))
            at += chance.uniform(0.8, 1.5)
        choice = chance.choice("123")
        found.append(Press(choice, at))
    elif kind in ECHOES:
        found.append(Press("5", at))
    if choice == "3" and chance.random() < 0.5:
        found.append(Press("#", max(at + 4.0, seconds * chance.uniform(0.4, 0.9))))
    return found


async def one_call(
    kind: str, voice: Voice, server: str, chance: random.Random, over: asyncio.Event, bursts: Bursts
) -> Outcome:
    seconds = chance.uniform(SHORTEST, LONGEST)
    caller = Caller(KINDS[kind], CALLER, voice, tuple(presses(kind, seconds, chance)), seconds)
    platform = Platform(datetime.now(UTC))
    platform.account.applications[APPLICATION] = application(server, "GET")
    # Only what comes back at the rate of the caller's own sound is the same frame by frame.
    ear, begun = Ear(kind == "echo"), time.monotonic()
    driver = FragileDriver(platform, Dial(server), ear)
    driver.bursts, driver.lost_by_network = bursts, chance.random() < LOST_SHARE
    if not driver.lost_by_network and chance.random() < ROUGH_SHARE / (1 - LOST_SHARE):
        driver.ending = chance.choice(ENDINGS)
    identity = platform.call_in(caller.to, caller.from_, behaviour=behaviour_of(caller), application=APPLICATION)
    call = platform.legs[identity].call
    hanging = asyncio.create_task(driver.hang_up(over))
    await driver.run(asyncio.Event(), until_over=True)
    hanging.cancel()
    ear.end()
    taken = time.monotonic() - begun
    errors = list(platform.refusals)
    # The longest question or wait before a sound of ours takes less.
    if not ear.heard and kind != "menu of webhooks" and taken > 10:
        errors.append(f"{kind}: nothing was heard from the socket")
    return Outcome(
        kind=kind,
        at=0.0,
        seconds=round(taken, 1),
        lost_by_network=driver.lost_by_network,
        ending=driver.ending,
        heard=ear.heard,
        wrong=ear.wrong + call.bad,
        lost=ear.lost,
        gaps=call.lost,
        errors=errors,
    )


async def slot(number: int, voice: Voice, server: str, begun: float, over: asyncio.Event, bursts: Bursts) -> None:
    """Place one call after the other until it is ``over``; tell of each on standard output."""
    chance = random.Random(number)
    kind = list(KINDS)[number % len(KINDS)]
    await asyncio.sleep(chance.uniform(0.0, 5.0))
    while not over.is_set():
        outcome = await one_call(kind, voice, server, chance, over, bursts)
        told = {**asdict(outcome), "at": round(time.monotonic() - begun, 1)}
        print(json.dumps(told), flush=True)
        await asyncio.sleep(chance.uniform(0.1, 0.5))


async def watch_lateness(late: list[float]) -> None:
    """Note how late this loop runs: its frames leave as late."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        late.append(time.monotonic() - due)


async def load(calls: int, seconds: float, port: int, pid: int) -> None:
    # Noise: each frame is another one.
    noise = np.random.default_rng(1).normal(0, 0.05, round(24000 * (LONGEST + 10))).astype(np.float32)
    voice, over, late, bursts = Voice.of(noise, 24000), asyncio.Event(), list[float](), Bursts(pid, port)
    watching = asyncio.create_task(watch_lateness(late))
    begun, used = time.monotonic(), time.process_time()
    server = f"http://127.0.0.1:{port}"
    slots = [asyncio.create_task(slot(number, voice, server, begun, over, bursts)) for number in range(calls)]
    await asyncio.wait(slots, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    share = (time.process_time() - used) / (time.monotonic() - begun)
    over.set()
    await asyncio.gather(*slots)
    watching.cancel()
    worst = sorted(late)[math.ceil(0.99 * len(late)) - 1]
    used_up = {"share": round(share, 3), "late": round(1000 * worst, 1)}
    told = {**used_up, "kept": await bursts.kept(), "rough": bursts.lines}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _, calls, seconds, port, pid = sys.argv
    uvloop.run(load(int(calls), float(seconds), int(port), int(pid)))
