"""Knows which options of a step the forms draw, with which choices each is shown, and where a step stores it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options
from callflows.ncco.served import APP, HEADER_SET, PROMPT, SETTINGS
from callflows.sockets.registry import APPS

ENDPOINT = "endpoint"
# What a connect leads to: an app of ours (``ours.echo``), or the type of an endpoint.
TO = "connect.to"
OURS = "ours."

# Which values of other fields an option is shown with.
When = Mapping[str, frozenset[str]]
# The values that fields have now: one of a choice, any number of a list; "" is none.
State = Mapping[str, frozenset[str]]

# What most steps need. Everything else folds into "More options"; required options never do.
_FIRST = {
    "talk": ("language", "bargeIn"),
    "stream": (PROMPT, "streamUrl", "bargeIn"),
    "input": ("dtmf.", "speech.language", "speech.context"),
    "record": ("endOnSilence", "endOnKey", "timeOut", "beepStart"),
    "conversation": ("startOnEnter", "endOnExit", "record", "mute"),
    "connect": ("from", "timeout", "machineDetection"),
    "wait": ("timeout",),
    "transfer": ("mute",),
    "websocket": ("content-type", HEADER_SET),
    "sip": ("uri", "domain", "user"),
}
# Options of a connect that only some endpoints have.
_ENDPOINTS_OF = {
    "from": {"phone", "sip", "vbc", "websocket"},
    "randomFromNumber": {"phone", "sip", "vbc"},
    "ringbackTone": {"sip", "app", "vbc"},
    "machineDetection": {"phone", "sip"},
    "advancedMachineDetection": {"phone", "sip"},
}
# Options that are shown only with others of the same action, by the beginning of their name.
_SHOWN_WITH: dict[str, When] = {
    "input.dtmf.": {"input.type": frozenset({"dtmf"}), "input.mode": frozenset({"", "synchronous"})},
    "input.speech.": {"input.type": frozenset({"speech"})},
    "connect.from": {"connect.randomFromNumber": frozenset({""})},
    "connect.websocket.authorization.value": {"connect.websocket.authorization.type": frozenset({"custom"})},
    "record.channels": {"record.split": frozenset({"conversation"})},
    "conversation.transcription": {"conversation.record": frozenset({"on"})},
}
# Objects that mean something when they are empty: a flag of their own tells whether they are there.
_SWITCHED = ("transcription",)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One option as a field of a step's form; ``path`` is where ``Step.options`` holds it.

    ``prefilled``: the field begins with the default, since empty is a value of its own; else empty stands for the
    default, which the field only hints at. ``switch``: a flag for whether the object under ``path`` is there.
    ``called``: what choices are called, where the option says so. ``chooses``: its values are outcomes of the step.
    """

    field: str
    action: str
    path: tuple[str, ...]
    option: Option
    when: When
    first: bool = True
    prefilled: bool = False
    switch: bool = False
    called: tuple[tuple[str, str], ...] = ()
    chooses: bool = False

    def fits(self, state: State) -> bool:
        return all(state.get(name, frozenset({""})) & allowed for name, allowed in self.when.items())

    @property
    def starts_with_default(self) -> bool:
        return self.prefilled or self.option.kind == "flag" or isinstance(self.option.default, list)

    @property
    def part(self) -> str:
        """Return what it belongs to: an object inside its action or endpoint (``dtmf``, ``speech``), or an app."""
        if self.path[0] == SETTINGS:
            return self.field.split(".")[1]
        inside = self.option.name.rpartition(".")[0]
        return self.option.name if self.switch else inside


def drawn() -> Iterator[Drawn]:
    """Yield every option that the forms draw: those of the catalogue, ours, and each app's settings."""
    for action, model in ACTIONS.items():
        if action == "stream":
            yield _ours(action, PROMPT, "Prompt", "What callers hear.", {})
        if action == "connect":
            yield from _connect()
        for each in offered(model):
            only = _ENDPOINTS_OF.get(each.name.partition(".")[0]) if action == "connect" else None
            yield from _catalogued(model, action, "", each, {TO: _reaching(only)} if only else {})


