"""Knows what is kept of a scenario's sound: what was heard at each leg, in time, under a name of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from callflows.simulator.legs import Leg
from callflows.simulator.scenario_play import Play

LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Kept:
    """What was heard at a leg from its answer to its end, as mono L16; ``name`` is empty for the first call's own."""

    leg: str
    name: str
    pcm: bytes
    rate: int


def kept(play: Play) -> Iterator[Kept]:
    """Yield what was heard at the first call's leg, and then at each other one that was answered."""
    names: Counter[str] = Counter()
    for place, uuid in enumerate(play.legs):
        leg = play.stage.legs[uuid]
        if place and leg.answered is None:
            continue
        name = _name(leg) if place else ""
        names[name] += 1
        told = f"{name}-{names[name]}" if names[name] > 1 else name
        yield Kept(uuid, told, *play.sounds[uuid].mixdown(*_stay(play, leg)))


def _stay(play: Play, leg: Leg) -> tuple[float, float]:
    """Return when a leg was answered, and when it ended; without an answer it was not there."""
    if leg.answered is None:
        return 0.0, 0.0
    ended = (leg.ended or play.stage.clock) - play.stage.began
    return play.came.seconds(leg), ended.total_seconds()


def _name(leg: Leg) -> str:
    """Return whose ears they are, for a file's name; the address of a socket has a token in it."""
    if leg.kind == "websocket":
        return leg.kind
    text = leg.from_ if leg.direction == "inbound" else leg.to
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:LONGEST_NAME] or leg.kind
