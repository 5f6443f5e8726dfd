"""Knows what came of a fake call, for tests and for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from callflows.simulator.effects import Note
from callflows.simulator.sound import Sound


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call: ``refusals`` holds, in words, what was not accepted; times in seconds from its start."""

    uuid: str
    conversation_uuid: str
    status: str
    refusals: tuple[str, ...]
    timeline: tuple[Note, ...]
    sound: Sound
    bad: int
    lost: int

    @property
    def ok(self) -> bool:
        return not self.refusals

    def events(self) -> list[dict[str, Any]]:
        """Return the bodies of the events that were sent, in order, repeats included."""
        return [dict(note.data["body"]) for note in self.timeline if note.kind == "event"]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `simulate_call --json` prints."""
        names = ("t", "kind", "leg", "text", "data")
        return {
            "ok": self.ok,
            "reason": "; ".join(self.refusals),
            "call": {"uuid": self.uuid, "conversation_uuid": self.conversation_uuid, "status": self.status},
            "timeline": [{name: getattr(note, name) for name in names} for note in self.timeline],
            "heard": {
                "seconds": round(self.sound.seconds, 2),
                "frames": self.sound.frames,
                "bad": self.bad,
                "lost": self.lost,
            },
        }
