"""What the validator says of a document: paths, sentences, and all problems at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflows.ncco.actions import ACTIONS
from callflows.ncco.document import DEEPEST, errors, problems
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.problems import InvalidNcco
from tests.lasting import lasting
from tests.ncco.documents import Action, connect, only, phone, sip, socket

TALK = {"action": "talk", "text": "a"}

# What the sentences say


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"action": "talk"}, ("$[0].text", "is required")),
        ({"action": "talk", "text": 5}, ("$[0].text", "expected text, got 5")),
        ({**TALK, "loop": -1}, ("$[0].loop", "expected at least 0, got -1")),
        ({**TALK, "loop": True}, ("$[0].loop", "expected a whole number, got True")),
        ({**TALK, "loop": 1.5}, ("$[0].loop", "expected a whole number, got 1.5")),
        ({**TALK, "level": 1.1}, ("$[0].level", "expected at most 1.0, got 1.1")),
        ({**TALK, "premium": 1}, ("$[0].premium", "expected true or false, got 1")),
        ({**TALK, "language": "en_GB"}, ("$[0].language", "expected a language code such as en-GB, got 'en_GB'")),
        ({**TALK, "language": None}, ("$[0].language", "expected text, got None")),
        ({"action": "stream", "streamUrl": []}, ("$[0].streamUrl", "expected exactly one entry, got none")),
        (
            {"action": "stream", "streamUrl": ["https://example.com/1.mp3", "https://example.com/2.mp3"]},
            ("$[0].streamUrl", "expected exactly one entry, got 2"),
        ),
        (
            {"action": "stream", "streamUrl": "https://example.com/1.mp3"},
            ("$[0].streamUrl", "expected a list, got 'https://example.com/1.mp3'"),
        ),
        ({"action": "record", "format": "flac"}, ("$[0].format", "expected 'mp3', 'wav' or 'ogg', got 'flac'")),
        ({"action": "record", "timeOut": 7200.5}, ("$[0].timeOut", "expected a whole number, got 7200.5")),
        ({"action": "record", "transcription": None}, ("$[0].transcription", "expected an object, got None")),
        (
            {"action": "record", "endOnKey": "**"},
            ("$[0].endOnKey", "expected one of the keys 0 to 9, * and #, got '**'"),
        ),
        ({"action": "record", "endOnKey": 1}, ("$[0].endOnKey", "expected text, got 1")),
        (
            {"action": "record", "eventMethod": "PUT"},
            ("$[0].eventMethod", "expected 'GET' or 'POST', got 'PUT'"),
        ),
        (
            {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 23}},
            ("$[0].dtmf.maxDigits", "expected at most 22, got 23"),
        ),
        ({"action": "input", "type": "dtmf"}, ("$[0].type", "expected a list, got 'dtmf'")),
        ({"action": "input", "type": []}, ("$[0].type", "expected one or two entries, each once, got none")),
        (
            {"action": "input", "type": ["dtmf", "dtmf"]},
            ("$[0].type", "expected one or two entries, each once, got one twice"),
        ),
        ({"action": "input", "type": ["DTMF"]}, ("$[0].type[0]", "expected 'dtmf' or 'speech', got 'DTMF'")),
        ({"action": "input", "type": [["dtmf"]]}, ("$[0].type[0]", "expected 'dtmf' or 'speech', got ['dtmf']")),
        (
            {"action": "input", "type": ["speech"], "speech": {"uuid": ["a", "b"]}},
            ("$[0].speech.uuid", "expected exactly one entry, got 2"),
        ),
        (
            {"action": "input", "type": ["speech"], "speech": {"context": ["one", 2]}},
            ("$[0].speech.context[1]", "expected text, got 2"),
        ),
        ({"action": "conversation", "name": " "}, ("$[0].name", "expected text that is not blank, got ' '")),
        (
            {"action": "conversation", "name": "r", "canHear": [7]},
            ("$[0].canHear[0]", "expected text, got 7"),
        ),
        (
            {"action": "notify", "payload": None, "eventUrl": ["https://a.example"]},
            ("$[0].payload", "expected an object, got None"),
        ),
        ({"action": "wait", "timeout": True}, ("$[0].timeout", "expected a number, got True")),
        (connect([]), ("$[0].endpoint", "expected exactly one entry, got none")),
        (connect([None]), ("$[0].endpoint[0]", "expected an object, got None")),
        (connect([{}]), ("$[0].endpoint[0].type", "is required: one of phone, app, websocket, sip, vbc")),
        (
            connect([{"type": "Phone", "number": "447700900123"}]),
            (
                "$[0].endpoint[0].type",
                "expected one of phone, app, websocket, sip, vbc, got 'Phone': its name is phone",
            ),
        ),
        (connect([{"type": 5}]), ("$[0].endpoint[0].type", "expected one of phone, app, websocket, sip, vbc, got 5")),
        (phone(number=447700900123), ("$[0].endpoint[0].number", "expected text, got 447700900123")),
        (
            phone(number="07700900123"),
            (
                "$[0].endpoint[0].number",
                "expected 7 to 15 digits that begin with the country code, got '07700900123'",
            ),
        ),
        (
            phone(dtmfAnswer="1P"),
            ("$[0].endpoint[0].dtmfAnswer", "expected keys 0 to 9, * and #, and p for a pause of 500 ms, got '1P'"),
        ),
        (
            socket(uri="https://example.com"),
            ("$[0].endpoint[0].uri", "expected an address that begins with wss:// or ws://, got 'https://example.com'"),
        ),
        (
            socket(uri="wss://"),
            ("$[0].endpoint[0].uri", "expected an address that begins with wss:// or ws://, got 'wss://'"),
        ),
        (socket(authorization=None), ("$[0].endpoint[0].authorization", "expected an object, got None")),
        (
            socket(authorization={"type": "custom", "value": "x" * 8192}),
            ("$[0].endpoint[0].authorization.value", "expected at most 8191 characters, got 8192"),
        ),
        (
            sip(uri="bob@example.com"),
            ("$[0].endpoint[0].uri", "expected a SIP address such as sip:bob@example.com, got 'bob@example.com'"),
        ),
        (
            sip(uri="sip:b@example.com", headers={"a b": None}),
            ('$[0].endpoint[0].headers["a b"]', "expected text, got None"),
        ),
        (
            sip(uri="sip:b@example.com", headers={"Place": "a\r\nVia: b"}),
            ("$[0].endpoint[0].headers.Place", r"expected printable ASCII characters, got 'a\r\nVia: b'"),
        ),
        (connect([{"type": "vbc", "extension": 1234}]), ("$[0].endpoint[0].extension", "expected text, got 1234")),
    ],
)
def test_error_says_what_was_expected_and_what_came(action: Action, expected: tuple[str, str]) -> None:
    path, severity, message = only(action)
    assert (path, message) == expected
    assert severity == "error"


def test_unknown_action_is_refused_with_the_known_ones() -> None:
    known = "talk, stream, input, record, conversation, connect, notify, wait, transfer"
    assert only({"action": "sing"}) == ("$[0].action", "error", f"expected one of {known}, got 'sing'")
    assert only({}) == ("$[0].action", "error", f"is required: one of {known}")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("Talk", "its name is talk"),
        ("text", "the action that speaks is called talk"),
        ("hangup", "the call ends by itself after the last action"),
        ("pay", "Vonage has taken that preview back, and it must go"),
    ],
)
def test_name_that_is_no_action_is_told_what_to_do_instead(name: str, instead: str) -> None:
    path, severity, message = only({"action": name, "text": "x"})
    assert (path, severity) == ("$[0].action", "error")
    assert message.endswith(f"got {name!r}: {instead}")


@pytest.mark.parametrize("document", [{}, None, "talk", 5, True])
def test_document_that_is_no_list_is_refused(document: object) -> None:
    (found,) = problems(document)
    assert (found.path, found.severity) == ("$", "error")
    assert found.message == f"expected a list of actions, got {document!r}"


def test_action_without_its_list_is_called_an_object() -> None:
    (found,) = problems(TALK)
    assert found.message == "expected a list of actions, got an object"


@pytest.mark.parametrize("element", [None, "talk", ["talk"], 7])
def test_element_that_is_no_object_is_refused(element: object) -> None:
    (found,) = problems([TALK, element])
    assert (found.path, found.message) == ("$[1]", f"expected an action, got {element!r}")


def test_all_problems_are_found_at_once() -> None:
    document = [
        {"action": "talk", "loop": -1, "level": "loud", "style": "2"},
        {"action": "record", "channels": 33, "timeOut": 2, "colour": 1},
        connect([{"type": "phone"}, {"type": "vbc"}], {"from": "442079460000"}),
        {"action": "sing"},
    ]
    assert {each.path for each in problems(document)} == {
        *("$[0].text", "$[0].loop", "$[0].level", "$[0].style"),
        *("$[1].channels", "$[1].timeOut", "$[1].colour"),
        *("$[2].endpoint", "$[2].endpoint[0].number", "$[2].endpoint[1].extension"),
        "$[3].action",
    }


def test_every_problem_has_a_source() -> None:
    document = [{"action": "sing"}, {**TALK, "colour": 1, "loop": "2"}, socket(contentType=1, headers={"event": 1}), 5]
    assert all(each.source for each in problems(document))


def test_refused_document_tells_all_its_problems() -> None:
    refused = InvalidNcco(errors([{"action": "talk", "loop": -1}]))
    assert str(refused) == "$[0].text: is required; $[0].loop: expected at least 0, got -1"
    assert [each.path for each in refused.problems] == ["$[0].text", "$[0].loop"]


def test_quoted_value_in_a_message_is_short() -> None:
    (found,) = problems([{"action": "x" * 10_000}])
    assert len(found.message) < 250


def test_long_and_odd_names_make_no_long_and_odd_paths() -> None:
    long, odd = (each.path for each in problems([{**TALK, "x" * 10_000: 1, 'a"\n': 1}]))
    assert len(long) < 80
    assert odd == r'$[0]["a\"\n"]'


# What JSON or UTF-8 does not carry


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_number_that_json_does_not_have_is_refused(number: float) -> None:
    document = [{"action": "notify", "payload": {"a": [number]}, "eventUrl": ["https://a.example"]}]
    (found,) = problems(document)
    assert (found.path, found.severity) == ("$[0].payload.a[0]", "error")
    assert found.message == f"expected a number that JSON has, got {number!r}"


def test_number_that_json_does_not_have_is_told_once() -> None:
    assert only({**TALK, "level": float("nan")}) == ("$[0].level", "error", "expected a number, got nan")
    # Beyond what wait takes as well, but that is no longer the point.
    assert only({"action": "wait", "timeout": float("inf")})[:2] == ("$[0].timeout", "error")


def test_half_of_a_surrogate_pair_is_warned_of() -> None:
    assert only({"action": "talk", "text": "é\ud800"})[:2] == ("$[0].text", "warning")
    assert problems([{"action": "talk", "text": "é\U0001f600"}]) == []


def nested(levels: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(levels):
        inner = [inner]
    return {"action": "notify", "payload": {"a": inner}, "eventUrl": ["https://a.example"]}


def test_document_that_is_nested_without_end_is_one_error() -> None:
    # The list, the action, the payload and its member are levels too.
    assert problems([nested(DEEPEST - 3)]) == []
    for levels in (DEEPEST - 2, 5_000):
        (found,) = problems([nested(levels), {"action": "sing"}])
        assert (found.path, found.severity) == ("$", "error")
        assert found.message == "expected at most 100 levels of nesting, got more"
        (whole,) = problems(nested(levels))
        assert whole.message == "expected a list of actions, got an object"


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def named(models: dict[str, Any], by: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with known names and any values."""
    names = sorted({field.alias or key for each in models.values() for key, field in each.model_fields.items()})
    return st.builds(
        lambda name, values: {**values, by: name},
        st.sampled_from(sorted(models)),
        st.dictionaries(st.sampled_from(names), JSON),
    )


ENDPOINT = st.builds(lambda endpoint: connect([endpoint]), named(ENDPOINTS, "type") | JSON)


@settings(max_examples=lasting(60, 2000))
@given(st.lists(named(ACTIONS, "action") | ENDPOINT | JSON, max_size=4) | JSON)
def test_no_document_makes_the_validator_fail(document: Any) -> None:
    for problem in problems(document):
        assert problem.path.startswith("$")
        assert problem.message
        assert problem.source
        assert problem.severity in ("error", "warning")
    assert [each for each in problems(document) if each.severity == "error"] == errors(document)
