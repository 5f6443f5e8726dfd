"""Knows a scenario: who calls whom and when, what they do, what goes wrong, and what must happen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from callflows.audio.files import wav_bytes
from callflows.audio.format import AudioError
from callflows.audio.tones import tone
from callflows.simulator.caller import KEYS
from callflows.simulator.expectation import Expectation
from callflows.simulator.faults import Wanted
from callflows.simulator.knobs import Knobs
from callflows.simulator.legs import Kind
from callflows.simulator.party import Behaviour, GoAway, Keys, Outcome, Say, Step, When
from callflows.simulator.scenario_checks import parse_expectation
from callflows.simulator.sound import Voice
from callflows.simulator.spoken import speak
from callflows.simulator.stage import Page

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
STAYS = 8.0
_RATE = 24000


class ScenarioError(ValueError):
    """A scenario that cannot be read; says where, what was expected and what came."""


def _keys(keys: str) -> str:
    if not keys or set(keys) - set(KEYS):
        raise ValueError(f"expected keys of {KEYS}, got {keys!r}")
    return keys


def _text(value: Any) -> Any:
    # YAML reads 447700900001 as a number, and so it does 1.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fault(text: str) -> str:
    Wanted.parse(text)
    return text


Text = Annotated[str, BeforeValidator(_text)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class Act(_Model):
    """One thing that a party does, ``at`` seconds after something happened."""

    press: Annotated[Text, AfterValidator(_keys)] | None = None
    say: str | None = None
    understood: str = ""
    tone: float | None = Field(None, gt=0, le=4000)
    lasts: float = Field(1.0, gt=0, le=3600)
    level: float = Field(-24.0, ge=-90, le=0)
    hang_up: bool = Field(False, alias="hang up")
    at: float = Field(0.0, ge=0)
    after: When = "listening"
    nth: int = Field(1, ge=1)


class Party(_Model):
    """What somebody does; ``stays`` is when he hangs up, null: never."""

    do: list[Act] = []
    stays: float | None = Field(STAYS, ge=0)
    counts: When = "listening"


class Dialling(Party):
    """One call in, or one that is placed as by POST /v1/calls (``create`` is its body)."""

    to: Text = ""
    from_: Text = Field("447700900123", alias="from")
    at: float = Field(0.0, ge=0)
    kind: Kind = "phone"
    headers: dict[str, Text] = {}
    data: dict[str, Any] | None = None
    create: dict[str, Any] | None = None


class Called(Party):
    """Somebody who can be called."""

    outcome: Outcome = "answers"
    rings: float | None = Field(1.0, ge=0)
    machine: bool = False
    beep: float | None = Field(None, ge=0)
    stays: float | None = Field(None, ge=0)


class Answer(_Model):
    """What an address that is not ours answers: a document, a sound file, a tone, or only a status."""

    status: int = Field(200, ge=100, le=599)
    document: Any = None
    sound: str | None = None
    tone: float | None = None
    lasts: float = 2.0


class Server(_Model):
    """A server of ours as a table of replies, for a rehearsal without one: by event, each reply is used once."""

    answer: Any = None
    fallback: Any = None
    events: dict[str, list[Any]] = {}
    socket: str = "echo"


class _File(_Model):
    name: str = ""
    calls: list[Dialling] = Field(min_length=1)
    people: dict[Text, Called | str] = {}
    knobs: dict[str, Any] = {}
    faults: list[Annotated[str, AfterValidator(_fault)]] = []
    urls: dict[str, Answer] = {}
    server: Server | None = None
    signed: bool = False
    expect: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class Incoming:
    """One call of a scenario, ready to be placed."""

    at: float
    to: str
    from_: str
    kind: Kind
    behaviour: Behaviour
    headers: Mapping[str, str]
    data: Mapping[str, Any] | None = None
    create: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played; ``hints`` is what the user should know about it."""

    name: str
    calls: tuple[Incoming, ...]
    people: Mapping[str, Behaviour]
    knobs: Knobs
    faults: tuple[Wanted, ...]
    pages: Mapping[str, Page]
    expect: tuple[Expectation, ...]
    server: Server | None = None
    signed: bool = False
    hints: tuple[str, ...] = ()

    def with_faults(self, faults: tuple[Wanted, ...]) -> Scenario:
        """Return it with more that goes wrong."""
        return replace(self, faults=self.faults + faults)


