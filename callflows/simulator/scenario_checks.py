"""Knows what can be expected of a call, and says which expectation was not met: what was expected, what came."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from callflows.simulator.delivery import event_name
from callflows.simulator.effects import Note
from callflows.simulator.expectation import Came, Expectation, Failure, Places, Who
from callflows.simulator.hearing import Heard
from callflows.simulator.sound import Voice


class _Event(Expectation):
    event: str
    leg: Who | None = None
    fields: dict[str, Any] = {}

    def check(self, came: Came, places: Places) -> Failure | None:
        seen, after = [], places.get("event", 0)
        for place, note in enumerate(came.notes[after:], after + 1):
            if note.kind != "event" or not _is(came, note, self.leg):
                continue
            body = note.data["body"]
            if event_name(body) == self.event and not _unlike(self.fields, body):
                places["event"] = place
                return None
            seen.append(_told(body, self.fields if event_name(body) == self.event else {}))
        whose = f" of {self.leg}" if self.leg is not None else ""
        then = ", after those before" if after else ""
        what = _told({"status": self.event, **self.fields}, self.fields)
        return self.fails(f"an event {what}{whose}{then}", ", ".join(seen))


class _Never(Expectation):
    never: str
    leg: Who | None = None

    def check(self, came: Came, places: Places) -> Failure | None:
        bodies = [note.data["body"] for note in came.notes if note.kind == "event" and _is(came, note, self.leg)]
        times = sum(event_name(body) == self.never for body in bodies)
        return self.fails(f"no event {self.never}", f"{times}") if times else None


class _Noted(Expectation):
    """A line of the timeline that contains a text."""

    @property
    def wanted(self) -> tuple[str, str]:
        raise NotImplementedError

    def check(self, came: Came, places: Places) -> Failure | None:
        (kind, text), after = self.wanted, places.get("document", 0)
        for place, note in enumerate(came.notes[after:], after + 1):
            if note.kind == kind and text.lower() in note.text.lower():
                places["document"] = place
                return None
        seen = ", ".join(repr(note.text) for note in came.notes[after:] if note.kind == kind)
        then = ", after those before" if after else ""
        return self.fails(f"{kind} {text!r}{then}", seen)


class _Talk(_Noted):
    talk: str

    @property
    def wanted(self) -> tuple[str, str]:
        return "talk", self.talk


class _Ncco(_Noted):
    ncco: str

    @property
    def wanted(self) -> tuple[str, str]:
        return "ncco", self.ncco


class _Ended(Expectation):
    ended_by: Literal["user", "platform"] = Field(alias="ended by")
    who: Who = 1

    def check(self, came: Came, places: Places) -> Failure | None:
        leg = came.leg(self.who)
        bodies = [
            dict(note.data["body"]) for note in came.notes if note.kind == "event" and leg and note.uuid == leg.uuid
        ]
        by = next((body.get("disconnected_by") for body in bodies if body.get("status") == "completed"), None)
        return None if by == self.ended_by else self.fails(f"an end by the {self.ended_by}", str(by or ""))


class _Status(Expectation):
    status: str
    who: Who = 1

    def check(self, came: Came, places: Places) -> Failure | None:
        leg = came.leg(self.who)
        status = leg.status if leg else ""
        return None if status == self.status else self.fails(f"status {self.status}", status)


class _Seconds(Expectation):
    seconds: list[float] = Field(min_length=2, max_length=2)
    who: Who = 1

    def check(self, came: Came, places: Places) -> Failure | None:
        leg, (least, most) = came.leg(self.who), self.seconds
        expected = f"a call of {least:g} to {most:g} s"
        if leg is None or leg.answered is None or leg.ended is None:
            return self.fails(expected, "no answered call that has ended")
        lasted = (leg.ended - leg.answered).total_seconds()
        return None if least <= lasted <= most else self.fails(expected, f"{lasted:.2f} s")


class _Refused(Expectation):
    refused: str

    def check(self, came: Came, places: Places) -> Failure | None:
        seen = came.platform.refusals
        there = any(self.refused.lower() in each.lower() for each in seen)
        return None if there else self.fails(f"a refusal with {self.refused!r}", "; ".join(seen))


class _Frames(Expectation):
    frames: dict[Literal["lost", "bad"], int]
    who: Who = 1

    @field_validator("frames")
    @classmethod
    def _not_empty(cls, frames: dict[str, int]) -> dict[str, int]:
        if not frames:
            raise ValueError("expected the most frames that are lost, bad, or both")
        return frames

    def check(self, came: Came, places: Places) -> Failure | None:
        leg = came.leg(self.who)
        found = {"lost": leg.call.lost, "bad": leg.call.bad} if leg else {}
        wrong = [
            f"{count} {name}" for name, count in found.items() if name in self.frames and count > self.frames[name]
        ]
        expected = "at most " + " and ".join(f"{count} {name} frames" for name, count in self.frames.items())
        return None if leg and not wrong else self.fails(expected, ", ".join(wrong))


KINDS: Mapping[str, type[Expectation]] = {
    "event": _Event,
    "never": _Never,
    "talk": _Talk,
    "ncco": _Ncco,
    "heard": Heard,
    "ended by": _Ended,
    "status": _Status,
    "seconds": _Seconds,
    "refused": _Refused,
    "frames": _Frames,
}


def parse_expectation(given: Mapping[str, Any], place: int, folder: Path) -> Expectation:
    """Return one expectation; raises ValueError, or AudioError for a prompt that cannot be read."""
    where = f"expect.{place}"
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        raise ValueError(f"{where}: expected one of {', '.join(KINDS)}, got {', '.join(map(str, given)) or 'nothing'}")
    try:
        expectation = KINDS[kinds[0]].model_validate(given)
    except ValidationError as error:
        found = [f"{'.'.join([where, *map(str, each['loc'])])}: {each['msg']}" for each in error.errors()]
        raise ValueError("; ".join(found)) from error
    expectation._step, expectation._folder = f"step {place} of expect ({kinds[0]})", folder
    if isinstance(expectation, Heard) and expectation.file:
        try:
            Voice.read(folder / expectation.file)
        except OSError as error:
            raise ValueError(f"{where}.file: {error}") from error
    return expectation


def check(expect: tuple[Expectation, ...], came: Came, unexpected: tuple[str, ...]) -> list[Failure]:
    """Return what was not met; ``unexpected`` are the refusals, of which those that are expected are fine."""
    places: Places = {}
    failures = [failure for each in expect if (failure := each.check(came, places))]
    expected = [each.refused.lower() for each in expect if isinstance(each, _Refused)]
    for text in unexpected:
        if not any(each in text.lower() for each in expected):
            failures.append(Failure("the whole call", "that nothing is refused", text))
    return failures


def _is(came: Came, note: Note, who: Who | None) -> bool:
    if who is None:
        return True
    if isinstance(who, int) and 1 <= who <= len(came.legs):
        return note.uuid == came.legs[who - 1]
    leg = came.platform.legs.get(note.uuid)
    return str(who) == note.leg or (leg is not None and str(who) in (leg.to, leg.from_))


def _unlike(wanted: Any, body: Any) -> bool:
    """Whether some wanted member is not there; objects inside are looked into."""
    if isinstance(wanted, Mapping) and isinstance(body, Mapping):
        return any(name not in body or _unlike(value, body[name]) for name, value in wanted.items())
    return bool(wanted != body)


def _told(body: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    shown = {name: body[name] for name in fields if name in body}
    return f"{event_name(body)} {shown}" if shown else event_name(body)
