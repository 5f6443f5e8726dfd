"""Knows how a fake call looks while it runs: its timeline as text, and a live line of levels."""

from __future__ import annotations

import math
from typing import TextIO

from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.sound import level

# Seconds between two level lines: rewritten in place on a terminal, else a line each.
_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 1.0
_BARS = 20
_FLOOR_DBFS = -60.0


class Screen:
    """Writes what happens in a call as it happens; give it to `place` as ``watch``."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._frames = round((_TERMINAL_SECONDS if self._live else _PLAIN_SECONDS) / 0.02)
        self._said: list[bytes] = []
        self._heard: list[bytes] = []
        self._line = ""

    def __call__(self, seen: Note | Heard | Said) -> None:
        match seen:
            case Note():
                self._write(f"{seen.t:8.3f}  {seen.leg:<9}  {seen.kind:<7}  {seen.text}")
            case Said(pcm):
                self._said.append(pcm)
            case Heard(pcm):
                self._heard.append(pcm)
        if max(len(self._said), len(self._heard)) >= self._frames:
            self._levels()

    def close(self) -> None:
        """Leave the terminal with a clean line."""
        self._erase()

    def _write(self, text: str) -> None:
        self._erase()
        self._out.write(f"{text}\n")
        self._out.flush()

    def _erase(self) -> None:
        if self._line:
            self._out.write(f"\r{' ' * len(self._line)}\r")
            self._line = ""

    def _levels(self) -> None:
        text = f"{'':8}  says {meter(level(b''.join(self._said)))}  hears {meter(level(b''.join(self._heard)))}"
        self._said, self._heard = [], []
        if not self._live:
            return self._write(text)
        self._line = text
        self._out.write(f"\r{text}")
        self._out.flush()


def meter(dbfs: float) -> str:
    """Return a loudness as a bar from -60 dBFS to full scale, and as a number."""
    full = 0 if math.isinf(dbfs) else max(0, round((1 - dbfs / _FLOOR_DBFS) * _BARS))
    number = " silence" if math.isinf(dbfs) else f"{dbfs:4.0f} dBFS"[-9:]
    return f"[{'#' * full:.<{_BARS}}] {number:<9}"
