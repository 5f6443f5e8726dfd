"""Knows what Vonage could tell of some calls: made by hypothesis, each event with the call that its address names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests import dates

BEGAN = dates.EXAMPLE
NOW = BEGAN + timedelta(minutes=5)
SHARED = "CON-shared"
NUMBER = "442079460000"


@dataclass(frozen=True)
class Told:
    """An event, and whose it is: its address names the caller's call when it is ``named``."""

    raw: dict[str, Any]
    caller: int
    named: bool = False

    @property
    def key(self) -> str:
        return repr((sorted(self.raw.items(), key=str), self.caller if self.named else None))

    @property
    def decides(self) -> bool:
        """Whether nothing else tells where a leg went, or whose call it is."""
        return self.raw.get("type") == "transfer"


@dataclass
class World:
    """Some callers, whether an answer webhook opened their calls, and all that was told."""

    answered: list[bool] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def uuid(self, caller: int) -> str:
        return f"caller{caller}"

    def number(self, caller: int) -> str:
        return f"44770090000{caller}"


class Story:
    """One caller's call as it goes on, a little later with each event; times may be equal, as Vonage's are."""

    def __init__(self, world: World, caller: int) -> None:
        self.world = world
        self.caller = caller
        self.leg = world.uuid(caller)
        self.room = f"CON-{caller}"
        self.at = BEGAN + timedelta(seconds=caller)
        self.dialled = 0

    def tell(self, milliseconds: int, named: bool = False, **raw: Any) -> None:
        self.at += timedelta(milliseconds=milliseconds)
        stamp = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raw = {"timestamp": stamp, **raw}
        if raw.get("status") == "transcribed":
            del raw["timestamp"]
        named = named and self.world.answered[self.caller]
        self.world.told.append(Told(raw, self.caller, named))

    def status(self, word: str, milliseconds: int = 700) -> None:
        parties: Any = {"from": self.world.number(self.caller), "to": NUMBER}
        ids: Any = {"uuid": self.leg, "conversation_uuid": self.room}
        self.tell(milliseconds, **parties, **ids, status=word, direction="inbound")

    def move(self, room: str) -> None:
        self.tell(500, uuid=self.leg, type="transfer", conversation_uuid_from=self.room, conversation_uuid_to=room)
        self.room = room

    def press(self, named: bool) -> None:
        # `from` and `to` are swapped, as they were seen.
        parties = {"to": self.world.number(self.caller), "from": NUMBER}
        dtmf = {"digits": "1", "timed_out": False}
        self.tell(900, named, uuid=self.leg, conversation_uuid=self.room, dtmf=dtmf, **parties)

    def tell_of_room(self, number: int, named: bool) -> None:
        about = (
            {"recording_url": "https://api-us.nexmo.com/v1/files/x", "recording_uuid": f"r{self.caller}", "size": 9},
            {"type": "record", "recording_uuid": f"r{self.caller}", "status": "transcribed", "transcription_url": "u"},
            {"payload": {"step": "greeting", "of": self.caller}},
            {"reason": f"noise {self.caller}"},
        )[number]
        self.tell(300, named, conversation_uuid=self.room, **about)

    def dial(self, outcome: str, named: bool, to: str, moves: bool) -> None:
        """Connect a phone or a socket: its leg begins in the caller's room."""
        self.dialled += 1
        ids = {"uuid": f"leg{self.caller}-{self.dialled}", "conversation_uuid": self.room}
        parties = {"from": NUMBER, "to": to}
        ends = [outcome, "completed"] if outcome else ["answered", "completed"]
        for word in ("started", "ringing", *ends):
            direction = {} if word in ("disconnected", "machine") else {"direction": "outbound"}
            leg = {"call_uuid": ids["uuid"]} if word == "machine" else {"uuid": ids["uuid"]}
            room = {"conversation_uuid": ids["conversation_uuid"]}
            self.tell(0 if word == "ringing" else 400, named, **leg, **room, **parties, status=word, **direction)
            if word == "answered" and moves:
                room_of_its_own = f"CON-{ids['uuid']}"
                self.tell(200, uuid=ids["uuid"], type="transfer", conversation_uuid_from=ids["conversation_uuid"],
                          conversation_uuid_to=room_of_its_own)  # fmt: skip
                ids["conversation_uuid"] = room_of_its_own


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.sampled_from([SHARED, "CON-own-{}", "CON-{}"])),
        st.tuples(st.just("press"), st.booleans()),
        st.tuples(st.just("room"), st.integers(0, 3), st.booleans()),
        st.tuples(
            st.just("dial"),
            st.sampled_from(["", "", "busy", "unanswered", "disconnected", "machine"]),
            st.booleans(),
            st.sampled_from(["447700900222", "wss://app.example.com/socket"]),
            st.booleans(),
        ),
    ),
    max_size=5,
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World(answered=draw(st.lists(st.booleans(), min_size=1, max_size=2)))
    for caller in range(len(world.answered)):
        story = Story(world, caller)
        for word in ("started", "ringing", "answered"):
            story.status(word, 0 if word == "ringing" else 700)
        for act, *how in draw(ACTS):
            match act:
                case "move":
                    story.move(str(how[0]).format(caller))
                case "press":
                    story.press(*how)
                case "room":
                    story.tell_of_room(*how)
                case "dial":
                    story.dial(*how)
        story.status("completed")
    return world


# By chance alone, for tests that tell whole servers: a few worlds, the same ones each time.
Way = tuple[World, list[Told | int]]


def way_of(chance: Random) -> Way:
    """Return a world of two callers who meet in a room more often than not, and an order in which its events come."""
    world = World(answered=[chance.random() < 0.7 for _ in range(2)])
    for caller in range(2):
        story = Story(world, caller)
        for word in ("started", "ringing", "answered"):
            story.status(word, 0 if word == "ringing" else 700)
        if chance.random() < 0.7:
            story.move(SHARED)
        for _ in range(chance.randint(1, 4)):
            act(story, chance)
        story.status("completed")
    way: list[Told | int] = chance.sample([*world.told, *chance.choices(world.told, k=5)], len(world.told) + 5)
    for caller, answered in enumerate(world.answered):
        if answered:
            # Addresses that name a call come into being with its answer.
            named = [
                at
                for at, each in enumerate(way)
                if isinstance(each, Told) and (each.caller, each.named) == (caller, True)
            ]
            way.insert(chance.randint(0, min(named, default=len(way))), caller)
    return world, way


def act(story: Story, chance: Random) -> None:
    named = chance.random() < 0.5
    match chance.choice(["move", "press", "room", "room", "dial"]):
        case "move":
            story.move(chance.choice([SHARED, SHARED, f"CON-own-{story.caller}", f"CON-{story.caller}"]))
        case "press":
            story.press(named)
        case "room":
            story.tell_of_room(chance.randrange(4), named)
        case "dial":
            outcome = chance.choice(["", "", "busy", "unanswered", "disconnected", "machine"])
            to = chance.choice(["447700900222", "wss://app.example.com/socket"])
            story.dial(outcome, named, to, chance.random() < 0.5)
