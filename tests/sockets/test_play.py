"""A prompt is over when the caller has heard it, not when it was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from callflows.sockets.play import APP, PlaySettings, play
from tests.sockets.far import FRAME, Far, in_virtual_time, now, numbered, texts

PROMPT = numbered(100)


MORE = numbered(30, start=200)


async def sound(version: int) -> memoryview:
    return memoryview(b"".join({4: PROMPT, 5: MORE, 6: []}[version]))


def far_with(mute: bool = False, **settings: Any) -> Far:
    return Far(mute=mute, sound=sound, settings={"prompt": {"version": 4, "name": "Tune", "seconds": 2.0}, **settings})


@in_virtual_time
async def test_prompt_is_finished_when_its_last_frame_was_played() -> None:
    far = far_with()
    app = asyncio.create_task(play(far.line))
    await far.run(2)
    # All has left, the last frame is being played.
    assert far.line.figures["frames_out"] == 100
    assert not app.done()
    await far.until(app, 0.1)
    assert app.result() == "finished"
    assert far.heard == PROMPT
    assert texts(far.line) == ["Playing Tune", "Heard to the end"]
    assert far.line.notes[0].data == {"seconds": 2.0}


@in_virtual_time
async def test_prompt_is_finished_by_the_clock_when_vonage_says_nothing() -> None:
    far = far_with(mute=True)
    app = asyncio.create_task(play(far.line))
    await far.until(app)
    assert now() == pytest.approx(100 * FRAME + 0.3, abs=0.05)


@in_virtual_time
async def test_prompt_is_played_as_often_as_it_is_set() -> None:
    far = far_with(loop=3)
    app = asyncio.create_task(play(far.line))
    await far.until(app)
    assert far.heard == PROMPT * 3


@in_virtual_time
async def test_list_of_prompts_is_played_in_turn_and_again_from_the_first() -> None:
    far = far_with(loop=2, more_prompts=[{"version": 5, "name": "News", "seconds": 0.6}, {"version": 4}])
    app = asyncio.create_task(play(far.line))
    await far.until(app)
    assert far.heard == (PROMPT + MORE + PROMPT) * 2
    # One frame after the other: no round, and no prompt, begins late.
    assert now() == pytest.approx(460 * FRAME, abs=0.1)
    assert far.line.notes[0].text == "Playing Tune, News, a prompt"
    assert far.line.notes[0].data == {"seconds": 2.6}


@pytest.mark.parametrize(("then", "outcome"), [("next", "finished"), ("hang-up", "hung-up")])
@in_virtual_time
async def test_what_comes_afterwards_is_an_outcome(then: str, outcome: str) -> None:
    far = far_with(then=then)
    app = asyncio.create_task(APP.run(far.line))
    await far.until(app)
    assert app.result() == outcome
    assert far.heard == PROMPT


@in_virtual_time
async def test_prompt_without_sound_is_an_error_also_when_it_is_played_for_ever() -> None:
    far = far_with(loop=0, more_prompts=[{"version": 6}])
    app = asyncio.create_task(play(far.line))
    await far.run(1)
    with pytest.raises(ValueError, match="prompt version 6 has no sound"):
        await app


@in_virtual_time
async def test_settings_of_an_old_version_that_nobody_knows_any_more_change_nothing() -> None:
    far = far_with(volume=11)
    app = asyncio.create_task(play(far.line))
    await far.until(app)
    assert far.heard == PROMPT


@in_virtual_time
async def test_settings_that_do_not_fit_are_told_by_their_name() -> None:
    far = far_with(loop="often")
    app = asyncio.create_task(play(far.line))
    await far.run(1)
    with pytest.raises(ValueError, match="its settings do not fit: loop: Input should be a valid integer"):
        await app


@in_virtual_time
async def test_prompt_without_end_goes_on() -> None:
    far = far_with(loop=0)
    app = asyncio.create_task(play(far.line))
    await far.run(60)
    assert not app.done()
    assert len(far.heard) > 2800
    assert texts(far.line) == ["Playing Tune"]
    await far.hang_up(app)


@in_virtual_time
async def test_line_stays_open_afterwards_when_it_is_set() -> None:
    far = far_with(then="stay")
    app = asyncio.create_task(play(far.line))
    await far.run(60)
    assert not app.done()
    assert texts(far.line) == ["Playing Tune", "Heard to the end"]
    await far.hang_up(app)


@in_virtual_time
async def test_prompt_that_is_stopped_ends_the_step() -> None:
    far = far_with(loop=0)
    app = asyncio.create_task(play(far.line))
    await far.run(1)
    far.line.clear()
    await far.until(app, 0.1)
    assert texts(far.line) == ["Playing Tune", "Stopped"]
    assert len(far.heard) < 60


@in_virtual_time
async def test_what_is_played_instead_is_heard_before_the_step_ends() -> None:
    far, other = far_with(), numbered(50, start=500)
    app = asyncio.create_task(play(far.line))
    await far.run(1)
    far.line.clear()
    far.line.play(b"".join(other))
    await far.until(app, 2)
    assert far.heard[-50:] == other


@pytest.mark.parametrize("settings", [{}, {"prompt": 1, "loop": -1}, {"prompt": 1, "then": "x"}, {"prompt": 1, "x": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PlaySettings.model_validate(settings)
