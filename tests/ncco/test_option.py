"""The catalogue of options, from which forms and documents are drawn."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from callflows.ncco.actions import ACTIONS
from callflows.ncco.document import errors
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options

MODELS: dict[str, type[BaseModel]] = {**ACTIONS, **ENDPOINTS}


def find(model: str, name: str) -> Option:
    return next(each for each in options(MODELS[model]) if each.name == name)


ALL = [pytest.param(each, id=f"{model}.{each.name}") for model in MODELS for each in options(MODELS[model])]


@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        ("talk", "text", "text"),
        ("talk", "loop", "whole"),
        ("talk", "level", "number"),
        ("talk", "bargeIn", "flag"),
        ("talk", "providerOptions", "object"),
        ("stream", "streamUrl", "texts"),
        ("input", "type", "texts"),
        ("input", "dtmf.maxDigits", "whole"),
        ("record", "format", "choice"),
        ("record", "split", "choice"),
        ("connect", "endpoint", "object"),
        ("connect", "from", "text"),
        ("websocket", "content-type", "choice"),
        ("websocket", "headers", "object"),
        ("websocket", "authorization.type", "choice"),
    ],
)
def test_kind_of_an_option_is_that_of_its_type(model: str, name: str, kind: str) -> None:
    assert find(model, name).kind == kind


@pytest.mark.parametrize(
    ("model", "name", "bounds"),
    [
        ("talk", "level", (-1, 1)),
        ("talk", "loop", (0, None)),
        ("input", "dtmf.timeOut", (0, 10)),
        ("input", "dtmf.maxDigits", (1, 22)),
        ("record", "channels", (1, 32)),
        ("record", "endOnSilence", (3, 10)),
        ("record", "timeOut", (3, 7200)),
        ("connect", "limit", (0, 7200)),
        ("talk", "text", (None, None)),
    ],
)
def test_bounds_of_an_option_are_those_of_the_rule(model: str, name: str, bounds: tuple[float, float]) -> None:
    found = find(model, name)
    assert (found.minimum, found.maximum) == bounds


def test_choices_are_the_values_that_vonage_knows() -> None:
    assert find("record", "format").choices == ("mp3", "wav", "ogg")
    assert "audio/l16;rate=24000" in find("websocket", "content-type").choices
    assert "dtmf" in find("input", "type").choices


def test_option_is_required_when_vonage_needs_it() -> None:
    assert [each.name for each in options(ACTIONS["talk"]) if each.required] == ["action", "text"]


def test_defaults_are_those_of_vonage() -> None:
    assert (find("talk", "language").default, find("record", "format").default) == ("en-US", "mp3")
    assert (find("input", "dtmf.timeOut").default, find("connect", "timeout").default) == (3, 60)


def test_label_is_written_out_or_made_from_the_name() -> None:
    assert find("talk", "bargeIn").label == "Key stops it"
    assert find("input", "dtmf.maxDigits").label == "Max digits"


def test_options_come_in_the_order_in_which_they_are_written_down() -> None:
    names = [each.name for each in options(ACTIONS["input"])]
    assert names[names.index("type") + 1 :][:3] == ["dtmf.timeOut", "dtmf.maxDigits", "dtmf.submitOnHash"]


@pytest.mark.parametrize("name", ["eventUrl", "eventMethod", "endpoint", "eventType"])
def test_what_we_write_ourselves_is_in_no_form(name: str) -> None:
    assert not find("connect", name).form


@pytest.mark.parametrize("option", ALL)
def test_every_option_can_be_drawn(option: Option) -> None:
    assert option.label[0] == option.label[0].upper()
    assert option.help_text.endswith(".")
    assert option.source
    assert option.kind != "choice" or option.choices
    assert all(isinstance(choice, str) for choice in option.choices)


@pytest.mark.parametrize("model", ["talk", "record"])
def test_defaults_are_taken_by_the_validator(model: str) -> None:
    values = {each.name: each.default for each in options(ACTIONS[model]) if each.default is not None}
    values |= {"text": "Hello"} if model == "talk" else {}
    assert errors([{**values, "action": model}]) == []
