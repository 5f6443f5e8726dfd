"""Apps are found in their folder; each ends with an outcome that flows know, or with an error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callflows.ncco.check import flow_problems, possible
from callflows.ncco.flow import Branch, Flow, Step, Target
from callflows.sockets.app import ANY, Settings, SocketApp
from callflows.sockets.line import Line
from callflows.sockets.registry import APPS, joinable, outcomes
from tests.sockets.far import Far, in_virtual_time


def ending(outcome: Any, *, chosen: str = "") -> SocketApp:
    async def end(line: Line) -> Any:
        return outcome

    return SocketApp("end", "End", end, outcomes=("done",), chosen=chosen)


def test_every_file_with_an_app_is_found() -> None:
    assert list(APPS)[:4] == ["echo", "menu", "play", "record"]
    assert all(issubclass(app.settings, Settings) and app.label for app in APPS.values())


@pytest.mark.parametrize("outcome", ["done", *ANY])
@in_virtual_time
async def test_app_ends_with_an_outcome_that_it_names(outcome: str) -> None:
    assert await ending(outcome).run(Far().line) == outcome


@pytest.mark.parametrize("outcome", [None, "", "dnoe", 7])
@in_virtual_time
async def test_outcome_that_no_flow_knows_is_an_error_of_the_app(outcome: Any) -> None:
    with pytest.raises(ValueError, match=f"end ended as {outcome!r}, expected one of done, drained, error, hung-up"):
        await ending(outcome).run(Far().line)


@in_virtual_time
async def test_names_that_operators_choose_are_outcomes_too() -> None:
    line = Far(settings={"choices": {"1": "sales"}}).line
    assert await ending("sales", chosen="choices").run(line) == "sales"
    with pytest.raises(ValueError, match="expected one of done, drained, error, hung-up, sales"):
        await ending("salse", chosen="choices").run(line)


def menu(*branches: str, **choices: str) -> Flow:
    options = {"app": "menu", "settings": {"choices": {key.removeprefix("key"): each for key, each in choices.items()}}}
    steps = (Step("ask", "connect", options, Target("end")), Step("bye", "talk", {"text": "Bye"}, Target("end")))
    return Flow(steps, tuple(Branch("ask", each, Target("step", "bye")) for each in branches))


def test_flow_may_branch_on_the_choices_of_its_menu_and_on_no_others() -> None:
    known = possible(menu(key1="sales", key2="echo").steps[0], outcomes())
    assert known[-7:] == ["nothing", "wrong", "sales", "echo", *ANY]
    assert flow_problems(menu("sales", "nothing", key1="sales"), (), outcomes()) == []
    (found,) = flow_problems(menu("slaes", key1="sales"), (), outcomes())
    assert found.path == "ask.slaes"
    assert "nothing, wrong, sales, drained, error, hung-up, human, machine, beep), got 'slaes'" in found.message


@pytest.mark.parametrize("settings", [None, [], {"choices": None}, {"choices": ["a"]}])
def test_settings_of_an_import_that_are_no_choices_have_no_outcomes(settings: Any) -> None:
    step = Step("ask", "connect", {"app": "menu", "settings": settings})
    assert possible(step, outcomes())[-5:] == ["nothing", "wrong", *ANY]


def test_apps_that_must_be_told_more_than_a_prompt_do_not_join_a_call() -> None:
    assert "menu" not in joinable()
    assert {"echo", "play", "record"} <= set(joinable())


@in_virtual_time
async def test_app_that_raises_raises_to_who_runs_it() -> None:
    async def broken(line: Line) -> str:
        await asyncio.sleep(0)
        raise RuntimeError("no bot today")

    with pytest.raises(RuntimeError, match="no bot today"):
        await SocketApp("broken", "Broken", broken, outcomes=()).run(Far().line)