def load(path: Path) -> Scenario:
    """Return the scenario of a file; raises ScenarioError."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    try:
        return parse(found, path.parent, path.stem)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def parse(found: Any, folder: Path, name: str = "") -> Scenario:
    """Return a scenario; sound files are looked for in ``folder``. Raises ScenarioError."""
    if not isinstance(found, dict):
        raise ScenarioError(f"expected calls and more, got {type(found).__name__}")
    try:
        file = _File.model_validate(found)
    except ValidationError as error:
        raise ScenarioError("; ".join(_problems(error))) from error
    make = _Maker(folder)
    calls = tuple(make.call(each, f"calls.{place}") for place, each in enumerate(file.calls, 1))
    people = {number: make.called(each, f"people.{number}") for number, each in file.people.items()}
    pages = {url: make.page(each, f"urls.{url}") for url, each in file.urls.items()}
    try:
        expect = tuple(parse_expectation(each, place, folder) for place, each in enumerate(file.expect, 1))
    except (ValueError, AudioError) as error:
        raise ScenarioError(str(error)) from error
    faults = tuple(Wanted.parse(each) for each in file.faults)
    return Scenario(
        file.name or name,
        calls,
        people,
        knobs(file.knobs),
        faults,
        pages,
        expect,
        file.server,
        file.signed,
        tuple(dict.fromkeys(make.hints)),
    )


def knobs(given: Mapping[str, Any]) -> Knobs:
    """Return knobs by name; raises ScenarioError."""
    known = [each.name for each in fields(Knobs)]
    for name in given:
        if name not in known:
            raise ScenarioError(f"knobs: expected one of {', '.join(known)}, got {name!r}")
    try:
        return TypeAdapter(Knobs).validate_python(dict(given))
    except ValidationError as error:
        raise ScenarioError("; ".join(f"knobs.{each}" for each in _problems(error))) from error


# How somebody can be called in one word.
_WORDS: dict[str, Behaviour] = {
    "machine": Behaviour(machine=True, beep=3.0),
    "never": Behaviour(rings=None),
    "answers": Behaviour(),
}


@dataclass
class _Maker:
    folder: Path

    def __post_init__(self) -> None:
        self.hints: list[str] = []

    def call(self, given: Dialling, where: str) -> Incoming:
        if bool(given.to) == bool(given.create):
            raise ScenarioError(f"{where}: expected either `to` or `create`")
        steps = self._steps(given, where)
        behaviour = Behaviour(seconds=given.stays, counts=given.counts, steps=steps)
        return Incoming(given.at, given.to, given.from_, given.kind, behaviour, given.headers, given.data, given.create)

    def called(self, given: Called | str, where: str) -> Behaviour:
        if isinstance(given, Called):
            return Behaviour(
                given.outcome,
                given.rings,
                seconds=given.stays,
                counts=given.counts,
                machine=given.machine,
                beep=given.beep,
                steps=self._steps(given, where),
            )
        if given in _WORDS:
            return _WORDS[given]
        outcomes = TypeAdapter[Outcome](Outcome)
        try:
            return Behaviour(outcomes.validate_python(given))
        except ValidationError as error:
            names = ", ".join(["machine", "never", *Outcome.__args__])  # type: ignore[attr-defined]  # of Literal
            raise ScenarioError(f"{where}: expected one of {names}, got {given!r}") from error

    def page(self, given: Answer, where: str) -> Page:
        if given.document is not None:
            return Page(given.status, body=json.dumps(given.document).encode())
        if given.tone is not None:
            wave = Voice.of(tone(given.tone, given.lasts, 16000), 16000)
            return Page(given.status, "audio/wav", wav_bytes(wave.pcm[16000], 16000))
        if given.sound is not None:
            try:
                return Page(given.status, "audio/wav", (self.folder / given.sound).read_bytes())
            except OSError as error:
                raise ScenarioError(f"{where}: {error}") from error
        return Page(given.status, "")

    def _steps(self, party: Party, where: str) -> tuple[Step, ...]:
        return tuple(self._step(each, f"{where}.do.{place}") for place, each in enumerate(party.do, 1))

    def _step(self, act: Act, where: str) -> Step:
        chosen = [name for name in ("press", "say", "tone", "hang_up") if getattr(act, name) not in (None, False)]
        if len(chosen) != 1:
            raise ScenarioError(f"{where}: expected one of press, say, tone, hang up; got {len(chosen)} of them")
        if act.press is not None:
            return Step(Keys(act.press), act.at, act.after, act.nth)
        if act.hang_up:
            return Step(GoAway(), act.at, act.after, act.nth)
        if act.tone is not None:
            voice = Voice.of(tone(act.tone, act.lasts, _RATE, act.level), _RATE)
            return Step(Say(voice, act.understood), act.at, act.after, act.nth)
        voice, text, hint = said(act.say or "", self.folder)
        self.hints += [hint] if hint else []
        return Step(Say(voice, act.understood or text), act.at, act.after, act.nth)


def said(what: str, folder: Path) -> tuple[Voice, str, str]:
    """Return a sound file or a text as a voice, its text, and a hint to the user.

    Raises ScenarioError for a file that is not there or cannot be read.
    """
    if what.lower().endswith(SOUNDS):
        try:
            return Voice.read(folder / what), "", ""
        except (OSError, AudioError) as error:
            raise ScenarioError(f"say: {what}: {error}") from error
    voice, hint = speak(what)
    return voice, what, hint


def _problems(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False, include_context=False):
        # People count from 1, and so do the steps of a failure.
        place = [str(part + 1) if isinstance(part, int) else str(part) for part in each["loc"]]
        came = each["input"]
        got = "" if isinstance(came, dict | list) else f", got {came!r}"
        message = "there is no such member" if each["type"] == "extra_forbidden" else each["msg"]
        yield f"{'.'.join(place)}: {message}{got}"
