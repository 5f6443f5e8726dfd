"""Knows what the party at the other end of a leg does: answers or not, speaks, presses keys, hangs up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from callflows.simulator.caller import KEY_SECONDS, Caller, Press
from callflows.simulator.mixing import Clip
from callflows.simulator.scripts import NEVER, Wait
from callflows.simulator.sound import Voice

if TYPE_CHECKING:
    from callflows.simulator.legs import Leg
    from callflows.simulator.lines import PartyLine

# A caller hangs up when the flow has not listened for so long; the longest talk takes 100 s.
PATIENCE_SECONDS = 300.0
# After so much silence a party takes it that the other one has finished.
QUIET_SECONDS = 1.0
# What a party says is wide-band speech; it can be had at every rate.
PARTY_RATE = 16000

Outcome = Literal[
    "answers",
    "busy",
    "declines",
    "invalid number",
    "restricted",
    "unavailable",
    "carrier timeout",
    "no route",
    "out of service",
    "internal error",
]
# listening: the flow (or the other party) listens for the first time; sound: something is heard; quiet: it has been
# silent for a second after that; input: the flow collects; beep: a beep is heard.
When = Literal["answered", "listening", "sound", "quiet", "input", "beep"]


@dataclass(frozen=True, slots=True)
class Say:
    """Speak; ``text`` is what a speech recognition makes of it, with | between readings, best first."""

    voice: Voice
    text: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """Press keys, a quick hand."""

    keys: str


@dataclass(frozen=True, slots=True)
class GoAway:
    """Hang up."""


@dataclass(frozen=True, slots=True)
class Step:
    """Do something ``at`` seconds after the ``nth`` time that something happened."""

    do: Say | Keys | GoAway
    at: float = 0.0
    after: When = "listening"
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a party does, without I/O.

    A called one gives its ``outcome`` after ``rings`` seconds (None: it rings for ever). ``voice``, ``presses`` and
    ``seconds`` (when it hangs up; None: never) count from ``counts``. A ``machine`` beeps ``beep`` seconds after the
    answer; None: it never does. ``steps`` are done besides.
    """

    outcome: Outcome = "answers"
    rings: float | None = 1.0
    voice: Voice | None = None
    text: str = ""
    presses: tuple[Press, ...] = ()
    seconds: float | None = None
    counts: When = "listening"
    machine: bool = False
    beep: float | None = None
    steps: tuple[Step, ...] = ()

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """Return all that it does, as steps."""
        steps = [*self.steps]
        if self.voice is not None:
            steps.append(Step(Say(self.voice, self.text), 0.0, "answered" if self.machine else self.counts))
        latest = NEVER if self.seconds is None else self.seconds
        steps += [Step(Keys(each.key), each.at, self.counts) for each in self.presses if each.at <= latest]
        if self.seconds is not None:
            steps.append(Step(GoAway(), self.seconds, self.counts))
        return tuple(steps)


def behaviour_of(caller: Caller) -> Behaviour:
    """Return what a caller of `simulate_call` does: everything counts from the moment when the flow first listens."""
    return Behaviour(voice=caller.voice, presses=caller.presses, seconds=caller.seconds)


def begin(leg: Leg, line: PartyLine, behaviour: Behaviour) -> None:
    """The leg is answered: its party begins to do what it does."""
    scripts = leg.call.platform.scripts
    steps = [_step(leg, line, each) for each in behaviour.all_steps]
    if behaviour.machine and behaviour.beep is not None:
        steps.append(_beep(leg, line, behaviour.beep))
    leg.scripts += [scripts.start(each, leg.call.group) for each in steps]


async def _beep(leg: Leg, line: PartyLine, seconds: float) -> None:
    await Wait(leg.call.now + seconds)
    line.beep(leg.call.now)


async def _step(leg: Leg, line: PartyLine, step: Step) -> None:
    await _happened(leg, line, step)
    start = leg.listening if step.after == "listening" and leg.listening is not None else leg.call.now
    await Wait(start + step.at)
    match step.do:
        case Say(voice, text):
            line.speak(Clip.of(voice.pcm, PARTY_RATE), text, leg.call.now)
        case Keys(keys):
            for place, key in enumerate(keys):
                await Wait(start + step.at + place * KEY_SECONDS)
                leg.call.press(leg, key)
        case GoAway():
            leg.call.gone(leg, "user")


async def _happened(leg: Leg, line: PartyLine, step: Step) -> None:
    """Wait for what a step comes after; who is not listened to loses patience, and takes it that he is."""
    now, nth = leg.call.now, step.nth
    match step.after:
        case "listening":
            await Wait(now + PATIENCE_SECONDS, lambda: leg.listening is not None)
        case "sound":
            await Wait(ready=lambda: line.loud_at > now)
        case "quiet":
            await Wait(ready=lambda: line.loud_at > now)
            while leg.call.now < line.loud_at + QUIET_SECONDS:
                await Wait(line.loud_at + QUIET_SECONDS)
        case "input":
            await Wait(ready=lambda: leg.flow is not None and leg.flow.inputs >= nth)
        case "beep":
            await Wait(ready=lambda: line.beeps >= nth)
