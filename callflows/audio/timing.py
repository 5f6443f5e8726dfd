"""Knows how regularly a line's frames came: lateness, jitter, gaps and bursts, and which gaps were our own doing."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from callflows.audio.format import FRAME_SECONDS

# No frame for so long is a gap; so many frames within so little time are a burst.
GAP_SECONDS = 0.06
BURST_SECONDS, BURST_FRAMES = 0.005, 3
# A frame is as late as it is later than the least late one of so many seconds: clocks drift, and networks change.
WINDOW_SECONDS = 60.0
# Two sums of the same times differ by their rounding.
_ROUNDING = 1e-9
# A page shows the longest gaps; the file holds all.
MOST_GAPS = 20

Times = NDArray[np.float64]


class Loop(Protocol):
    """What is known of our own event loop: see `callflows.audio.lag.Lag`."""

    def was_late(self, start: float, end: float) -> bool:
        """Whether it was more than 20 ms late between two moments."""

    def hung_at(self, past: float) -> bool:
        """Whether it was so at a moment, and nobody has counted it yet."""

    def worst(self, start: float, end: float) -> float:
        """By how many seconds it was late at most between two moments."""


@dataclass(frozen=True, slots=True)
class Gap:
    """No frame for ``ms``, from ``at`` seconds on; ``ours`` when our own loop was more than 20 ms late meanwhile."""

    at: float
    ms: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Second:
    """What came in one second of a recording, ``at`` which it begins; times in ms.

    ``late`` is the worst lateness, ``jitter`` its p95 less its p5; None when nothing came. ``burst`` counts the frames
    of the largest one. ``lag`` is the worst of our own loop, None when nobody watched it.
    """

    at: int
    frames: int
    late: float | None
    jitter: float | None
    gaps: tuple[Gap, ...]
    bursts: int
    burst: int
    lag: float | None


class Timing:
    """Takes the moments at which frames come, from ``start`` on, and tells of each second that is over.

    ``heard`` costs what appending to a list does; all else is done by `seconds`, in any thread, one at a time. Memory:
    what came since its last call, and a minute of lateness. All times are seconds on one monotonic clock.
    """

    def __init__(self, start: float, loop: Loop | None = None) -> None:
        self._start = start
        self._loop = loop
        self._arrivals: list[float] = []
        self.heard = self._arrivals.append
        self._at = 0
        self._count = 0
        self._last = start
        # The frames of the minute before: when they came, and how late by their number alone.
        self._times: Times = np.empty(0)
        self._raw: Times = np.empty(0)
        # How many frames the burst has by now in which the last frame stood; 0 for none.
        self._burst = 0

    def seconds(self, now: float, final: bool = False) -> list[Second]:
        """Return the seconds that are over; ``final``: also the rest, and a gap that had no end."""
        # What came later stays: the loop may append while a thread is here.
        coming = self._arrivals[:]
        done: list[Second] = []
        used = 0
        while (end := self._start + self._at + 1) <= now or (final and (used < len(coming) or end - 1 < now)):
            upto = used
            while upto < len(coming) and coming[upto] < end:
                upto += 1
            done.append(self._second(np.array(coming[used:upto]), min(end, now), final and end >= now))
            used = upto
        del self._arrivals[:used]
        return done

    def _second(self, times: Times, end: float, last: bool) -> Second:
        lateness = self._lateness(times)
        bursts, largest = self._bursts(times)
        ranked = sorted(lateness.tolist())
        second = Second(
            at=self._at,
            frames=times.size,
            late=_ms(ranked[-1]) if ranked else None,
            jitter=_ms(_percentile(ranked, 0.95) - _percentile(ranked, 0.05)) if ranked else None,
            gaps=self._gaps(times, end if last else None),
            bursts=bursts,
            burst=largest,
            lag=_ms(self._loop.worst(self._start + self._at, end)) if self._loop else None,
        )
        self._at += 1
        return second

    def _lateness(self, times: Times) -> Times:
        """Return arrival(n) - n x 20 ms, less its minimum over the minute up to it.

        All of ``times`` lie within a second, so the minutes of all of them have a common middle.
        """
        raw = times - FRAME_SECONDS * np.arange(self._count, self._count + times.size)
        self._count += times.size
        if not times.size:
            return raw
        old = self._times.searchsorted(times - WINDOW_SECONDS)
        middle = self._raw[old[-1] :].min(initial=math.inf)
        before = np.minimum.accumulate(self._raw[: old[-1]][::-1])[::-1]
        before = np.minimum(np.append(before, math.inf)[old], middle)
        least = np.minimum(before, np.minimum.accumulate(raw))
        self._times = np.concatenate((self._times[old[-1] :], times))
        self._raw = np.concatenate((self._raw[old[-1] :], raw))
        late: Times = raw - least
        return late

    def _gaps(self, times: Times, end: float | None) -> tuple[Gap, ...]:
        """Return the gaps that ended in ``times``, and that up to the recording's ``end``."""
        edges = np.concatenate(([self._last], times, [] if end is None else [end]))
        self._last = float(edges[-1])
        wide = (np.diff(edges) > GAP_SECONDS + _ROUNDING).nonzero()[0].tolist()
        return tuple(self._gap(float(edges[each]), float(edges[each + 1])) for each in wide)

    def _gap(self, begun: float, ended: float) -> Gap:
        loop = self._loop
        ours = loop is not None and (loop.was_late(begun, ended) or loop.hung_at(ended))
        return Gap(round(begun - self._start, 3), _ms(ended - begun), ours)

    def _bursts(self, times: Times) -> tuple[int, int]:
        """Return how many bursts began in ``times``, and the frames of the largest that went on in them."""
        known = min(BURST_FRAMES - 1, self._times.size - times.size)
        edges = self._times[self._times.size - times.size - known :]
        close = edges[BURST_FRAMES - 1 :] - edges[: 1 - BURST_FRAMES] <= BURST_SECONDS + _ROUNDING
        begun = largest = 0
        # The first frames of all end no burst.
        for is_close in [False] * (times.size - close.size) + close.tolist():
            if is_close and not self._burst:
                begun += 1
                self._burst = BURST_FRAMES - 1
            self._burst = self._burst + 1 if is_close else 0
            largest = max(largest, self._burst)
        return begun, largest


