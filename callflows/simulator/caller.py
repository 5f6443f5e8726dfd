"""Knows a caller: who dials whom, what he says and presses, and when he hangs up."""

from __future__ import annotations

import re
from dataclasses import dataclass

from callflows.simulator.sound import Voice

KEYS = "0123456789*#"
# Keys of one --press are this far apart: a quick hand.
KEY_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Press:
    """One key, pressed ``at`` seconds after the flow first listens."""

    key: str
    at: float

    @classmethod
    def parse(cls, text: str) -> list[Press]:
        """Return the keys of ``5@1.0`` or ``42#@1.5``; raises ValueError with the expected form."""
        found = re.fullmatch(r"([0-9*#]+)@(\d+(?:\.\d+)?)", text)
        if not found:
            raise ValueError(f"expected keys and seconds such as 5@1.0 or 42#@1.5, got {text!r}")
        start = float(found[2])
        return [cls(key, start + place * KEY_SECONDS) for place, key in enumerate(found[1])]


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller; ``presses`` and ``seconds`` (when he hangs up) count from the moment when the flow first listens."""

    to: str
    from_: str
    voice: Voice
    presses: tuple[Press, ...] = ()
    seconds: float = 8.0
