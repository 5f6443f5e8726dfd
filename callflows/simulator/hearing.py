"""Knows what a party must have heard: silence, sound, a tone or a prompt, at a level."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from callflows.audio.pcm import FULL_SCALE, samples
from callflows.audio.tones import spectrum_peak
from callflows.simulator.ears import RATE, Wave, find, loudness, tone_level
from callflows.simulator.expectation import Came, Expectation, Failure, Places, Who
from callflows.simulator.sound import Voice

# A prompt that is found at least so alike is that prompt; another one reaches 0.3.
ALIKE = 0.8
# What is quieter is silence.
SILENCE_DBFS = -60.0
# A tone below is not there: what a window leaves of others is at least 10 dB lower.
NO_TONE_DBFS = -50.0


class Heard(Expectation):
    """What a party heard between two moments, in seconds after it was answered."""

    heard: Literal["silence", "sound", "tone", "no tone", "prompt"]
    hz: float | None = Field(None, gt=0, lt=8000)
    file: str | None = None
    level: float | None = None
    by: float = Field(3.0, gt=0)
    start: float = Field(0.0, ge=0, alias="from")
    end: float | None = Field(None, gt=0, alias="to")
    who: Who = 1

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if ("tone" in self.heard) != (self.hz is not None) or (self.heard == "prompt") != (self.file is not None):
            raise ValueError("expected `hz` with a tone, and `file` with a prompt")

    def check(self, came: Came, places: Places) -> Failure | None:
        leg = came.leg(self.who)
        if leg is None or leg.answered is None:
            return self.fails(f"somebody {self.who} who hears {self.heard}", "no such answered leg")
        begin = came.seconds(leg)
        end = begin + self.end if self.end is not None else came.ears.end(leg.uuid)
        wave = came.ears.wave(leg.uuid, begin + self.start, end)
        return self._compare(wave)

    def _compare(self, wave: Wave) -> Failure | None:
        until = f"{self.end:g} s" if self.end is not None else "the end"
        when = f"from {self.start:g} s to {until}"
        total = loudness(wave)
        match self.heard:
            case "silence":
                return self.fails(f"silence {when}", _loud(wave)) if total > SILENCE_DBFS else None
            case "sound":
                wanted = f"sound {when}{self._at()}"
                return None if total > SILENCE_DBFS and self._fits(total) else self.fails(wanted, _loud(wave))
            case "tone":
                level = tone_level(wave, self.hz or 0.0)
                # A tone is there when it makes most of the sound, or stands at the level that is asked for.
                there = self._fits(level) if self.level is not None else level > max(SILENCE_DBFS, total - 3)
                wanted = f"a tone of {self.hz:g} Hz {when}{self._at()}"
                return None if there else self.fails(wanted, f"{_dbfs(level)} there, and in all {_loud(wave)}")
            case "no tone":
                level = tone_level(wave, self.hz or 0.0)
                return self.fails(f"no tone of {self.hz:g} Hz {when}", _dbfs(level)) if level > NO_TONE_DBFS else None
        return self._prompt(wave, when)

    def _prompt(self, wave: Wave, when: str) -> Failure | None:
        prompt = Voice.read(self._folder / str(self.file)).pcm[RATE]
        own = samples(prompt) / FULL_SCALE
        likeness, place = find(wave, own)
        there = wave[round(place * RATE) :][: own.size]
        wanted = f"the prompt {self.file} {when}{self._at()}"
        if likeness < ALIKE:
            return self.fails(wanted, f"nothing like it (at best {likeness:.0%} alike), but {_loud(wave)}")
        return None if self._fits(loudness(there)) else self.fails(wanted, f"the prompt at {_dbfs(loudness(there))}")

    def _fits(self, level: float) -> bool:
        return self.level is None or abs(level - self.level) <= self.by

    def _at(self) -> str:
        return f" at {self.level:g} dBFS within {self.by:g}" if self.level is not None else ""


def _dbfs(level: float) -> str:
    return "silence" if math.isinf(level) or level < -90 else f"{level:.1f} dBFS"


def _loud(wave: Wave) -> str:
    level = loudness(wave)
    if math.isinf(level):
        return "silence" if wave.size else "no sound at all"
    return f"{_dbfs(level)}, loudest at {spectrum_peak(wave, RATE):.0f} Hz"
