"""Documents that a call's values made too long: what is cut, what is left out, and that Vonage takes the rest."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.document import errors
from callflows.ncco.fit import excesses, fitted, shortened, spoken
from callflows.ncco.headers import size
from callflows.ncco.template import fill

SOCKET = {"type": "websocket", "uri": "wss://bot.example.com/ws", "content-type": "audio/l16;rate=16000"}
VALUES = st.dictionaries(st.sampled_from(["from", "answers.menu", "SipHeader_X-A"]), st.text(max_size=700))


def talk(text: str) -> dict[str, Any]:
    return {"action": "talk", "text": text}


def connect(endpoint: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"action": "connect", "endpoint": [endpoint], **options}


def fit(template: dict[str, Any], **values: str) -> tuple[Any, list[str]]:
    """Return what a call with these values is served of an action, and what is said about it; Vonage takes it."""
    found, notes = fitted(template, fill(template, values))
    assert errors([found] if found else []) == []
    return found, notes


# Talk


def test_text_within_the_limit_stays() -> None:
    assert fit(talk("Hello {{ from }}"), **{"from": "x" * 1494}) == (talk("Hello " + "x" * 1494), [])


def test_text_is_cut_after_a_sentence() -> None:
    found, notes = fit(talk("First. {{ from }}! Third, and more."), **{"from": "Second " * 213})
    assert found["text"] == "First. " + ("Second " * 213) + "!"
    assert notes == ["its text of 1516 characters was cut to 1499, at most 1500 are allowed"]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("One. " + "word " * 400, "word word"),
        # A decimal point ends no sentence.
        ("x" * 1000 + " costs 3.14 " + "y" * 600, "costs 3.14"),
        ("字" * 1000 + "。" + "字" * 600, "字。"),
        ('He said "no." ' * 200, '"no."'),
        ("x" * 2000, "xxx"),
        ("e\u0301" * 1000, "e\u0301"),
    ],
)
def test_text_is_cut_where_it_costs_little(text: str, end: str) -> None:
    short = shortened(text)
    assert short.endswith(end)
    assert 750 <= len(short) <= 1500


def test_sentence_that_ends_exactly_at_the_limit_is_kept() -> None:
    assert shortened("x" * 1499 + ". More.") == "x" * 1499 + "."


def test_tags_are_not_counted_and_never_cut_and_ssml_stays_balanced() -> None:
    text = "<speak>Hello <emphasis level='strong'>" + "word <break time='1.5 s'/>" * 400 + "</emphasis>.</speak>"
    short = shortened(text)
    root = ElementTree.fromstring(short)
    assert [child.tag for child in root] == ["emphasis"]
    assert short.endswith("word <break time='1.5 s'/>word</emphasis></speak>")
    assert len(spoken(short)) == 1500


def test_entity_is_never_cut() -> None:
    text = "<speak>" + "x" * 1497 + "&amp;" * 10 + "</speak>"
    assert shortened(text) == "<speak>" + "x" * 1497 + "</speak>"
    ElementTree.fromstring(shortened(text))


def test_elements_that_end_before_the_cut_stay_as_they_are() -> None:
    text = "<speak><p><s>One.</s> <s>Two.</s></p> " + "<p>word word</p> " * 200 + "</speak>"
    short = shortened(text)
    assert [child.tag for child in ElementTree.fromstring(short)][:2] == ["p", "p"]
    assert short.endswith("</p></speak>")


def test_text_within_the_limit_is_not_cut() -> None:
    assert shortened("One. Two words") == "One. Two words"


def test_ssml_that_was_wrong_before_is_only_cut() -> None:
    assert shortened("<speak></p><s>" + "x" * 1600 + "</speak>").endswith("x</s></speak>")


def test_talk_whose_text_became_empty_is_left_out() -> None:
    assert fit(talk("{{ name }}")) == (None, ["its text is empty in this call, so that nothing is said"])
    assert fit(talk("<speak> {{ name }} </speak>"))[0] is None


def test_talk_of_sound_only_is_not_empty() -> None:
    found, _ = fit(talk("<speak><audio src='https://example.com/a.mp3'/>{{ name }}</speak>"))
    assert found is not None


# Headers of a socket


def test_headers_within_the_limit_stay_to_the_byte() -> None:
    template = connect({**SOCKET, "headers": {"a": "{{ from }}"}})
    found, notes = fit(template, **{"from": "x" * 504})
    assert size(found["endpoint"][0]["headers"]) == 512
    assert notes == []
    found, notes = fit(template, **{"from": "x" * 503 + "é"})
    assert found["endpoint"][0]["headers"] == {}
    assert notes == ["header 'a' was left out: with it they are 513 bytes, at most 512 are allowed"]


def test_largest_header_of_the_call_is_left_out_whole() -> None:
    headers = {"fixed": "f" * 200, "id": "{{ uuid }}", "long": "{{ answers.menu }}", "other": "{{ from }}", "n": 7}
    found, notes = fit(connect({**SOCKET, "headers": headers}), uuid="u" * 36, **{"answers.menu": "x" * 300})
    assert found["endpoint"][0]["headers"] == {"fixed": "f" * 200, "id": "u" * 36, "other": "", "n": 7}
    assert len(notes) == 1
    assert notes[0].startswith("header 'long' was left out: with it they are ")


def test_several_headers_are_left_out_until_the_rest_fits() -> None:
    headers = {"a": "{{ a }}", "b": {"c": ["{{ b }}"]}, "d": "d" * 250}
    found, notes = fit(connect({**SOCKET, "headers": headers}), a="x" * 300, b="y" * 400)
    assert found["endpoint"][0]["headers"] == {"d": "d" * 250}
    assert len(notes) == 2


def test_headers_that_are_too_long_by_themselves_are_left_out_too() -> None:
    found, _ = fit(connect({**SOCKET, "headers": {"a": "a" * 500, "b": "b" * 100}}))
    assert found["endpoint"][0]["headers"] == {"b": "b" * 100}


# SIP, and the number shown


def test_sip_headers_that_can_be_none_are_left_out() -> None:
    endpoint = {
        "type": "sip",
        "uri": "sip:bob@pbx.example.com",
        "headers": {"Caller": "{{ from }}", "Fixed": "x", "Menu": "{{ answers.menu }}"},
        "standardHeaders": {"User-to-User": "{{ SipHeader_User-to-User }}", "Kind": 1},
    }
    found, notes = fit(connect(endpoint), **{"from": "Zoë", "SipHeader_User-to-User": "a" * 257})
    assert found["endpoint"][0]["headers"] == {"Fixed": "x"}
    assert found["endpoint"][0]["standardHeaders"] == {"Kind": 1}
    assert notes == [
        "SIP header 'Caller' was left out: its value is empty or more than printable ASCII",
        "SIP header 'Menu' was left out: its value is empty or more than printable ASCII",
        "SIP header 'User-to-User' was left out: its value has 257 characters, at most 256 are allowed",
    ]
    values = {"from": "447700900123", "answers.menu": "1", "SipHeader_User-to-User": "a" * 256}
    assert fit(connect(endpoint), **values)[1] == []


def test_sip_header_that_is_no_text_stays_wrong() -> None:
    template = connect({"type": "sip", "domain": "acme", "user": "bob", "headers": {"A": {"b": "{{ from }}"}}})
    found, notes = fitted(template, fill(template, {"from": "x"}))
    assert found is not None
    assert found["endpoint"][0]["headers"] == {"A": {"b": "x"}}
    assert notes == []


def test_sip_endpoint_without_headers_stays() -> None:
    assert fit(connect({"type": "sip", "uri": "sip:bob@pbx.example.com"}))[1] == []


@pytest.mark.parametrize("shown", ["", "anonymous", "sip:bob@pbx.example.com", "123456"])
def test_number_that_is_none_is_not_shown_to_a_phone(shown: str) -> None:
    template = connect({"type": "phone", "number": "447700900222"}, **{"from": "{{ to }}"})
    found, notes = fit(template, to=shown)
    assert "from" not in found
    assert notes == [f"the number shown was left out: {shown[:20]!r} is none"]


def test_number_of_the_call_is_shown() -> None:
    template = connect({"type": "phone", "number": "447700900222"}, **{"from": "{{ to }}"})
    assert fit(template, to="442079460000")[0]["from"] == "442079460000"
    fixed = connect({"type": "phone", "number": "447700900222"}, **{"from": "Shop"})
    assert fit(fixed)[0]["from"] == "Shop"


def test_socket_is_shown_any_text_but_none() -> None:
    template = connect(SOCKET, **{"from": "{{ to }}"})
    assert fit(template, to="sip:bob@pbx.example.com")[0]["from"] == "sip:bob@pbx.example.com"
    assert "from" not in fit(template, to="")[0]


def test_what_cannot_be_mended_stays_wrong() -> None:
    template = connect({"type": "phone", "number": "{{ from }}"})
    found, notes = fitted(template, fill(template, {"from": "anonymous"}))
    assert found is not None
    assert [each.path for each in errors([found])] == ["$[0].endpoint[0].number"]
    assert notes == []


@pytest.mark.parametrize(
    "action", [{"action": "wait", "timeout": 1}, {"action": "talk", "text": 5}, {"action": "connect", "endpoint": {}}]
)
def test_what_is_no_text_and_no_endpoint_stays(action: dict[str, Any]) -> None:
    assert fitted(action, action) == (action, [])
    assert list(excesses(action)) == []


# Whatever the values


@given(VALUES)
def test_plain_talk_is_always_taken(values: dict[str, str]) -> None:
    fit(talk("Hello. {{ from }} said {{ answers.menu }}! " + "word " * 240 + "{{ SipHeader_X-A }}"), **values)


@given(VALUES)
def test_ssml_is_always_taken_and_well_formed(values: dict[str, str]) -> None:
    text = (
        "<speak>Hi <p>{{ from }}. <s>{{ answers.menu }}</s></p><break/>" + "word " * 240 + "{{ SipHeader_X-A }}</speak>"
    )
    found, _ = fit(talk(text), **values)
    ElementTree.fromstring(found["text"])


@given(VALUES)
def test_socket_headers_are_always_taken(values: dict[str, str]) -> None:
    headers = {"a": "{{ from }}", "b": ["{{ answers.menu }}"], "c": {"d": "{{ SipHeader_X-A }}", "e": "x" * 200}}
    fit(connect({**SOCKET, "headers": headers}), **values)


@given(VALUES)
def test_sip_headers_are_always_taken(values: dict[str, str]) -> None:
    endpoint = {
        "type": "sip",
        "domain": "acme",
        "user": "bob",
        "headers": {"A": "{{ from }}", "B": "{{ answers.menu }}"},
    }
    fit(connect({**endpoint, "standardHeaders": {"User-to-User": "{{ SipHeader_X-A }}"}}), **values)


# Before there is a call


def told(action: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.path, each.severity, each.message) for each in excesses(action)]


def test_text_that_is_always_too_long_is_an_error() -> None:
    assert told(talk("x" * 1501 + "{{ from }}")) == [("$[0].text", "error", "1501 characters, at most 1500 allowed")]


def test_text_that_long_values_make_too_long_is_a_warning() -> None:
    message = (
        "up to 1505 characters with the longest values, at most 1500 allowed: "
        "a call beyond that is cut at a sentence or word"
    )
    assert told(talk("x" * 1490 + "{{ from }}")) == [("$[0].text", "warning", message)]
    assert told(talk("x" * 1485 + "{{ from }}")) == []


def test_unknown_value_has_no_length() -> None:
    assert told(talk("x" * 1500 + "{{ name }}")) == []


@pytest.mark.parametrize(
    ("length", "severity"), [(489, []), (490, ["warning"]), (504, ["warning"]), (505, ["error"]), (600, ["error"])]
)
def test_headers_are_measured_with_the_shortest_and_the_longest_values(length: int, severity: list[str]) -> None:
    # {"":"..."} are 7 bytes, and a number has at most 15 digits.
    found = told(connect({**SOCKET, "headers": {"": "x" * (length + 1) + "{{ from }}"}}))
    assert [each[:2] for each in found] == [("$[0].endpoint[0].headers", each) for each in severity]


def test_headers_of_other_endpoints_have_no_limit_together() -> None:
    assert told(connect({"type": "sip", "uri": "sip:bob@x.example", "headers": {"A": "x" * 600}})) == []
