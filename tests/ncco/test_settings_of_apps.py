"""What the core knows of a socket app's settings: which of them are prompts, and which name outcomes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from callflows.ncco.check import possible
from callflows.ncco.document import checked
from callflows.ncco.flow import Step, is_prompt

APPS = {"menu": ("nothing", "{choices}", "error")}


def outcomes(settings: Any) -> list[str]:
    return possible(Step("ask", "connect", {"app": "menu", "settings": settings}), APPS)[6:]


def test_outcome_in_braces_stands_for_what_that_setting_names() -> None:
    assert outcomes({"choices": {"1": "sales", "2": "help"}}) == ["nothing", "sales", "help", "error"]


@pytest.mark.parametrize("settings", [None, "choices", {}, {"choices": None}, {"choices": ["sales"]}])
def test_settings_that_name_none_add_none(settings: Any) -> None:
    assert outcomes(settings) == ["nothing", "error"]


@pytest.mark.parametrize("name", ["prompt", "wrong_prompt", "more_prompts", "app.menu.more_prompts"])
def test_prompts_are_known_by_the_end_of_their_name(name: str) -> None:
    assert is_prompt(name)
    assert not is_prompt(f"{name}_limit")


def test_each_prompt_of_a_list_is_one_of_the_step() -> None:
    one, two = {"id": 1, "version": 2}, {"id": 3, "version": None}
    step = Step("a", "connect", {"settings": {"prompt": one, "more_prompts": [two, one, 7]}})
    assert list(step.prompts()) == [("prompt", one), ("more_prompts", two), ("more_prompts", one)]


def test_sentence_of_a_models_own_check_is_told_as_it_is() -> None:
    class Whispering(BaseModel):
        softly: int

        @field_validator("softly")
        @classmethod
        def check(cls, softly: int) -> int:
            raise ValueError(f"expected something softer, got {softly}")

    (found,) = checked(Whispering, {"softly": 11}, "$[0].settings")
    assert (found.path, found.message) == ("$[0].settings.softly", "expected something softer, got 11")
