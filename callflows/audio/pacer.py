"""Knows when the next frames may leave: a model of Vonage's buffer, with time as an argument."""

from __future__ import annotations

import math
from collections.abc import Callable

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND

# Older platforms buffer 1,024 messages and lose the rest without a word.
MAX_LEAD = 1000

# One second ahead: a single TCP retransmission (200 ms or more) empties five frames; `clear` takes it back when the
# caller interrupts.
DEFAULT_LEAD = 50

# It is worth asking when Vonage begins to play what is sent if so many frames leave at once, 200 ms.
LEAST_TO_ASK = 10
# How long we wait for the answer: 0.6 s of a lead of 1 s, which may be empty by then; of a shorter one as much less.
_MOST_UNSURE = 0.6
# Of a frame: 5 ms, by which the two clocks may be apart before that is noticed.
_MARGIN = 0.25
# By how much the end of the sound at Vonage may be later than the modelled one: a network that hangs.
_LATE_AT_MOST = 1.0
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

    A frame may leave while ``unplayed`` is below ``lead`` (frames, at most 1000); the one that is being played counts
    as whole. After an underrun the schedule starts anew; there is no catching up. All times are seconds on one
    monotonic clock.
    """

    __slots__ = ("_drift", "_empty", "_unanswered", "_unsure_since", "_unsure_until", "heard", "lead", "total")

    def __init__(self, lead: int = DEFAULT_LEAD) -> None:
        if not 1 <= lead <= MAX_LEAD:
            raise ValueError(f"lead: expected 1 to {MAX_LEAD} frames, got {lead}")
        self.lead = lead
        # How many frames were sent since the beginning: the place of a mark among them.
        self.total = 0
        # When the buffer will have run empty, on Vonage's clock: one number holds the whole model.
        self._empty = -math.inf
        # Until when we do not know whether Vonage has begun to play, and since when; the model stands still meanwhile.
        self._unsure_until = -math.inf
        self._unsure_since = -math.inf
        self._unanswered = False
        self._drift = _Drift()
        # Called with the moment at which one frame came in. No method of its own: 50 calls a second are spared.
        self.heard: Callable[[float], None] = self._drift.heard

    @property
    def came(self) -> int:
        """How many frames came in since the beginning."""
        return self._drift.count

    def unplayed(self, now: float) -> float:
        """Return how many frames wait at Vonage, the one being played included."""
        return max(0.0, (self._empty - self._clock(now)) / FRAME_SECONDS)

    def room(self, now: float) -> int:
        """Return how many frames may leave now. The hot path: as ``unplayed`` says it, without its calls."""
        theirs = now + self._drift.offset
        if theirs < self._unsure_until:
            theirs = self._unsure_since
        if theirs >= self._empty:
            return self.lead
        return max(0, math.floor(self.lead - (self._empty - theirs) / FRAME_SECONDS - _MARGIN))

    def wait(self, now: float) -> float:
        """Return the seconds until a frame may leave; 0 when one may leave now."""
        unplayed = self.unplayed(now)
        # Past the moment by a microsecond: rounding may put it before.
        over = min(unplayed - self.lead + 1 + _MARGIN, unplayed)
        if over <= 0 or self.room(now):
            return 0.0
        return max(0.0, self._unsure_until - self._drift.theirs(now)) or over * FRAME_SECONDS + 1e-6

    def sent(self, frames: int, now: float) -> None:
        """Count frames that left. The hot path: the moment at Vonage is ``_clock``'s, without its calls."""
        theirs = now + self._drift.offset
        if theirs < self._unsure_until:
            theirs = self._unsure_since
        self._empty = (self._empty if self._empty > theirs else theirs) + frames * FRAME_SECONDS
        self.total += frames

    def asks(self, now: float) -> None:
        """Take it that a mark was sent right behind the first frame, and Vonage plays nothing until it comes back.

        A network that holds that frame up for 400 ms would else have us send 20 frames too many. When nothing comes
        back, the model goes on as if nothing had been held up.
        """
        if self._unanswered:
            return
        self._unanswered = True
        self._unsure_since = self._drift.theirs(now)
        self._unsure_until = self._unsure_since + min(_MOST_UNSURE, self.lead * FRAME_SECONDS * _MOST_UNSURE)

    def may_hold(self, now: float) -> bool:
        """Return whether Vonage may hold sound still: also for a second after the modelled end, unless it said no."""
        return self._empty > -math.inf and self._clock(now) < self._empty + _LATE_AT_MOST

    def seconds_before(self, place: int, now: float) -> float:
        """Return after how many seconds the first ``place`` frames will have been played."""
        return max(0.0, self.unplayed(now) - (self.total - place)) * FRAME_SECONDS

    def played(self, place: int, now: float) -> None:
        """Vonage says that it has played the first ``place`` frames: it did when it said so, or earlier."""
        self._unanswered = False
        rest = (self.total - place) * FRAME_SECONDS
        theirs = self._drift.theirs(now)
        if not rest:
            self._empty = self._unsure_until = -math.inf
        elif theirs < self._unsure_until:
            self._unsure_until = -math.inf
            self._empty = theirs + rest
        else:
            # Its word comes as late as its frames do; more than that, and Vonage has been without sound in between.
            self._empty = min(theirs + rest, max(self._empty, theirs - self._drift.lateness + rest))

    def cleared(self) -> None:
        """Vonage has confirmed that it dropped what it had not played."""
        self._empty = self._unsure_until = -math.inf
        self._unanswered = False

    def _clock(self, now: float) -> float:
        """Return the moment at Vonage; while we do not know that it plays, the one at which it began to hold sound."""
        theirs = self._drift.theirs(now)
        return self._unsure_since if theirs < self._unsure_until else theirs


