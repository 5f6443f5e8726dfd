"""Knows to which call an event belongs: the same one in whatever order the events of a call come.

A leg belongs to a call for one of three reasons, the first that is known: our own word (the answer webhook, or an
address of ours that names the call), an inbound direction (each caller begins a call), or the room in which it began:
a leg that is dialled begins in the room of the one who dials. Events come swapped and get lost, so the third is a
guess, and is made again whenever more is known of a leg; what its events told goes with it.

An event that names no leg belongs to all calls that were in its room. Of a room of which only such an event is known,
a leg without a name stands for whoever is there.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Generic

from callflows.calls.book import Book, C, Leg, unique
from callflows.calls.progress import advance, copy
from callflows.calls.rooms import began, birth, names, rooms_of, seen_in, since, told
from callflows.payloads.answer import kind_of
from callflows.payloads.events import CallEvent

# A named room may live for days. What is told of it concerns those who were there then, give or take what is told late.
NEAR = timedelta(hours=1)


class Joining(Generic[C]):
    """One webhook finding its calls in the book. ``owner`` is the call that its address names, if it names one."""

    def __init__(self, book: Book[C], uuid: str, rooms: Collection[str], owner: C | None = None) -> None:
        self.book = book
        self.uuid = uuid
        self.owner = owner
        self.legs = book.legs(uuid, sorted(rooms))
        self._loaded = set(rooms)
        # The calls that legs have left, and for which.
        self._left: dict[C, C] = {}
        self.leg = next((each for each in self.legs if uuid and each.uuid == uuid), None)

    @classmethod
    def of(cls, book: Book[C], event: CallEvent, owner: C | None = None) -> Joining[C]:
        return cls(book, event.uuid, rooms_of(event), owner)

    @property
    def known(self) -> list[C]:
        """The calls on whose timelines it stands if it came before."""
        legs = [self.leg] if self.uuid else self.legs
        return unique([*(each.home for each in legs if each), self.owner])

    def hear(self, event: CallEvent, now: datetime) -> list[C]:
        """Let an event be known; return its calls, first the one that its address names."""
        if not self.uuid:
            return self._hear_of_room(event, now)
        leg = self.leg = self.leg or self._new(self.uuid)
        before = _reasons(leg)
        _learn(leg, event, now)
        if _reasons(leg) != before or leg.home is None or (self.owner and not leg.bound):
            self._settle(leg)
        call = home_of(leg)
        if call.uuid == leg.uuid:
            advance(call, event, now)
            _describe(call, leg)
        self.book.keep_leg(leg)
        self.book.keep_call(call)
        return [call]

    def meet(self, room: str) -> Leg[C]:
        """Return the leg that asks for an answer: the first of its own call, or one of the call that owns it.

        It is not kept yet: the request tells more of it.
        """
        leg = self.leg = self.leg or self._new(self.uuid)
        leg.rooms = seen_in(leg.rooms, room, None)
        self._settle(leg, own=self.owner is None)
        call = home_of(leg)
        if call.uuid != leg.uuid and (self.owner is None or not call.uuid):
            _lead(call, leg)
        return leg

    # Events that name no leg

    def _hear_of_room(self, event: CallEvent, now: datetime) -> list[C]:
        if event.conversation_uuid:
            self._stand_in(event.conversation_uuid, event.at or now)
        calls = unique(each.home for each in self.legs)
        near = [call for call in calls if not (event.at and call.ended and call.ended + NEAR < event.at)]
        found = unique([self.owner, *(near or calls)]) or [self.book.open()]
        if self.owner and not self.owner.uuid:
            # A call out that was refused before it had a leg.
            advance(self.owner, event, now)
        for call in found:
            self.book.keep_call(call)
        return found

    def _stand_in(self, room: str, at: datetime) -> None:
        """Let a leg without a name stand for the one in ``room`` when none is known there for sure."""
        mine = [each for each in self._in(room) if not self.owner or (each.home == self.owner and is_root(each))]
        unnamed = next((each for each in mine if each.uuid is None), None)
        if unnamed or not mine:
            leg = unnamed or self._new(None)
            leg.rooms = seen_in(leg.rooms, room, at)
            self._settle(leg)

    # Where a leg belongs

    def _settle(self, leg: Leg[C], own: bool = False) -> None:
        """Bring ``leg`` home, and the legs whose home it decides."""
        self._load(names(leg.rooms))
        target = self._home(leg, own)
        leg.bound = leg.bound or own or self.owner is not None
        self._bring(leg, target)
        if leg.uuid is None:
            self.book.keep_leg(leg)
        for each in [each for each in self.legs if each is not leg and not is_root(each)]:
            if birth(each.rooms) in names(leg.rooms):
                self._bring(each, self._guessed(each))
        for room in sorted(names(leg.rooms)):
            self._name(room)
        for source, target in self._left.items():
            self._tidy(source, target)
        self._left.clear()
        self._choose_first(home_of(leg))

    def _home(self, leg: Leg[C], own: bool) -> C:
        if leg.bound and leg.home is not None:
            return leg.home
        if self.owner is not None:
            return self.owner
        return self._own(leg) if own or leg.direction == "inbound" else self._guessed(leg)

    def _own(self, leg: Leg[C]) -> C:
        """Return the call that ``leg`` begins: where it is, or a guessed one of its rooms, unless others began that."""
        begun = unique(each.home for each in self.legs if is_root(each) and each is not leg)
        guessed = [each for each in self.legs if not is_root(each) and birth(each.rooms) in names(leg.rooms)]
        found = unique([leg.home, *(each.home for each in guessed)])
        return next((call for call in found if call not in begun), None) or self.book.open()

    def _guessed(self, leg: Leg[C]) -> C:
        """Return the call of whoever was first in the room where ``leg`` began, else that of all who began there."""
        room = birth(leg.rooms)
        there = [each for each in self._in(room) if each is not leg and each.home]
        if roots := [each for each in there if is_root(each)]:
            # Those without a name are gone once somebody is known.
            return home_of(min(roots, key=lambda each: (not each.uuid, since(each.rooms, room), each.uuid or "")))
        if leg.uuid is None and there:
            return home_of(there[0])
        others = [each for each in self.legs if is_root(each) or (each.uuid and birth(each.rooms) != room)]
        elsewhere = unique(each.home for each in others)
        mates = unique(each.home for each in self.legs if birth(each.rooms) == room)
        return next((call for call in mates if call not in elsewhere), None) or self.book.open()

    def _bring(self, leg: Leg[C], target: C) -> None:
        source = leg.home
        self._load(names(leg.rooms))
        if source is None:
            leg.home = target
        elif source != target:
            self.book.give(leg, target)
            self._left[source] = target
        for room in sorted(names(leg.rooms)):
            there = unique(each.home for each in self._in(room))
            self._share(room, target, [call for call in there if call != target])
            if source is not None and source not in there:
                self.book.share(room, source, target, self._entered(room, target))
                self.book.forget(room, source)

    def _share(self, room: str, call: C, others: list[C]) -> None:
        """Let all calls of a room tell the same of it."""
        for other in others:
            self.book.share(room, other, call, self._entered(room, call))
            self.book.share(room, call, other, self._entered(room, other))

    def _entered(self, room: str, call: C) -> datetime:
        return min(since(each.rooms, room) for each in self._in(room) if each.home == call) - NEAR

    def _name(self, room: str) -> None:
        """Drop the legs without a name that stood for those who are known now."""
        for unnamed in [each for each in self._in(room) if each.uuid is None]:
            others = [each for each in self._in(room) if each is not unnamed and (each.uuid or each.bound)]
            if unnamed.bound:
                others = [each for each in others if each.uuid and is_root(each) and each.home == unnamed.home]
            if others:
                self.book.drop(unnamed)
                self.legs.remove(unnamed)

    def _tidy(self, source: C, target: C) -> None:
        """See to a call that a leg has left for ``target``."""
        if any(each.home == source for each in self.legs):
            self._choose_first(source)
            self.book.keep_call(source)
        else:
            self.book.dissolve(source, target)

    def _choose_first(self, call: C) -> None:
        """Let the call be known by its first leg: the caller, else who was there first."""
        first = next((each for each in self.legs if call.uuid and each.uuid == call.uuid), None)
        if (first is None and call.uuid) or (first and first.home == call and is_root(first)):
            # Certain: a leg that is not among these is no guess of theirs.
            return
        named = [each for each in self.legs if each.home == call and each.uuid]
        if named:
            _lead(call, min(named, key=lambda each: (each.direction != "inbound", began(each.rooms), each.uuid or "")))

    # Legs

    def _new(self, uuid: str | None) -> Leg[C]:
        leg = self.book.new_leg(uuid)
        self.legs.append(leg)
        return leg

    def _load(self, rooms: Collection[str]) -> None:
        """Know all legs of ``rooms``."""
        if missing := set(rooms) - self._loaded:
            self.legs += [each for each in self.book.legs("", sorted(missing)) if each not in self.legs]
            self._loaded |= missing

    def _in(self, room: str) -> list[Leg[C]]:
        return [each for each in self.legs if room in names(each.rooms)]


def is_root(leg: Leg[C]) -> bool:
    """Whether it is certain where a leg belongs."""
    return leg.bound or leg.direction == "inbound"


def home_of(leg: Leg[C]) -> C:
    if leg.home is None:
        raise ValueError(f"leg {leg.uuid} has no call yet")
    return leg.home


def _learn(leg: Leg[C], event: CallEvent, now: datetime) -> None:
    """Take over what an event tells of its leg. Only those of its status tell for sure who is ``from`` and ``to``."""
    leg.rooms = told(leg.rooms, event, now)
    leg.direction = event.direction or leg.direction
    if event.kind == "status":
        advance(leg, event, now)
        leg.caller, leg.called = event.caller or leg.caller, event.to or leg.called
        leg.kind = leg.kind if leg.bound and leg.kind else kind_of(leg.called)
    else:
        leg.caller, leg.called = leg.caller or event.caller, leg.called or event.to
        leg.kind = leg.kind or kind_of(leg.called)


def _lead(call: C, leg: Leg[C]) -> None:
    """Let ``leg`` be the call's first."""
    call.uuid = leg.uuid or ""
    copy(leg, call)
    _describe(call, leg)


def _describe(call: C, leg: Leg[C]) -> None:
    """Tell who calls whom; what the answer webhook said, or we ourselves, counts more than events."""
    if leg.bound:
        call.caller, call.called = call.caller or leg.caller, call.called or leg.called
        call.direction = call.direction or leg.direction
    else:
        call.caller, call.called, call.direction = leg.caller, leg.called, leg.direction


def _reasons(leg: Leg[C]) -> tuple[str, frozenset[tuple[str, datetime | None]]]:
    """What decides where a leg belongs."""
    return leg.direction, frozenset((each.room, each.since) for each in leg.rooms)
