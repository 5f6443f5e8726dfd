"""The catalogue of options, from which forms and documents are drawn."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from callflows.ncco.actions import ACTIONS
from callflows.ncco.document import problems
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options

MODELS: dict[str, type[BaseModel]] = {**ACTIONS, **ENDPOINTS}


def find(model: str, name: str) -> Option:
    return next(each for each in options(MODELS[model]) if each.name == name)


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
        ("sip", "standardHeaders.User-to-User", "text"),
        ("sip", "headers", "object"),
        ("connect", "advancedMachineDetection.beep_timeout", "whole"),
        ("notify", "payload", "object"),
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


@pytest.mark.parametrize(
    ("model", "name", "bounds"),
    [
        ("input", "dtmf.maxDigits", (1, 20)),
        ("input", "speech.startTimeout", (1, 10)),
        ("wait", "timeout", (0.1, 7200)),
        ("record", "channels", (1, 32)),
        ("talk", "text", (None, None)),
    ],
)
def test_usual_bounds_are_those_on_which_sources_agree(model: str, name: str, bounds: tuple[float, float]) -> None:
    assert find(model, name).usual == bounds


@pytest.mark.parametrize(
    ("model", "name", "words", "longest"),
    [
        ("stream", "streamUrl", "an address that begins with https:// or http://", 1),
        ("conversation", "canHear", "text that is not blank", None),
        ("websocket", "authorization.value", "printable ASCII characters", 8191),
        ("phone", "number", "7 to 15 digits that begin with the country code", None),
        ("talk", "loop", "", None),
        ("connect", "endpoint", "", 1),
    ],
)
def test_form_of_a_text_is_told_in_words(model: str, name: str, words: str, longest: int | None) -> None:
    found = find(model, name)
    assert (found.form_of_text, found.longest) == (words, longest)


def test_actions_and_endpoints_are_those_of_vonage() -> None:
    assert " ".join(ACTIONS) == "talk stream input record conversation connect notify wait transfer"
    assert " ".join(ENDPOINTS) == "phone app websocket sip vbc"


def test_choices_are_the_values_that_vonage_knows() -> None:
    assert find("record", "format").choices == ("mp3", "wav", "ogg")
    assert "audio/l16;rate=24000" in find("websocket", "content-type").choices
    assert "dtmf" in find("input", "type").choices


def test_option_is_required_when_vonage_needs_it() -> None:
    assert [each.name for each in options(ACTIONS["talk"]) if each.required] == ["action", "text"]
    # Only an onAnswer that is there needs its url.
    assert [each.name for each in options(ENDPOINTS["phone"]) if each.required] == ["type", "number"]


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


@pytest.mark.parametrize("model", MODELS)
def test_every_option_can_be_drawn(model: str) -> None:
    for option in options(MODELS[model]):
        assert option.label[0] == option.label[0].upper(), option
        assert option.help_text.endswith((".", "...")), option
        assert option.source, option
        assert option.kind != "choice" or option.choices, option
        assert all(isinstance(choice, str) for choice in option.choices), option


def test_option_of_an_apps_settings_may_be_none() -> None:
    class Settings(BaseModel):
        prompt: int | None = None
        either: int | str = 1

    prompt, either = options(Settings)
    assert (prompt.kind, prompt.source, prompt.label) == ("whole", "Callflows", "Prompt")
    assert either.kind == "object"


@pytest.mark.parametrize("model", ["talk", "record", "conversation", "wait"])
def test_defaults_are_taken_by_the_validator(model: str) -> None:
    values = {each.name: each.default for each in options(ACTIONS[model]) if each.default is not None}
    plain = {name: value for name, value in values.items() if "." not in name}
    needed = {"talk": {"text": "Hello"}, "conversation": {"name": "room"}}.get(model, {})
    assert problems([{**plain, **needed, "action": model}]) == []
