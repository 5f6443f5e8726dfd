"""A caller who does what is typed at the fake's terminal."""

from __future__ import annotations

import pytest

from callflows.simulator.effects import HangUp, Pressed
from callflows.simulator.platform import NotPossible
from callflows.simulator.typed import NotUnderstood, Typed
from tests.simulator.world import NUMBER, World

INPUT = {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 2, "submitOnHash": True, "timeOut": 10}}


def test_a_number_is_called_keys_are_pressed_and_bye_hangs_up() -> None:
    world = World([INPUT, {"action": "conversation", "name": "room"}])
    typed = Typed(world.platform)
    assert typed.take("+44 20 7946 0000\n") is None
    (leg,) = world.platform.legs.values()
    assert leg.to == NUMBER
    world.go(until=2.0)
    pressed = typed.take("1#\n")
    assert pressed == Pressed(leg.uuid, "1#")
    world.tell(2.5, pressed)
    world.go(until=5.0)
    assert world.event("input")["dtmf"]["digits"] == "1"
    bye = typed.take("Bye\n")
    assert bye == HangUp(leg.uuid)
    world.tell(6.0, bye)
    world.go()
    assert world.event("completed")["disconnected_by"] == "user"
    with pytest.raises(NotUnderstood, match="nobody is on the phone"):
        typed.take("1")


def test_keys_are_those_of_the_latest_caller_who_is_there() -> None:
    world = World([{"action": "conversation", "name": "room"}])
    typed = Typed(world.platform)
    for _ in range(2):
        typed.take(NUMBER)
    first, second = world.platform.legs
    world.go(until=2.0)
    assert typed.take("1") == Pressed(second, "1")
    world.tell(2.5, HangUp(second))
    world.go(until=3.0)
    assert typed.take("bye") == HangUp(first)


@pytest.mark.parametrize("line", ["hello", "12345678901234567890", "A", "1234*#0"])
def test_what_is_neither_a_number_nor_keys_is_told(line: str) -> None:
    with pytest.raises(NotUnderstood, match="expected a number, keys or bye, got"):
        Typed(World().platform).take(line)


def test_nobody_to_press_for() -> None:
    with pytest.raises(NotUnderstood, match="Type a number, such as 447700900001, to call it"):
        Typed(World().platform).take("bye")


def test_a_number_that_reaches_nobody_is_told() -> None:
    with pytest.raises(NotPossible, match="linked to no application"):
        Typed(World().platform).take("447700900999")
