"""Knows the input action: keys, speech, or both, and what the application is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from callflows.simulator import events
from callflows.simulator.delivery import Document
from callflows.simulator.legs import Leg
from callflows.simulator.lines import PartyLine
from callflows.simulator.options import flag, number, text
from callflows.simulator.recording import Recording
from callflows.simulator.scripts import Wait

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Action = Mapping[str, Any]
Collected = dict[str, Any]

# Sources give confidence as a text, best first.
_CONFIDENCES = ("0.9127331", "0.6802514", "0.5120087")
_NO_KEYS: Collected = {"digits": None, "timed_out": False}


async def input_(call: Call, action: Action) -> Document | None:
    """Collect keys or speech, and ask the application what comes next."""
    call.listen()
    call.inputs += 1
    if action.get("mode") == "asynchronous":
        call.live_input = action
        return None
    call.collecting, call.barge = True, False
    call.note("input", f"listens for {' and '.join(action['type'])}")
    try:
        dtmf, speech = await _collect(call, action)
    finally:
        call.collecting = False
        call.keys.clear()
    return await call.consult(events.input_result(call.leg, call.clock, dtmf, speech), call.leg, action)


async def _collect(call: Call, action: Action) -> tuple[Collected, Collected | None]:
    kinds = action["type"]
    if "speech" not in kinds:
        return await _digits(call, action), None
    speech = await _speech(call, action, lambda: "dtmf" in kinds and bool(call.keys))
    if call.keys and "dtmf" in kinds:
        return await _digits(call, action), {"results": []}
    nothing = "dtmf" in kinds and speech.get("timeout_reason") == "start_timeout"
    return ({"digits": "", "timed_out": True} if nothing else _NO_KEYS), speech


async def _digits(call: Call, action: Action) -> Collected:
    """Return the keys, and whether the time ended them."""
    options = action.get("dtmf") or {}
    seconds, most = number(options.get("timeOut"), 3), number(options.get("maxDigits"), 4)
    digits = ""
    while len(digits) < most:
        await Wait(call.now + seconds, lambda: bool(call.keys))
        if not call.keys:
            return {"digits": digits, "timed_out": True}
        key = call.keys.popleft()
        if key == "#" and flag(options.get("submitOnHash")):
            break
        digits += key
    return {"digits": digits, "timed_out": False}


async def _speech(call: Call, action: Action, stopped: Callable[[], bool]) -> Collected:
    """Return what a party said; its texts are those that its behaviour speaks."""
    options = action.get("speech") or {}
    leg = call.platform.legs.get(text(options.get("uuid")), call.leg)
    recording = Recording(call, leg, {"format": "wav"}) if flag(options.get("saveAudio")) else None
    leg.listened += 1
    try:
        reason = await _spoken(call, leg, options, stopped)
    finally:
        leg.listened -= 1
        url = recording.keep() if recording else ""
    texts = leg.line.recognise() if isinstance(leg.line, PartyLine) and reason != "start_timeout" else []
    readings = [each.strip() for each in " ".join(texts).split("|")] if texts else []
    results = [{"confidence": each, "text": text} for each, text in zip(_CONFIDENCES, readings, strict=False)]
    return {"timeout_reason": reason, "results": results, **({"recording_url": url} if url else {})}


async def _spoken(call: Call, leg: Leg, options: Action, stopped: Callable[[], bool]) -> str:
    """Wait until a party has spoken; return what ended it."""
    start = call.now
    await Wait(start + number(options.get("startTimeout"), 10), lambda: leg.loud > start or stopped())
    if leg.loud <= start or stopped():
        return "start_timeout"
    end = call.now + number(options.get("maxDuration"), 60)
    quiet = number(options.get("endOnSilence"), 2.0)
    while call.now < min(end, leg.loud + quiet) and not stopped():
        await Wait(min(end, leg.loud + quiet), stopped)
    return "max_duration" if call.now >= end else "end_on_silence_timeout"
