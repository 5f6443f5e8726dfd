"""Knows a conversation: the room whose members hear each other, tick by tick, and who is not heard by whom."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callflows.audio.format import FRAME_SECONDS
from callflows.simulator.legs import SPEECH_DBFS, Leg
from callflows.simulator.mixing import Frame, Player
from callflows.simulator.scripts import Scripts, Wait
from callflows.simulator.sound import level

if TYPE_CHECKING:
    from callflows.simulator.recording import Tap

MOST_MEMBERS = 50


@dataclass(eq=False, slots=True)
class Member:
    """A leg in a room. ``can_speak``: which legs hear it, ``can_hear``: which legs it hears; None: all.

    ``over``: the room has ended around it.
    """

    leg: Leg
    can_speak: frozenset[str] | None = None
    can_hear: frozenset[str] | None = None
    starts: bool = True
    ends: bool = False
    music: Player | None = None
    over: bool = False

    def hears(self, other: Member) -> bool:
        """Whether it hears another member."""
        return (
            other is not self
            and not other.leg.muted
            and (other.can_speak is None or self.leg.uuid in other.can_speak)
            and (self.can_hear is None or other.leg.uuid in self.can_hear)
        )


@dataclass(eq=False)
class Conversation:
    """A room of one application; an unnamed one belongs to one call.

    A named room whose members all wait for its start is silent, but for their music. ``players`` are heard by all.
    """

    uuid: str
    scripts: Scripts
    application: str = ""
    name: str = ""
    started: bool = True
    players: list[Player] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    # Told when the last member has left, or a moderator ended it.
    at_end: list[Callable[[], None]] = field(default_factory=list)
    _phase: float | None = None
    _ticking: bool = False

    def enter(self, member: Member) -> None:
        """Take a leg in; it leaves the room where it was."""
        leg = member.leg
        if leg.room is not None:
            leg.room.leave(leg)
        self.members[leg.uuid] = leg.member = member
        leg.room, leg.conversation = self, self.uuid
        if member.starts and not self.started:
            self._start()
        if member.music and not self.started:
            leg.own.append(member.music)
        self.wake()

    def leave(self, leg: Leg) -> None:
        """Let a leg go; a moderator's going, or the last one's, ends a named room."""
        member = self.members.pop(leg.uuid, None)
        leg.room = leg.member = None
        if member is None:
            return
        if member.music:
            member.music.stop()
        if member.ends or not self.members:
            self.end()

    def end(self) -> None:
        """The room ends: all its members are let go, and the next one to enter begins anew."""
        for other in self.members.values():
            other.over = True
            if other.music:
                other.music.stop()
            self.scripts.touch(other.leg.call.group)
        if self.name:
            self.started = False
        told, self.at_end = self.at_end, []
        for tell in told:
            tell()

    def play(self, player: Player) -> Player:
        """Let all members hear a sound."""
        self.players.append(player)
        self.wake()
        return player

    def wake(self) -> None:
        """Something sounds, or somebody listens: tick until it is over."""
        if not self._ticking and self._busy:
            self._ticking = True
            self.scripts.start(self._run(), self)

    def _start(self) -> None:
        self.started = True
        for member in self.members.values():
            if member.music:
                member.music.stop()

    @property
    def _busy(self) -> bool:
        return bool(
            self.players
            or self.taps
            or any(each.leg.own or each.leg.taps or each.leg.line.busy for each in self._lines())  # type: ignore[union-attr]  # _lines has those with a line
        )

    def _lines(self) -> list[Member]:
        return [each for each in self.members.values() if each.leg.line is not None]

    async def _run(self) -> None:
        """Tick each 20 ms on a grid of its own, so that a pause in between shifts nothing."""
        if self._phase is None:
            self._phase = self.scripts.now
        place = math.ceil((self.scripts.now - self._phase) / FRAME_SECONDS - 1e-6)
        while self._busy:
            await Wait(self._phase + place * FRAME_SECONDS)
            self.tick(self.scripts.now)
            place += 1
        self._ticking = False

    def tick(self, now: float) -> None:
        """Pass on 20 ms: what each member says, and what each hears."""
        members = self._lines()
        voices = {member: frame for member in members if (frame := _voice(member.leg, now)) is not None}
        by_leg = {member.leg.uuid: frame for member, frame in voices.items() if not member.leg.muted}
        shared = _played(self.players)
        for member in members:
            leg, own = member.leg, _played(member.leg.own)
            heard: list[Frame] = []
            if self.started:
                heard = [frame for other, frame in voices.items() if member.hears(other)] + shared
            heard = [] if leg.earmuffed else heard + own
            said = None if leg.muted else voices.get(member)
            for tap in leg.taps:
                tap.take(said, heard, by_leg)
            if leg.line is not None:
                leg.line.hear(heard, now)
        for tap in self.taps:
            tap.take(None, [*by_leg.values(), *shared], by_leg)
        for member in members:
            self.scripts.touch(member.leg.call.group)


def _voice(leg: Leg, now: float) -> Frame | None:
    """What a leg says in 20 ms; whoever waits for it to speak learns of it."""
    frame = leg.line.say(now) if leg.line is not None else None
    if frame is not None and leg.listened and level(frame.at(8000)) > SPEECH_DBFS:
        leg.loud = now + FRAME_SECONDS
    return frame


def _played(players: list[Player]) -> list[Frame]:
    """Take a frame of each player, and drop those that are done."""
    if not players:
        return []
    frames = [frame for player in players if (frame := player.next()) is not None]
    players[:] = [player for player in players if not player.done]
    return frames