def offered(model: type[BaseModel]) -> Iterator[Option]:
    """Yield the options of ``model`` that forms draw: not those of an object that is kept out of forms as a whole."""
    kept_out = {field.alias or name for name, field in model.model_fields.items() if not _in_forms(field)}
    yield from (each for each in options(model) if each.form and each.name.partition(".")[0] not in kept_out)


def _in_forms(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return not isinstance(extra, dict) or bool(extra.get("form", True))


def destinations() -> list[str]:
    """Return everything that a connect can lead to: our apps, then the catalogue's endpoints."""
    return [*(f"{OURS}{name}" for name in APPS), *ENDPOINTS]


def _reaching(kinds: Iterable[str]) -> frozenset[str]:
    """Return the destinations whose endpoint is one of ``kinds``."""
    return frozenset(each for each in destinations() if endpoint_type(each) in kinds)


def endpoint_type(to: str) -> str:
    return "websocket" if to.startswith(OURS) else to


def _connect() -> Iterator[Drawn]:
    yield _ours("connect", "to", "Connect to", "", {})
    for name in APPS:
        yield from _settings(name)
    for kind, model in ENDPOINTS.items():
        for each in offered(model):
            # The address of our own sockets is ours to write.
            reach = frozenset({kind}) if each.name == "uri" else _reaching({kind})
            yield from _catalogued(model, "connect", kind, each, {TO: reach})
    told = "What a socket, or a SIP call, is told of the call."
    yield _ours("connect", HEADER_SET, "Header set", told, {TO: _reaching({"websocket", "sip"})})


def _settings(name: str) -> Iterator[Drawn]:
    """Yield what operators choose for an app, shown when a connect leads to it."""
    app = APPS[name]
    for each in options(app.settings):
        info = app.settings.model_fields[each.name.partition(".")[0]]
        extra: Any = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        yield Drawn(
            field=f"app.{name}.{each.name}",
            action="connect",
            path=(SETTINGS, *each.name.split(".")),
            option=replace(each, label=info.title or each.label),
            when={TO: frozenset({f"{OURS}{name}"})},
            first=not extra.get("rare", False),
            prefilled=True,
            called=tuple(extra.get("called", {}).items()),
            chooses=each.name == app.chosen,
        )


def _catalogued(model: type[BaseModel], action: str, endpoint: str, option: Option, when: When) -> Iterator[Drawn]:
    """Yield an option of an action, or of a connect's endpoint; before an object's first one, the object's switch."""
    place = ".".join(filter(None, (action, endpoint)))
    path = (ENDPOINT,) if endpoint else ()
    name, _, inner = option.name.partition(".")
    when = {**when, **_shown_with(f"{place}.{name}"), **_shown_with(f"{place}.{option.name}")}
    if name in _SWITCHED and inner:
        switch = _switch(model, name)
        if inner == _first_of(model, name):
            yield Drawn(f"{place}.{name}", action, (*path, name), switch, when, first=False, switch=True)
        when = {**when, f"{place}.{name}": frozenset({"on"})}
    field, path = f"{place}.{option.name}", (*path, *option.name.split("."))
    yield Drawn(field, action, path, _adapted(field, option), when, _stands_first(endpoint or action, option))


def _first_of(model: type[BaseModel], name: str) -> str:
    return next(each.name.partition(".")[2] for each in offered(model) if each.name.startswith(f"{name}."))


def _shown_with(field: str) -> When:
    return next((when for begin, when in _SHOWN_WITH.items() if field == begin or _inside(begin, field)), {})


def _inside(begin: str, field: str) -> bool:
    return begin.endswith(".") and field.startswith(begin)


def _adapted(field: str, option: Option) -> Option:
    # Keys are what nearly every input waits for.
    return replace(option, default=["dtmf"]) if field == "input.type" else option


def _stands_first(table: str, option: Option) -> bool:
    named = any(option.name == each or _inside(each, option.name) for each in _FIRST.get(table, ()))
    return named or (option.required and "." not in option.name)


def _switch(model: type[BaseModel], name: str) -> Option:
    field = next(field for key, field in model.model_fields.items() if (field.alias or key) == name)
    label, told = name.capitalize(), field.description or ""
    return Option(name, "flag", label, told, "", False, required=False, form=True, source="Callflows")


def _ours(action: str, name: str, label: str, help_text: str, when: When) -> Drawn:
    option = Option(name, "choice", label, help_text, "", None, required=False, form=True, source="Callflows")
    return Drawn(f"{action}.{name}", action, (name,), option, when)


def in_turn(options: Iterable[Drawn]) -> list[Drawn]:
    """Return options in an order in which each stands after those that decide whether it is shown."""
    # What depends on a choice is shown with that choice's own conditions too, and so has more of them.
    return sorted(options, key=lambda each: len(each.when))


def made(value: Any) -> frozenset[str]:
    """Return the values that a field's value stands for, as ``When`` names them."""
    if isinstance(value, list | tuple):
        return frozenset(map(str, value)) or frozenset({""})
    return frozenset({"on" if value is True else str(value or "")})


def read(each: Drawn, stored: Mapping[str, Any]) -> Any:
    """Return what a step stores for an option; None for nothing."""
    if each.field == TO:
        return destination(stored)
    value: Any = stored
    for name in each.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return (isinstance(value, Mapping) or None) if each.switch else value


def destination(stored: Mapping[str, Any]) -> str:
    """Return what a connect leads to, as ``TO`` names it."""
    if app := stored.get(APP):
        return f"{OURS}{app}"
    endpoint = stored.get(ENDPOINT)
    return str(endpoint.get("type", "websocket")) if isinstance(endpoint, Mapping) else "websocket"


def write(each: Drawn, stored: dict[str, Any], value: Any) -> None:
    """Store ``value``; None takes it away, and objects that it leaves empty."""
    if each.field == TO:
        _lead(stored, value)
    elif each.switch:
        there = read(each, stored)
        if bool(value) != bool(there):
            _write(each.path, stored, {} if value else None)
    else:
        _write(each.path, stored, value)


def _write(path: tuple[str, ...], stored: dict[str, Any], value: Any) -> None:
    name, *rest = path
    if rest:
        inner = stored[name] if isinstance(stored.get(name), dict) else {}
        _write(tuple(rest), inner, value)
        value = inner or None
    if value is None:
        stored.pop(name, None)
    else:
        stored[name] = value


def _lead(stored: dict[str, Any], to: str | None) -> None:
    """Make a connect lead elsewhere: nothing of another endpoint, or of another app's settings, stays."""
    app = to.removeprefix(OURS) if to and to.startswith(OURS) else None
    endpoint = stored.pop(ENDPOINT, None)
    kept = endpoint if isinstance(endpoint, dict) else {}
    kind = endpoint_type(to) if to else None
    if kind != kept.get("type", "websocket"):
        kept = {}
    if app != stored.get(APP):
        stored.pop(SETTINGS, None)
    _write((APP,), stored, app)
    if kind:
        stored[ENDPOINT] = {"type": kind, **{name: each for name, each in kept.items() if name != "type"}}


def unknown(stored: Mapping[str, Any], shown: Iterable[Drawn]) -> dict[str, Any]:
    """Return the options that no field shows: they came with an import, and stay."""
    left: dict[str, Any] = _copied(stored)
    fields = [each for each in shown if not each.switch]
    if any(each.field == TO for each in fields):
        _write((APP,), left, None)
        _write((ENDPOINT, "type"), left, None)
    for each in fields:
        if each.field != TO:
            _write(each.path, left, None)
    for each in shown:
        if each.switch and read(each, left) and not _at(each.path, left):
            _write(each.path, left, None)
    return left


def _at(path: tuple[str, ...], stored: Any) -> Any:
    for name in path:
        stored = stored[name]
    return stored


def _copied(value: Any) -> Any:
    return {name: _copied(each) for name, each in value.items()} if isinstance(value, Mapping) else value
