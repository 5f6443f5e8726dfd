"""Knows how to ask the caller for keys inside the socket: a key stops the prompt, and chooses a branch."""

from __future__ import annotations

import asyncio
import re

from pydantic import ValidationInfo, field_validator

from callflows.sockets.app import ANY, Prompt, Settings, SocketApp, first_key, load, names, setting
from callflows.sockets.line import Line

NOTHING, WRONG = ASKED = ("nothing", "wrong")
# What else can come of the step that connects to a menu; a choice of that name would say two things.
TAKEN = {
    *ASKED,
    *ANY,
    "timeout",
    "failed",
    "rejected",
    "unanswered",
    "busy",
    "disconnected",
    "human",
    "machine",
    "beep",
}
_KEYS = re.compile(r"[0-9*#]{1,20}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class MenuSettings(Settings):
    """What is asked, what can be answered, and how often it is asked again."""

    prompt: Prompt = setting("Prompt", "The question. A key stops it at once.")
    more_prompts: list[Prompt] = setting("More prompts", "After it, in turn.", [])
    choices: dict[str, str] = setting("Choices", "What each key, or several in a row, chooses: a branch takes it.")
    timeout: int = setting("Waits for a key", "Once the question was heard.", 5, unit="s", ge=1, le=60)
    nothing_prompt: Prompt | None = setting("When nothing is pressed", "Heard before the question comes again.", None)
    nothing_limit: int = setting("Again after nothing", "Asked again; then: nothing.", 2, unit="times", ge=0, le=10)
    wrong_prompt: Prompt | None = setting("When it is no choice", "Heard before the question comes again.", None)
    wrong_limit: int = setting("Again after no choice", "Asked again; then: wrong.", 2, unit="times", ge=0, le=10)
    key_timeout: int = setting("Waits for the next key", "Of several in a row.", 3, unit="s", rare=True, ge=1, le=20)
    end_key: str = setting(
        "Key that ends several",
        "So that nobody waits for more; empty: none.",
        "#",
        rare=True,
        pattern=r"^[0-9*#]?$",
        # The choices may contain the default too.
        validate_default=True,
    )

    @field_validator("choices")
    @classmethod
    def _check_choices(cls, choices: dict[str, str]) -> dict[str, str]:
        if not choices:
            raise ValueError("is required")
        for keys, outcome in choices.items():
            if not _KEYS.fullmatch(keys):
                raise ValueError(f"expected the keys 0 to 9, * and #, at most 20 of them, got {keys!r}")
            if not _NAME.fullmatch(outcome):
                raise ValueError(f"{keys}: expected small letters, digits and dashes, at most 40, got {outcome!r}")
            if outcome in TAKEN:
                raise ValueError(f"{keys}: {outcome} has a meaning of its own, choose another name")
        return choices

    @field_validator("end_key")
    @classmethod
    def _check_end_key(cls, end_key: str, info: ValidationInfo) -> str:
        for keys in info.data.get("choices", {}):
            if end_key and len(keys) > 1 and end_key in keys:
                raise ValueError(f"the choice {keys} contains {end_key}, which would end it: take another key, or none")
        return end_key

    def is_whole(self, keys: str) -> bool:
        """Whether no further key can make a choice of ``keys``.

        What is no choice is heard out to the length of the longest one: the rest of it is no answer to the question
        when it comes again.
        """
        if keys in self.choices:
            return not any(each != keys and each.startswith(keys) for each in self.choices)
        return keys == self.end_key or len(keys) >= max(map(len, self.choices))


async def menu(line: Line) -> str:
    """Ask until a choice is made; end as what it is called, or as nothing or wrong after the last try."""
    told = MenuSettings.of(line)
    question = [told.prompt, *told.more_prompts]
    again = {NOTHING: told.nothing_prompt, WRONG: told.wrong_prompt}
    left = {NOTHING: told.nothing_limit, WRONG: told.wrong_limit}
    said = question
    while True:
        for sound in await load(line, *said):
            line.play(sound)
        line.note("prompt", f"Asking: {names(said)}")
        keys = await _answer(line, told)
        if keys in told.choices:
            line.note("digit", f"Chosen: {told.choices[keys]}", told.choices[keys], keys=keys)
            return told.choices[keys]
        what = WRONG if keys else NOTHING
        line.note("digit", f"No choice: {keys}" if keys else "Nothing pressed", what)
        if not left[what]:
            return what
        left[what] -= 1
        # What was pressed beyond a wrong answer is part of it.
        line.forget()
        said = [*(each for each in (again[what],) if each is not None), *question]


async def _answer(line: Line, told: MenuSettings) -> str:
    """Return the keys of one answer; empty when none was pressed in time. The first one stops what plays."""
    keys = await first_key(line, told.timeout)
    if keys:
        line.clear()
    while keys and not told.is_whole(keys):
        try:
            async with asyncio.timeout(told.key_timeout):
                key = await line.key()
        except TimeoutError:
            break
        if key == told.end_key:
            break
        keys += key
    return keys


APP = SocketApp(
    "menu",
    "Menu: callers press keys",
    menu,
    outcomes=ASKED,
    settings=MenuSettings,
    chosen="choices",
)
