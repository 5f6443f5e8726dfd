"""Knows what a socket app is: a function of a line, with settings of its own and outcomes that flows can branch on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from callflows.sockets.line import Line

App = Callable[[Line], Coroutine[Any, Any, str]]

# Outcomes that any app can have: our server stopped in mid-call, the app failed, or we hung up for the caller.
DRAINED, ERROR, HUNG_UP = ANY = ("drained", "error", "hung-up")


class NamedPrompt(BaseModel):
    """A prompt as a published flow names it: one version of it, whose sound never changes."""

    version: int
    seconds: float = 0
    name: str = ""


# An operator chooses a prompt by its id; publishing writes its newest version in the id's place.
Prompt: TypeAlias = int | NamedPrompt


class Settings(BaseModel):
    """What an operator chooses for an app: each field is one of the step's form.

    A field whose name ends in ``prompt`` is a ``Prompt``, one that ends in ``prompts`` a list of them.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return what was chosen for a line, but for what the app knows no more: old versions of flows go on.

        Raises ValueError.
        """
        known = {name: value for name, value in line.settings.items() if name in cls.model_fields}
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise ValueError(f"its settings do not fit: {'; '.join(wrong)}") from None


def setting(
    label: str,
    help_text: str = "",
    default: Any = ...,
    *,
    unit: str = "",
    called: Mapping[str, str] | None = None,
    rare: bool = False,
    **rules: Any,
) -> Any:
    """Return the description of one setting; without a default it is required.

    ``rules`` are pydantic's (``ge``, ``le``, ``pattern``). ``called`` is what the form calls each choice of a Literal;
    a ``rare`` setting folds away under "More options".
    """
    extra: Any = {"label": label, "unit": unit, "called": dict(called or {}), "rare": rare}
    return Field(default, title=label, description=help_text, json_schema_extra=extra, **rules)


@dataclass(frozen=True, slots=True)
class SocketApp:
    """One app: its name in flows, what it is for, what it does, and the named outcomes with which it can end.

    ``chosen`` is the setting whose values are outcomes too, where operators name some: the choices of a menu.
    """

    name: str
    label: str
    body: App
    outcomes: tuple[str, ...]
    settings: type[Settings] = Settings
    # Frames that may wait unplayed at Vonage.
    lead: int = 50
    chosen: str = ""

    async def run(self, line: Line) -> str:
        """Run the app to its outcome. Raises what it raises, and ValueError for an outcome that no flow knows."""
        outcome = await self.body(line)
        named = line.settings.get(self.chosen) if self.chosen else None
        known = (*self.outcomes, *ANY, *(named.values() if isinstance(named, Mapping) else ()))
        if outcome not in known:
            raise ValueError(f"{self.name} ended as {outcome!r}, expected one of {', '.join(known)}")
        return outcome

    @property
    def required(self) -> set[str]:
        """Return the settings without which it cannot run."""
        return {name for name, field in self.settings.model_fields.items() if field.is_required()}


async def load(line: Line, *prompts: Prompt) -> list[memoryview]:
    """Return the sound of each prompt, as L16 at the line's rate. Raises ValueError for one without sound."""
    return await asyncio.gather(*(_load(line, each) for each in prompts))


async def _load(line: Line, prompt: Prompt) -> memoryview:
    if isinstance(prompt, int):
        raise ValueError(f"prompt {prompt} has no version: expected the settings of a published flow")
    sound = await line.sound(prompt.version)
    if not sound:
        # Played for ever it would give no frame, and never return.
        raise ValueError(f"prompt version {prompt.version} has no sound")
    return sound


def names(prompts: Iterable[Prompt]) -> str:
    """Return what the timeline calls prompts."""
    return ", ".join((each.name if isinstance(each, NamedPrompt) else "") or "a prompt" for each in prompts)


async def first_key(line: Line, seconds: float) -> str:
    """Return the first key, whenever it comes; empty when none came within ``seconds`` after all was heard."""
    pressed = asyncio.create_task(line.key())
    heard = False
    try:
        while not (heard or pressed.done()):
            mark = line.mark().heard
            either: set[asyncio.Future[Any]] = {mark, pressed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            # Not heard: an operator stopped it, or plays something else. The time begins after that.
            heard = mark.done() and mark.result()
        await asyncio.wait({pressed}, timeout=seconds)
        return pressed.result() if pressed.done() else ""
    finally:
        pressed.cancel()
