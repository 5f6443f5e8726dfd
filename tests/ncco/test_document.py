"""Every NCCO that we know of against the validator: what it must take, refuse with the right path, or warn of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from callflows.ncco.actions import ACTIONS
from callflows.ncco.document import errors, problems
from callflows.ncco.endpoints import ENDPOINTS

FOLDER = Path(__file__).parent.parent / "payloads" / "ncco"
Document = list[Any]


def unknown(document: Any) -> Iterator[str]:
    """Yield the paths of what the catalogue does not have yet; files that need it wait for its entries."""
    for place, action in enumerate(document if isinstance(document, list) else []):
        if not isinstance(action, dict):
            continue
        yield from _unknown(ACTIONS.get(action["action"]), action, f"$[{place}]", "action")
        endpoints = action.get("endpoint")
        for number, endpoint in enumerate(endpoints if isinstance(endpoints, list) else []):
            path = f"$[{place}].endpoint[{number}]"
            yield from _unknown(ENDPOINTS.get(endpoint["type"]), endpoint, path, "type")


def _unknown(model: type[BaseModel] | None, value: dict[str, Any], path: str, name: str) -> Iterator[str]:
    if model is None:
        yield f"{path}.{name}"
    else:
        known = {field.alias or name for name, field in model.model_fields.items()}
        yield from (f"{path}.{each} is no option yet" for each in value.keys() - known)


def why(file: Path) -> str:
    """Return the path at which a file is wrong."""
    lines = file.with_suffix(".why").read_text().splitlines()
    return next(line.removeprefix("path: ") for line in lines if line.startswith("path: "))


def load(file: Path) -> Any:
    return json.loads(file.read_text())


VALID = [file for file in sorted(FOLDER.glob("valid/*.json")) if not [*unknown(load(file))]]
INVALID = [file for file in sorted(FOLDER.glob("invalid/*.json")) if {*unknown(load(file))} <= {why(file)}]
LENIENT = [
    file
    for file in sorted(FOLDER.glob("lenient/*.json"))
    if not [path for path in unknown(load(file)) if path.endswith((".action", ".type"))]
]


def name(file: Path) -> str:
    return file.stem


def test_the_catalogue_knows_at_least_the_actions_of_the_first_release() -> None:
    assert len(VALID) >= 17
    assert len(INVALID) >= 38
    assert len(LENIENT) >= 7


@pytest.mark.parametrize("file", VALID, ids=name)
def test_valid_ncco_has_no_problem(file: Path) -> None:
    assert problems(load(file)) == []


@pytest.mark.parametrize("file", INVALID, ids=name)
def test_invalid_ncco_is_refused_where_it_is_wrong(file: Path) -> None:
    assert why(file) in [problem.path for problem in errors(load(file))]


@pytest.mark.parametrize("file", LENIENT, ids=name)
def test_ncco_about_which_sources_disagree_is_taken(file: Path) -> None:
    assert errors(load(file)) == []


def only(action: dict[str, Any]) -> tuple[str, str, str]:
    """Return path, severity and message of the one problem that an action has."""
    (found,) = problems([action])
    return found.path, found.severity, found.message


def socket(**endpoint: Any) -> dict[str, Any]:
    given = {"type": "websocket", "uri": "wss://example.com/s", "content-type": "audio/l16;rate=16000", **endpoint}
    return {"action": "connect", "endpoint": [{key: value for key, value in given.items() if value is not None}]}


# What the sentences say


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"action": "talk"}, ("$[0].text", "error", "is required")),
        ({"action": "talk", "text": 5}, ("$[0].text", "error", "expected text, got 5")),
        ({"action": "talk", "text": " "}, ("$[0].text", "error", "expected words to speak, got an empty text")),
        (
            {"action": "talk", "text": "x" * 1501},
            ("$[0].text", "error", "expected at most 1500 characters besides SSML tags, got 1501"),
        ),
        (
            {"action": "talk", "text": "a<break time='1s'/>b"},
            ("$[0].text", "error", "expected SSML inside <speak>...</speak>, got tags without it"),
        ),
        ({"action": "talk", "text": "a", "loop": -1}, ("$[0].loop", "error", "expected at least 0, got -1")),
        ({"action": "talk", "text": "a", "loop": True}, ("$[0].loop", "error", "expected a whole number, got True")),
        ({"action": "talk", "text": "a", "loop": 1.5}, ("$[0].loop", "error", "expected a whole number, got 1.5")),
        ({"action": "talk", "text": "a", "level": 1.1}, ("$[0].level", "error", "expected at most 1.0, got 1.1")),
        ({"action": "talk", "text": "a", "premium": 1}, ("$[0].premium", "error", "expected true or false, got 1")),
        ({"action": "stream", "streamUrl": []}, ("$[0].streamUrl", "error", "expected exactly one entry, got none")),
        (
            {"action": "record", "format": "flac"},
            ("$[0].format", "error", "expected 'mp3', 'wav' or 'ogg', got 'flac'"),
        ),
        (
            {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 23}},
            ("$[0].dtmf.maxDigits", "error", "expected at most 22, got 23"),
        ),
        (
            socket(uri="https://example.com"),
            (
                "$[0].endpoint[0].uri",
                "error",
                r"expected an address that begins with wss:// or ws://, got 'https://example.com'",
            ),
        ),
        (
            socket(authorization={"type": "custom"}),
            ("$[0].endpoint[0].authorization.value", "error", "is required with type 'custom'"),
        ),
        (
            socket(headers={"event": "mine"}),
            ("$[0].endpoint[0].headers.event", "warning", "Vonage overwrites it with a member of its own"),
        ),
    ],
)
def test_problem_says_what_was_expected_and_what_came(action: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert only(action) == expected


def test_unknown_action_is_refused_with_the_known_ones() -> None:
    path, severity, message = only({"action": "hangup"})
    assert (path, severity) == ("$[0].action", "error")
    assert message.startswith("expected one of talk, stream, input, record, connect")
    assert message.endswith("got 'hangup'")


@pytest.mark.parametrize("document", [{}, None, "talk", 5, True])
def test_document_that_is_no_list_is_refused(document: object) -> None:
    (found,) = problems(document)
    assert (found.path, found.severity) == ("$", "error")
    assert found.message == f"expected a list of actions, got {document!r}"


@pytest.mark.parametrize("element", [None, "talk", ["talk"], 7])
def test_element_that_is_no_object_is_refused(element: object) -> None:
    (found,) = problems([{"action": "talk", "text": "a"}, element])
    assert (found.path, found.message) == ("$[1]", f"expected an action, got {element!r}")


def test_all_problems_are_found_at_once() -> None:
    document = [{"action": "talk", "loop": -1}, {"action": "record", "channels": 33, "timeOut": 2}]
    assert {each.path for each in errors(document)} == {"$[0].text", "$[0].loop", "$[1].channels", "$[1].timeOut"}


def test_quoted_value_in_a_message_is_short() -> None:
    (found,) = problems([{"action": "x" * 10_000}])
    assert len(found.message) < 200


# What is only warned of


@pytest.mark.parametrize(
    ("option", "quoted"), [("loop", "2"), ("style", "1"), ("level", "0.5"), ("premium", "true"), ("premium", "false")]
)
def test_quoted_number_or_flag_is_warned_of(option: str, quoted: str) -> None:
    path, severity, message = only({"action": "talk", "text": "a", option: quoted})
    assert (path, severity) == (f"$[0].{option}", "warning")
    assert message.endswith(f"got {quoted!r}")


@pytest.mark.parametrize("quoted", ["x", "", "-1", "1.5"])
def test_quoted_number_that_would_be_wrong_is_an_error(quoted: str) -> None:
    assert only({"action": "talk", "text": "a", "loop": quoted})[:2] == ("$[0].loop", "error")


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ({"action": "talk", "text": "a", "colour": 1}, "$[0].colour"),
        ({"action": "input", "type": ["dtmf"], "dtmf": {"colour": 1}}, "$[0].dtmf.colour"),
        (socket(colour=1), "$[0].endpoint[0].colour"),
        (socket(authorization={"type": "vonage", "colour": 1}), "$[0].endpoint[0].authorization.colour"),
    ],
)
def test_unknown_option_is_warned_of_and_the_known_ones_are_named(action: dict[str, Any], path: str) -> None:
    found = only(action)
    assert found[:2] == (path, "warning")
    assert found[2].startswith("an option that Vonage does not document; known are ")


def test_socket_without_content_type_is_warned_of() -> None:
    assert only(socket(**{"content-type": None}))[:2] == ("$[0].endpoint[0].content-type", "warning")


def test_what_follows_a_socket_is_warned_of_once() -> None:
    document = [socket(), {"action": "talk", "text": "a"}, {"action": "talk", "text": "b"}]
    assert [(each.path, each.severity) for each in problems(document)] == [("$[1]", "warning")]


# Rules between options and between actions


def test_dtmf_settings_need_dtmf_in_the_type() -> None:
    assert "$[0].dtmf" in [each.path for each in errors([{"action": "input", "type": [], "dtmf": {}}])]


BARGE = {"action": "talk", "text": "a", "bargeIn": True}
TALK = {"action": "talk", "text": "b"}
KEYS = {"action": "input", "type": ["dtmf"]}
RECORD = {"action": "record"}


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ([BARGE, KEYS], []),
        ([BARGE, TALK, KEYS], []),
        ([BARGE], ["$[0].bargeIn"]),
        ([TALK, BARGE, TALK], ["$[1].bargeIn"]),
        ([BARGE, RECORD, KEYS], ["$[1].action"]),
        ([BARGE, KEYS, BARGE], ["$[2].bargeIn"]),
        ([BARGE, RECORD, BARGE, KEYS], ["$[1].action"]),
        ([{**BARGE, "bargeIn": "true"}], ["$[0].bargeIn"]),
    ],
)
def test_talk_that_a_key_stops_needs_an_input_after_it(document: Document, paths: list[str]) -> None:
    assert [each.path for each in errors(document)] == paths


# Speech


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1500,
        "<speak>" + "x" * 1500 + "<break time='1s'/></speak>",
        "5 < 6",
        "<speak><audio src='https://example.com/a.mp3'/></speak>",
        "Größe 😀" * 200,
    ],
)
def test_text_within_the_limit_is_taken(text: str) -> None:
    assert problems([{"action": "talk", "text": text}]) == []


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    sorted({field.alias or key for each in ACTIONS.values() for key, field in each.model_fields.items()})
)
ACTION = st.builds(
    lambda action, options: {**options, "action": action},
    st.sampled_from(sorted(ACTIONS)),
    st.dictionaries(NAMES, JSON),
)


@settings(max_examples=50)
@given(st.lists(ACTION | JSON, max_size=4) | JSON)
def test_no_document_makes_the_validator_fail(document: Any) -> None:
    for problem in problems(document):
        assert problem.path.startswith("$")
        assert problem.message
        assert problem.severity in ("error", "warning")
