"""Knows how scripts run in given time."""

from __future__ import annotations

from callflows.simulator.scripts import NEVER, Scripts, Wait


def test_a_script_sees_the_moments_it_waited_for_however_late_it_is_told() -> None:
    scripts, seen = Scripts(), list[float]()

    async def steps() -> None:
        for moment in (1.0, 2.0, 3.0):
            await Wait(moment)
            seen.append(scripts.now)

    scripts.start(steps())
    scripts.advance(2.5)
    assert seen == [1.0, 2.0]
    assert (scripts.now, scripts.next_time) == (2.5, 3.0)
    scripts.advance(9.0)
    assert seen == [1.0, 2.0, 3.0]
    assert scripts.next_time == NEVER


def test_two_scripts_run_in_the_order_of_time() -> None:
    scripts, seen = Scripts(), list[str]()

    async def steps(name: str, *moments: float) -> None:
        for moment in moments:
            await Wait(moment)
            seen.append(f"{name}{moment:g}")

    scripts.start(steps("a", 1, 4))
    scripts.start(steps("b", 2, 3))
    scripts.advance(10.0)
    assert seen == ["a1", "b2", "b3", "a4"]


def test_a_condition_wakes_a_script_before_its_moment() -> None:
    scripts, keys, seen = Scripts(), list[str](), list[float]()

    async def steps() -> None:
        await Wait(5.0, lambda: bool(keys))
        seen.append(scripts.now)

    scripts.start(steps())
    scripts.advance(1.0)
    keys.append("5")
    scripts.advance(1.5)
    assert seen == [1.5]


def test_a_stopped_script_cleans_up_and_never_goes_on() -> None:
    scripts, seen = Scripts(), list[str]()

    async def steps() -> None:
        try:
            await Wait(5.0)
            seen.append("went on")
        finally:
            seen.append("cleaned up")

    script = scripts.start(steps())
    scripts.advance(1.0)
    scripts.stop(script)
    scripts.advance(10.0)
    assert seen == ["cleaned up"]


def test_a_script_may_stop_itself() -> None:
    scripts, seen = Scripts(), list[str]()

    async def steps() -> None:
        scripts.stop(running)
        seen.append("to the next wait")
        await Wait(1.0)
        seen.append("went on")

    running = scripts.start(steps())
    scripts.advance(5.0)
    assert seen == ["to the next wait"]