def _percentile(ranked: list[float], part: float) -> float:
    """Return where ``part`` of the values lie below, between two of them in a straight line; numpy's takes 60 us."""
    place = part * (len(ranked) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ranked) - 1)
    return ranked[lower] + (place - lower) * (ranked[upper] - ranked[lower])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def timing_path(sound: Path) -> Path:
    """Return where the seconds of a recording stand: beside its sound."""
    return sound.with_suffix(".jsonl")


class TimingFile:
    """A new file of seconds, a line of JSON each, only for our own user. What is written outlives kill -9."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii")

    def write(self, seconds: Iterable[Second]) -> None:
        self._file.writelines(json.dumps(asdict(each), separators=(",", ":")) + "\n" for each in seconds)
        # What is in our own buffer dies with the process; what the kernel has does not.
        self._file.flush()

    def close(self) -> None:
        self._file.close()


_NAMES = {each.name for each in fields(Second)}


@dataclass
class Summary:
    """What a whole recording's seconds say, times in ms; ``longest`` are its longest gaps, in their order.

    ``jitter`` is that of the middle second, ``worst_jitter`` that of the worst.
    """

    seconds: int = 0
    frames: int = 0
    late: float = 0.0
    jitter: float = 0.0
    worst_jitter: float = 0.0
    gaps: int = 0
    ours: int = 0
    bursts: int = 0
    burst: int = 0
    lag: float | None = None
    longest: list[dict[str, Any]] = field(default_factory=list)


def summarize(path: Path) -> Summary:
    """Read a file of seconds, line by line; what a killed writer left half-written is no line."""
    found, jitters = Summary(), list[float]()
    with path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            if (second := _read(line)) is None:
                continue
            _add(found, second)
            if second["jitter"] is not None:
                jitters.append(second["jitter"])
    if jitters:
        found.jitter, found.worst_jitter = float(np.median(jitters)), max(jitters)
    return found


def _read(line: str) -> dict[str, Any] | None:
    try:
        second = json.loads(line)
    except ValueError:
        return None
    return second if isinstance(second, dict) and second.keys() >= _NAMES else None


def _add(found: Summary, second: dict[str, Any]) -> None:
    found.seconds += 1
    found.frames += second["frames"]
    found.late = max(found.late, second["late"] or 0.0)
    found.gaps += len(second["gaps"])
    found.ours += sum(gap["ours"] for gap in second["gaps"])
    found.bursts += second["bursts"]
    found.burst = max(found.burst, second["burst"])
    if second["lag"] is not None:
        found.lag = max(found.lag or 0.0, second["lag"])
    longest = sorted(found.longest + second["gaps"], key=lambda gap: -gap["ms"])[:MOST_GAPS]
    found.longest = sorted(longest, key=lambda gap: gap["at"])
