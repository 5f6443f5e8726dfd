"""What a fake that runs for long keeps of calls that are over."""

from __future__ import annotations

from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from tests.simulator.world import World

KEPT_SECONDS = Platform.kept_seconds
TALK = {"action": "talk", "text": "Hello"}
RECORD = {"action": "record", "format": "wav", "endOnSilence": 3}
ROOM = {"action": "conversation", "name": "room"}


def test_calls_and_files_of_long_ago_are_forgotten_with_the_next_call() -> None:
    world = World([RECORD, TALK])
    first = world.call_in(Behaviour(seconds=5.0))
    world.go()
    assert first.leg.uuid in world.platform.legs
    assert world.platform.recordings
    world.at(KEPT_SECONDS + 60, lambda: world.call_in(Behaviour(seconds=5.0)))
    world.go()
    (leg,) = world.platform.legs.values()
    assert leg is world.call.leg is not first.leg
    assert world.platform.calls == [world.call]
    assert list(world.platform.conversations) == [leg.conversation]
    assert len(world.platform.recordings) == 1


def test_what_is_less_than_an_hour_old_is_still_known() -> None:
    world = World([TALK])
    first = world.call_in(Behaviour())
    world.at(KEPT_SECONDS - 60, lambda: world.call_in(Behaviour()))
    world.go()
    assert list(world.platform.legs) == [first.leg.uuid, world.call.leg.uuid]


def test_a_call_that_goes_on_for_hours_is_kept_and_so_is_its_named_room() -> None:
    world = World([ROOM])
    long = world.call_in(Behaviour())
    world.at(2 * KEPT_SECONDS, lambda: world.call_in(Behaviour(seconds=5.0, counts="answered")))
    world.go(until=2 * KEPT_SECONDS + 20)
    assert world.platform.calls == [long, world.call]
    assert long.leg.room is not None
    room = long.leg.room
    world.platform.hang_up(long.leg.uuid)
    world.at(4 * KEPT_SECONDS, lambda: world.call_in(Behaviour(seconds=5.0, counts="answered")))
    world.go()
    assert list(world.platform.legs) == [world.call.leg.uuid]
    assert room.uuid in world.platform.conversations
    assert world.call.leg.conversation == room.uuid


def test_a_party_that_is_connected_after_the_first_leg_moved_away_is_kept() -> None:
    world = World([{"action": "connect", "endpoint": [{"type": "phone", "number": "447700900222"}]}])
    call = world.call_in(Behaviour())
    world.go(until=10)
    (callee,) = call.children
    world.platform.transfer(call.leg.uuid, [TALK])
    world.at(KEPT_SECONDS + 120, lambda: world.call_in(Behaviour(seconds=5.0)))
    world.go(until=KEPT_SECONDS + 121)
    assert callee in world.platform.legs
    assert call.leg.uuid not in world.platform.legs
    world.platform.hang_up(callee)
    world.go()
    assert world.names(callee)[-1] == "completed"
