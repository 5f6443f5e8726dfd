"""Knows a caller who does what is typed, a line at a time: calls a number, presses keys, hangs up."""

from __future__ import annotations

import re

from callflows.simulator.effects import HangUp, Input, Pressed
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from callflows.simulator.sound import sample_voice

CALLER = "447700900123"
BYE = "bye"
HINT = "Type 447700900001 to call it, then keys such as 1 or 42#, then bye."
VOICE_SECONDS = 10.0


class NotUnderstood(Exception):
    """A line that says nothing to do; the text says what is expected."""


class Typed:
    """One caller at a time; after his line listens he says ten seconds of a tone pattern, and he stays until `bye`."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._leg = platform, ""

    def take(self, line: str) -> Input | None:
        """Do what a line says; return what the caller does on the phone, None when that is nothing.

        Raises NotUnderstood, and NotPossible for a number that reaches nobody.
        """
        text = re.sub(r"[\s+().-]", "", line).lower()
        if re.fullmatch(r"\d{7,15}", text):
            self._leg = self._platform.call_in(text, CALLER, behaviour=Behaviour(voice=sample_voice(VOICE_SECONDS)))
            return None
        if text != BYE and not re.fullmatch(r"[\d*#]{1,6}", text):
            raise NotUnderstood(f"expected a number, keys or {BYE}, got {line.strip()!r}. {HINT}")
        leg = self._platform.legs.get(self._leg)
        if leg is None or leg.ended is not None:
            raise NotUnderstood(f"nobody is on the phone. {HINT}")
        return HangUp(leg.uuid) if text == BYE else Pressed(leg.uuid, text)
