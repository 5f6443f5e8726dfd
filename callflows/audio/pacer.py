"""Knows when the next frames may leave: a model of Vonage's buffer, with time as an argument."""

from __future__ import annotations

import math

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND

# Older platforms buffer 1,024 messages and lose the rest without a word.
MAX_LEAD = 1000

# One second ahead: a single TCP retransmission (200 ms or more) empties five frames; `clear` takes it back when the
# caller interrupts.
DEFAULT_LEAD = 50

# Quartz differs by tens of millionths, 1 ms a second at the very most; twice that, to follow in spite of jitter.
_MOST_SHIFT = 0.002
# Frames that are later than this are held up in the network, or some were lost; no clock does that.
_HELD_UP = 0.005
# How many seconds they are equally late before we take it that frames were lost: queues change, and go.
_PATIENCE = 20
# How many seconds show where the clock begins: audio may begin with a burst of late frames.
_SETTLING = 2


class Pacer:
    """Counts ``unplayed``, the frames that Vonage holds: one more for each sent, one less every 20 ms, never below 0.

    A frame may leave while ``unplayed`` is below ``lead`` (frames, at most 1000). After an underrun the schedule
    starts anew; there is no catching up. All times are seconds on one monotonic clock.
    """

    def __init__(self, lead: int = DEFAULT_LEAD) -> None:
        if not 1 <= lead <= MAX_LEAD:
            raise ValueError(f"lead: expected 1 to {MAX_LEAD} frames, got {lead}")
        self.lead = lead
        # When the buffer will have run empty, on Vonage's clock: one number holds the whole model.
        self._empty = -math.inf
        self._drift = _Drift()

    def unplayed(self, now: float) -> float:
        """Return how many frames wait at Vonage, the one being played included."""
        return max(0.0, (self._empty - self._drift.theirs(now)) / FRAME_SECONDS)

    def room(self, now: float) -> int:
        """Return how many frames may leave now."""
        return max(0, math.ceil(self.lead - self.unplayed(now) - 1e-6))

    def wait(self, now: float) -> float:
        """Return the seconds until a frame may leave; 0 when one may leave now."""
        return max(0.0, (self.unplayed(now) - self.lead) * FRAME_SECONDS + 1e-6) if not self.room(now) else 0.0

    def sent(self, frames: int, now: float) -> None:
        """Count frames that left."""
        self._empty = max(self._empty, self._drift.theirs(now)) + frames * FRAME_SECONDS

    def cleared(self) -> None:
        """Vonage has confirmed that it dropped what it had not played."""
        self._empty = -math.inf

    def heard(self, now: float) -> None:
        """Count one incoming frame: they come at 50 a second of Vonage's clock, which is not quite ours."""
        self._drift.heard(now)


class _Drift:
    """Follows how Vonage's clock runs against ours, by the least late of its frames in each second.

    A frame can come late but never early, so the least late one shows the clock. What it shows is compared with how the
    call began, never with the second before: queues in the network that fill slowly and drain at once (100 ms, once a
    minute) would add up, and after ten of them the second of sound that we count on would be gone.
    """

    def __init__(self) -> None:
        self._start = math.nan
        self._count = 0
        self._least = math.inf
        # How late the least late frame is while both clocks show the same.
        self._even = math.inf
        self._offset = 0.0
        # A lateness that no clock explains, and for how long it has been the same.
        self._late = math.inf
        self._seconds = 0

    def theirs(self, now: float) -> float:
        """Return ``now`` on Vonage's clock, which began with ours."""
        return now + self._offset

    def heard(self, now: float) -> None:
        if not self._count:
            self._start = now
        self._least = min(self._least, now - self._start - self._count * FRAME_SECONDS)
        self._count += 1
        if self._count % FRAMES_PER_SECOND == 0:
            self._follow(self._least)
            self._least = math.inf

    def _follow(self, least: float) -> None:
        """Take the least lateness of one second."""
        if self._count <= _SETTLING * FRAMES_PER_SECOND:
            self._even = min(self._even, least)
            return
        shift = self._even - least - self._offset
        if shift >= -_HELD_UP:
            self._offset += max(-_MOST_SHIFT, min(shift, _MOST_SHIFT))
            self._late = math.inf
        elif abs(least - self._late) > _HELD_UP:
            self._late, self._seconds = least, 0
        else:
            self._seconds += 1
            if self._seconds == _PATIENCE:
                self._even = least + self._offset
