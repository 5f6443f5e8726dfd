"""Knows a caller who does what is typed, a line at a time: calls a number, presses keys, hangs up."""

from __future__ import annotations

import re

from callflows.simulator.effects import HangUp, Input, Pressed
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from callflows.simulator.sound import sample_voice

CALLER = "447700900123"
BYE = "bye"
HINT = "Type a number, such as 447700900001, to call it, then keys such as 1 or 42#, then bye."
VOICE_SECONDS = 10.0


class NotUnderstood(Exception):
    """A line that says nothing to do; the text says what is expected."""


class Typed:
    """Callers who say ten seconds of a tone pattern and stay; keys and `bye` are those of the latest who is there."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._legs: list[str] = []

    def take(self, line: str) -> Input | None:
        """Do what a line says; return what the caller does on the phone, None when that is nothing.

        Raises NotUnderstood, and NotPossible for a number that reaches nobody.
        """
        text = re.sub(r"[\s+().-]", "", line).lower()
        if re.fullmatch(r"\d{7,15}", text):
            caller = Behaviour(voice=sample_voice(VOICE_SECONDS))
            self._legs.append(self._platform.call_in(text, CALLER, behaviour=caller))
            return None
        if text != BYE and not re.fullmatch(r"[\d*#]{1,6}", text):
            raise NotUnderstood(f"expected a number, keys or {BYE}, got {line.strip()!r}. {HINT}")
        self._legs = [uuid for uuid in self._legs if uuid in self._platform.legs]
        leg = next((uuid for uuid in reversed(self._legs) if self._platform.legs[uuid].ended is None), "")
        if not leg:
            raise NotUnderstood(f"nobody is on the phone. {HINT}")
        return HangUp(leg) if text == BYE else Pressed(leg, text)
