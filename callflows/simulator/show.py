"""Knows how a fake call looks while it runs: its timeline as text, and a live line of levels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TextIO

from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.sound import level

# Seconds between two level lines: rewritten in place on a terminal, else a line each.
_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 1.0
_BARS = 20
_FLOOR_DBFS = -60.0
# More would not fit into a line.
_MOST_LEVELS = 3


class Screen:
    """Writes what happens in a call as it happens; give it to `place` as ``watch``.

    With ``several`` callers each line names its leg. ``gone`` is called once when nobody reads any more, as after
    `| head`; from then on nothing is written.
    """

    def __init__(self, out: TextIO, *, several: bool = False, gone: Callable[[], None] = lambda: None) -> None:
        self._out, self._several, self._gone = out, several, gone
        self._live = out.isatty()
        self._frames = round((_TERMINAL_SECONDS if self._live else _PLAIN_SECONDS) / 0.02)
        self._said: list[bytes] = []
        self._heard: dict[str, list[bytes]] = {}
        self._line = ""
        self.broken = False

    def __call__(self, seen: Note | Heard | Said) -> None:
        match seen:
            case Note():
                whose = f"{seen.uuid[:6]:<6}  " if self._several else ""
                self._write(f"{seen.t:8.3f}  {whose}{seen.leg:<9}  {seen.kind:<7}  {seen.text}")
            case Said(pcm):
                self._said.append(pcm)
            case Heard(pcm, _, _, leg):
                self._heard.setdefault(leg, []).append(pcm)
        if max([len(self._said), *map(len, self._heard.values())], default=0) >= self._frames:
            self._levels()

    def close(self) -> None:
        """Leave the terminal with a clean line."""
        self._put(self._erased())

    def _write(self, text: str) -> None:
        self._put(f"{self._erased()}{text}\n")

    def _erased(self) -> str:
        """Return what clears the line of levels."""
        line, self._line = self._line, ""
        return f"\r{' ' * len(line)}\r" if line else ""

    def _put(self, text: str) -> None:
        if self.broken or not text:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            self.broken = True
            self._gone()

    def _levels(self) -> None:
        says = meter(level(b"".join(self._said)))
        heard = list(self._heard.items())[:_MOST_LEVELS] or [("", [])]
        named = [
            f"{leg[:6] if self._several else ''} hears {meter(level(b''.join(pcm)))}".strip() for leg, pcm in heard
        ]
        self._said.clear()
        self._heard.clear()
        text = "  ".join([f"{'':8}  says {says}", *named])
        if not self._live:
            return self._write(text)
        self._line = text
        self._put(f"\r{text}")


def meter(dbfs: float) -> str:
    """Return a loudness as a bar from -60 dBFS to full scale, and as a number."""
    full = 0 if math.isinf(dbfs) else max(0, round((1 - dbfs / _FLOOR_DBFS) * _BARS))
    number = " silence" if math.isinf(dbfs) else f"{dbfs:4.0f} dBFS"[-9:]
    return f"[{'#' * full:.<{_BARS}}] {number:<9}"