class _Drift:
    """Follows how Vonage's clock runs against ours, by the least late of its frames in each second.

    A frame can come late but never early, so the least late one shows the clock. What it shows is compared with how the
    call began, never with the second before: queues in the network that fill slowly and drain at once (100 ms, once a
    minute) would add up, and after ten of them the second of sound that we count on would be gone.
    """

    __slots__ = ("_even", "_late", "_latest", "_least", "_seconds", "_start", "count", "offset")

    def __init__(self) -> None:
        self._start = math.nan
        self.count = 0
        self._least = math.inf
        self._latest = 0.0
        # How late the least late frame is while both clocks show the same.
        self._even = math.inf
        self.offset = 0.0
        # A lateness that no clock explains, and for how long it has been the same.
        self._late = math.inf
        self._seconds = 0

    def theirs(self, now: float) -> float:
        """Return ``now`` on Vonage's clock, which began with ours."""
        return now + self.offset

    @property
    def lateness(self) -> float:
        """How many seconds the last frame came later than the least late one would have; 0 while that is not known."""
        return max(0.0, self._latest - self._even + self.offset) if self._even < math.inf else 0.0

    def heard(self, now: float) -> None:
        """Count one incoming frame: they come at 50 a second of Vonage's clock, which is not quite ours."""
        if not self.count:
            self._start = now
        late = self._latest = now - self._start - self.count * FRAME_SECONDS
        if late < self._least:
            self._least = late
        self.count += 1
        if self.count % FRAMES_PER_SECOND == 0:
            self._follow(self._least)
            self._least = math.inf

    def _follow(self, least: float) -> None:
        """Take the least lateness of one second."""
        if self.count <= _SETTLING * FRAMES_PER_SECOND:
            self._even = min(self._even, least)
            return
        shift = self._even - least - self.offset
        if shift >= -_HELD_UP:
            self.offset += max(-_MOST_SHIFT, min(shift, _MOST_SHIFT))
            self._late = math.inf
        elif abs(least - self._late) > _HELD_UP:
            self._late, self._seconds = least, 0
        else:
            self._seconds += 1
            if self._seconds == _PATIENCE:
                self._even = least + self.offset
