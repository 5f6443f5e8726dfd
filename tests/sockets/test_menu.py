"""A menu asks inside the socket: a key stops the prompt at once, and what is pressed becomes an outcome of the step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from callflows.ncco.flow import ANSWERED_BY, CONNECT_OUTCOMES
from callflows.sockets.app import ANY
from callflows.sockets.menu import APP, TAKEN, MenuSettings
from callflows.wire.connection import CLEAR
from tests.sockets.far import Far, in_virtual_time, now, numbered, texts

QUESTION, MORE, NOTHING, WRONG = numbered(100), numbered(20, 200), numbered(10, 300), numbered(10, 400)
SOUNDS = dict(enumerate((QUESTION, MORE, NOTHING, WRONG), start=1))
CHOICES = {"1": "sales", "2": "echo", "#": "back"}


async def sound(version: int) -> memoryview:
    return memoryview(b"".join(SOUNDS[version]))


def prompt(version: int) -> dict[str, Any]:
    return {"id": version, "version": version, "seconds": 2.0, "name": f"Sound {version}"}


class Phone(Far):
    """A caller who meets a menu."""

    def __init__(self, mute: bool = False, **settings: Any) -> None:
        super().__init__(mute=mute, sound=sound, settings={"prompt": prompt(1), "choices": CHOICES, **settings})
        self.app = asyncio.create_task(APP.run(self.line))

    async def outcome(self, seconds: float = 120) -> str:
        await self.until(self.app, seconds)
        return self.app.result()


@in_virtual_time
async def test_key_is_the_outcome_that_is_named_for_it() -> None:
    phone = Phone()
    await phone.run(2.5)
    phone.press("2")
    assert await phone.outcome(0.1) == "echo"
    assert phone.heard == QUESTION
    assert texts(phone.line) == ["Asking: Sound 1", "Key 2", "Chosen: echo"]


@in_virtual_time
async def test_key_stops_the_question_at_once() -> None:
    phone = Phone(more_prompts=[prompt(2)])
    await phone.run(0.5)
    phone.press("1")
    before = len(phone.sent)
    assert await phone.outcome(0.1) == "sales"
    await phone.run(1)
    # Nothing of the question left after the key, but the word that drops what waits at Vonage.
    assert phone.sent[before:] == [CLEAR]
    assert len(phone.heard) <= 27


@in_virtual_time
async def test_questions_of_several_prompts_are_heard_in_turn() -> None:
    phone = Phone(more_prompts=[prompt(2)], nothing_limit=0)
    assert await phone.outcome() == "nothing"
    assert phone.heard == QUESTION + MORE


@in_virtual_time
async def test_key_that_was_pressed_before_the_question_is_an_answer() -> None:
    phone = Phone()
    phone.press("1")
    assert await phone.outcome(0.1) == "sales"


@in_virtual_time
async def test_silence_is_asked_again_and_then_the_outcome_nothing() -> None:
    phone = Phone(nothing_prompt=prompt(3), nothing_limit=2, timeout=4)
    assert await phone.outcome() == "nothing"
    assert phone.heard == QUESTION + (NOTHING + QUESTION) * 2
    # The time for an answer begins when the last frame was heard.
    assert now() == pytest.approx(2 + 4 + 2 * (0.2 + 2 + 4), abs=0.2)


@in_virtual_time
async def test_wrong_key_is_asked_again_and_then_the_outcome_wrong() -> None:
    phone = Phone(wrong_prompt=prompt(4), wrong_limit=1)
    await phone.run(3)
    phone.press("9")
    await phone.run(3)
    assert phone.heard == QUESTION + WRONG + QUESTION
    phone.press("*")
    assert await phone.outcome(0.1) == "wrong"
    assert [text for text in texts(phone.line) if "choice" in text] == ["No choice: 9", "No choice: *"]


@in_virtual_time
async def test_silence_and_wrong_keys_are_counted_apart() -> None:
    phone = Phone(wrong_limit=1, nothing_limit=1, timeout=1)
    await phone.run(3.2)
    phone.press("9")
    await phone.run(0.1)
    assert not phone.app.done()
    phone.press("1")
    assert await phone.outcome(0.1) == "sales"


@in_virtual_time
async def test_end_key_alone_can_be_a_choice() -> None:
    phone = Phone()
    await phone.run(1)
    phone.press("#")
    assert await phone.outcome(0.1) == "back"


LONG: dict[str, Any] = {"choices": {"1": "one", "12": "twelve", "345": "long"}, "key_timeout": 3}


@pytest.mark.parametrize(
    ("pressed", "outcome", "seconds"),
    [
        ("12", "twelve", 0),
        ("1", "one", 3),
        ("1#", "one", 0),
        ("345", "long", 0),
        ("3", "wrong", 3),
        ("3#", "wrong", 0),
        ("999", "wrong", 0),
        ("#", "wrong", 0),
    ],
)
@in_virtual_time
async def test_several_keys_in_a_row_are_one_answer(pressed: str, outcome: str, seconds: int) -> None:
    phone = Phone(**LONG, wrong_limit=0)
    await phone.run(1)
    begin = now()
    for key in pressed:
        phone.press(key)
        await asyncio.sleep(0)
    assert await phone.outcome() == outcome
    assert now() - begin == pytest.approx(seconds, abs=0.05)


@in_virtual_time
async def test_rest_of_a_wrong_answer_is_no_answer_to_the_next_question() -> None:
    phone = Phone(choices={"1": "one"}, wrong_limit=1)
    await phone.run(1)
    for key in "991":
        phone.press(key)
    await phone.run(1)
    assert not phone.app.done()
    phone.press("1")
    assert await phone.outcome(0.1) == "one"


@in_virtual_time
async def test_what_an_operator_plays_instead_is_heard_out_before_time_runs() -> None:
    phone = Phone(timeout=2, nothing_limit=0)
    await phone.run(0.5)
    phone.line.clear()
    phone.line.play(b"".join(numbered(150, 900)))
    await phone.run(4.5)
    assert not phone.app.done()
    assert await phone.outcome(1.5) == "nothing"


@in_virtual_time
async def test_vonage_that_never_says_cleared_is_waited_for_no_longer_than_its_buffer() -> None:
    phone = Phone(mute=True, wrong_limit=1, wrong_prompt=prompt(4))
    await phone.run(0.5)
    phone.line.hear(phone.connection.receive(phone.platform.press("9")))
    await phone.run(2)
    assert phone.deepest <= 51
    assert WRONG[0] in phone.heard
    await phone.hang_up(phone.app)


@in_virtual_time
async def test_prompt_without_sound_is_an_error() -> None:
    phone = Phone(prompt=7)
    with pytest.raises(ValueError, match="prompt 7 has no version"):
        await phone.outcome()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"choices": {}}, "is required"),
        ({"choices": {"A": "a"}}, "expected the keys 0 to 9"),
        ({"choices": {"1": "The Sales"}}, "1: expected small letters"),
        ({"choices": {"1": "error"}}, "1: error has a meaning of its own"),
        ({"choices": {"1#": "a"}}, "the choice 1# contains #, which would end it"),
        ({"end_key": "12"}, "end_key"),
        ({"timeout": 0}, "timeout"),
        ({"nothing_limit": 11}, "nothing_limit"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MenuSettings.model_validate({"prompt": 1, "choices": CHOICES, **settings})


def test_names_that_mean_something_else_after_a_connect_cannot_be_chosen() -> None:
    assert {*ANY, *CONNECT_OUTCOMES, *ANSWERED_BY, *APP.outcomes} <= TAKEN
