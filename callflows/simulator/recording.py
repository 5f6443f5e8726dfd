"""Knows recordings: the record action, the frames that it keeps, the files that they become, and their transcripts."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import soundfile

from callflows.audio.files import wav_bytes
from callflows.audio.format import Format
from callflows.simulator import events
from callflows.simulator.mixing import Frame, beep_clip, mixed
from callflows.simulator.options import flag, number
from callflows.simulator.scripts import Wait

if TYPE_CHECKING:
    from callflows.simulator.call import Call
    from callflows.simulator.conversation import Conversation
    from callflows.simulator.legs import Leg

Action = Mapping[str, Any]

# Vonage: 16 bit at 16 kHz; MP3 of constant 32 kbit/s.
FORMAT = Format(16000)
_KINDS = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg"}
_MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.842}
_OGG = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.9}


@dataclass(frozen=True, slots=True)
class File:
    """A recording or a transcript, as it is served to its application."""

    application: str
    content_type: str
    content: bytes
    made: datetime


def _kept(call: Call, content: bytes, content_type: str) -> str:
    """Keep a file; return its address."""
    platform = call.platform
    id = platform.new_id()
    platform.recordings[id] = File(call.application.id, content_type, content, call.clock)
    return f"{call.region}/v1/files/{id}"


class Tap(Protocol):
    """Something that is told each 20 ms of what sounds."""

    def take(self, said: Frame | None, heard: list[Frame], voices: Mapping[str, Frame]) -> None:
        """Take what a leg says and hears, and what each leg of its conversation says, by uuid."""


class Recording:
    """Records one leg with all that it hears, or with ``room`` that room; ``options`` are those of the action."""

    def __init__(self, call: Call, leg: Leg, options: Action, room: Conversation | None = None) -> None:
        self._call, self._leg, self._options = call, leg, options
        self.uuid = call.platform.new_id()
        self._start, self._began = call.clock, call.now
        self._conversation = leg.conversation
        self._frames: list[bytes] = []
        self._over = False
        self._channels = _channels(options)
        # Which leg stands on which channel, where each has its own.
        self._places: dict[str, int] = {leg.uuid: 0}
        self._taps = leg.taps if room is None else room.taps
        self._taps.append(self)
        if room := room or leg.room:
            room.wake()

    def take(self, said: Frame | None, heard: list[Frame], voices: Mapping[str, Frame]) -> None:
        if self._channels == 1:
            return self._keep([[said, *heard] if said else heard])
        if self._channels == 2:
            return self._keep([[said] if said else [], heard])
        channels: list[list[Frame]] = [[] for _ in range(self._channels)]
        for uuid, frame in voices.items():
            place = self._places.setdefault(uuid, len(self._places))
            channels[min(place, self._channels - 1)].append(frame)
        self._keep(channels)

    def finish(self) -> None:
        """End it: the file is kept, and its event sent; at the call's end at the latest."""
        call = self._call
        if self._over:
            return
        self._over = True
        url = self.keep()
        size = len(call.platform.recordings[url.rpartition("/")[2]].content) if url else 0
        body = events.recorded(self._conversation, self._start, call.clock, size, url, self.uuid)
        call.post(body, self._leg, self._options)
        if isinstance(self._options.get("transcription"), Mapping):
            script = call.platform.scripts.start(self._transcribe(call.clock), call.group)
            call.platform.pending.append(script)

    def keep(self) -> str:
        """Stop listening, keep the file and return its address; "" when it is empty."""
        if self in self._taps:
            self._taps.remove(self)
        if not self._frames:
            return ""
        kind = self._options.get("format") or ("wav" if self._channels > 2 else "mp3")
        content = encoded(b"".join(self._frames), self._channels, kind)
        return _kept(self._call, content, _KINDS[kind])

    def _keep(self, channels: list[list[Frame]]) -> None:
        pieces = [mixed(frames, FORMAT.rate) if frames else FORMAT.silence for frames in channels]
        if len(pieces) > 1:
            pieces = [np.stack([np.frombuffer(each, "<i2") for each in pieces], axis=1).tobytes()]
        self._frames.append(pieces[0])

    async def _transcribe(self, end: datetime) -> None:
        call, options = self._call, self._options["transcription"]
        said = call.platform.said(self._conversation, self._leg, self._began)
        await Wait(call.now + call.knobs.transcription_seconds)
        seconds = (end - self._start).total_seconds()
        url = _kept(call, transcript(said, seconds, call.platform.new_id()), "application/json")
        to = {**self._options, **{key: options[key] for key in ("eventUrl", "eventMethod") if key in options}}
        call.post(events.transcribed(self._conversation, self.uuid, url), self._leg, to)


