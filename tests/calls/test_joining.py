"""However events come, shuffled, repeated or not at all, the calls that they tell of are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflows.calls.joining import Joining
from callflows.calls.memory import MemoryBook, MemoryCall
from callflows.calls.progress import later
from callflows.payloads.events import CallEvent
from tests.calls.world import NOW, Told, World, worlds
from tests.lasting import lasting


def deliver(world: World, told: Iterable[Told | int]) -> MemoryBook:
    """Tell a book of events, and, by the number of a caller, of its answer webhook."""
    book, calls = MemoryBook(), dict[int, MemoryCall]()
    for each in told:
        if isinstance(each, int):
            calls[each] = answer(world, book, each)
        else:
            book.record(CallEvent.parse(each.raw), each.key, NOW, calls[each.caller] if each.named else None)
    return book


def answer(world: World, book: MemoryBook, caller: int) -> MemoryCall:
    leg = Joining(book, world.uuid(caller), [f"CON-{caller}"]).meet(f"CON-{caller}")
    assert leg.home is not None
    book.keep_leg(leg)
    leg.home.caller, leg.home.called, leg.home.direction = world.number(caller), "442079460000", "inbound"
    return leg.home


def in_order(world: World, told: Iterable[Told]) -> list[Told | int]:
    return [*(caller for caller, answered in enumerate(world.answered) if answered), *told]


def progress(each: Any) -> tuple[Any, ...]:
    return (each.status, each.outcome, each.started, each.answered, each.ended)


def seen(book: MemoryBook) -> dict[str, Any]:
    """Return everything that can be seen of all calls, by their uuids."""
    return {
        call.uuid: {
            "call": (call.caller, call.called, call.direction, *progress(call)),
            "legs": sorted(
                (leg.uuid or "", leg.kind, leg.caller, leg.called, leg.direction, *progress(leg), frozenset(leg.rooms))
                for leg in book.every_leg
                if leg.home is call
            ),
            "timeline": [
                (entry.at, entry.key, entry.text, entry.leg.uuid if entry.leg else "")
                for entry in sorted(timeline.values(), key=lambda entry: (entry.at, entry.key))
            ],
        }
        for call, timeline in book.timelines.items()
    }


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[World, list[Told | int]]:
    """A world, and a way in which its events come: anyhow, some twice; those of our addresses after the answer."""
    world = draw(worlds())
    again = draw(st.lists(st.sampled_from(world.told), max_size=5))
    way: list[Told | int] = list(draw(st.permutations([*world.told, *again])))
    for caller, answered in enumerate(world.answered):
        if answered:
            told = [(at, each) for at, each in enumerate(way) if isinstance(each, Told)]
            named = [at for at, each in told if (each.caller, each.named) == (caller, True)]
            way.insert(draw(st.integers(0, min(named, default=len(way)))), caller)
    return world, way


@pytest.mark.soak
@settings(max_examples=lasting(60, 6000))
@given(deliveries())
def test_events_in_any_order_and_repeated_make_the_same_calls(delivery: tuple[World, list[Told | int]]) -> None:
    world, way = delivery
    assert seen(deliver(world, way)) == seen(deliver(world, in_order(world, world.told)))


@pytest.mark.soak
@settings(max_examples=lasting(40, 4000))
@given(deliveries(), st.data())
def test_lost_events_leave_no_other_trace(delivery: tuple[World, list[Told | int]], data: st.DataObject) -> None:
    world, way = delivery
    lost = data.draw(st.sets(st.sampled_from(range(len(world.told)))))
    gone = {world.told[at].key for at in lost if may_be_lost(world, world.told[at])}
    left = [each for each in world.told if each.key not in gone]
    found = seen(deliver(world, [each for each in way if isinstance(each, int) or each.key not in gone]))
    assert found == seen(deliver(world, in_order(world, left)))
    whole = seen(deliver(world, in_order(world, world.told)))
    assert {uuid: call["timeline"] for uuid, call in found.items()} == {
        uuid: [entry for entry in call["timeline"] if entry[1] not in gone] for uuid, call in whole.items()
    }
    for uuid, call in found.items():
        assert call["call"][3] == furthest(each.raw for each in left if each.raw.get("uuid") == uuid)


def may_be_lost(world: World, told: Told) -> bool:
    """All but what alone tells where a leg went, and that a caller whom no answer webhook told of is a caller."""
    caller = told.raw.get("uuid") == world.uuid(told.caller)
    unheard = caller and not world.answered[told.caller]
    return not told.decides and not (unheard and told.raw.get("status") == "answered")


def furthest(told: Iterable[dict[str, Any]]) -> str:
    status = ""
    for raw in told:
        status = later(status, CallEvent.parse(raw).status)
    return status