async def record(call: Call, action: Action) -> None:
    """Record: in the background, unless silence or a key ends it."""
    if flag(action.get("beepStart")):
        await call.play(beep_clip(), "beep")
    call.listen()
    call.note("record", "starts")
    recording = Recording(call, call.leg, action)
    call.recordings.append(recording)
    blocks = "timeOut" in action and call.knobs.record_timeout_blocks
    if blocks or "endOnSilence" in action or "endOnKey" in action:
        call.collecting = True
        try:
            await _end(call, action)
        finally:
            call.collecting = False
            call.keys.clear()
        recording.finish()
    elif "timeOut" in action:
        script = call.platform.scripts.start(_later(float(action["timeOut"]) + call.now, recording), call.group)
        call.leg.scripts.append(script)


async def _later(moment: float, recording: Recording) -> None:
    await Wait(moment)
    recording.finish()


async def _end(call: Call, action: Action) -> None:
    """Wait for the end of a blocking recording: a key, silence after a while, or its time-out."""
    start, leg = call.now, call.leg
    end, quiet = start + number(action.get("timeOut"), 7200), number(action.get("endOnSilence"), float("inf"))
    leg.listened += 1
    try:
        while call.now < min(end, max(start, leg.loud) + quiet):
            await Wait(min(end, max(start, leg.loud) + quiet), lambda: bool(call.keys))
            while call.keys:
                if call.keys.popleft() == action.get("endOnKey"):
                    return
    finally:
        leg.listened -= 1


def _channels(options: Action) -> int:
    """How many channels a recording has: one, unless it is split."""
    if options.get("split") != "conversation":
        return 1
    return int(number(options.get("channels"), 2))


def encoded(pcm: bytes, channels: int, kind: str) -> bytes:
    """Return L16 at 16 kHz as a file of a format; what MP3 cannot hold is WAV."""
    if kind == "wav" or channels > 2:
        return wav_bytes(pcm, FORMAT.rate, channels)
    file = io.BytesIO()
    samples = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    soundfile.write(file, samples, FORMAT.rate, **(_MP3 if kind == "mp3" else _OGG))
    return file.getvalue()


def transcript(said: list[list[tuple[float, str]]], seconds: float, request: str) -> bytes:
    """Return the document behind a `transcription_url`: one channel for each party, times in ms from the start."""
    channels = [{"transcript": [_sentence(at, text) for at, text in each], "duration": seconds} for each in said]
    return events.encoded({"ver": "1.0.19", "request_id": request, "channels": channels})


def _sentence(at: float, text: str) -> dict[str, Any]:
    start, words = round(at * 1000), text.lower().strip(".?!").split()
    step = 400
    timed = [
        {"word": word, "start_time": start + place * step, "end_time": start + place * step + 350, "confidence": 0.98}
        for place, word in enumerate(words)
    ]
    lists: dict[str, Any] = {"action_items": [], "questions": [], "answers": []}
    length = max(1, len(words)) * step
    return {
        "sentence": text,
        "raw_sentence": " ".join(words),
        "timestamp": start,
        "duration": length,
        **lists,
        "words": timed,
    }
