"""Variables in a document: filled with what callers bring, who can never break out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.template import fill, variables

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ from }}", "447700900123"),
        ("{{from}} and {{  from  }}", "447700900123 and 447700900123"),
        ('{{ from|default:"you" }}', "447700900123"),
        ('{{ name|default:"you" }}', "you"),
        ('{{ name | default: "you" }}', "you"),
        ('{{ empty|default:"you" }}', "you"),
        ("a{{ name }}b", "ab"),
        ("{{ from", "{{ from"),
        ("{ from }", "{ from }"),
        ("{{ 1 }}", "{{ 1 }}"),
        ("no variable", "no variable"),
    ],
)
def test_variable_becomes_its_value_its_default_or_nothing(text: str, expected: str) -> None:
    assert fill(text, {"from": "447700900123", "empty": ""}) == expected


def test_texts_are_filled_at_any_depth_and_nothing_else_is_touched() -> None:
    value: list[dict[str, Any]] = [{"a": {"b": ["{{ x }}", 1, None, True, 2.5]}, "{{ x }}": 1}]
    assert fill(value, {"x": "y"}) == [{"a": {"b": ["y", 1, None, True, 2.5]}, "{{ x }}": 1}]
    assert value[0]["a"]["b"][0] == "{{ x }}"


def test_value_is_not_filled_again() -> None:
    assert fill("{{ a }}", {"a": "{{ b }}", "b": "secret"}) == "{{ b }}"


@given(st.text())
def test_value_never_breaks_out_of_the_document(caller: str) -> None:
    document: list[dict[str, Any]] = [{"action": "talk", "text": "Hello {{ from }}", "headers": {"k": "{{ from }}"}}]
    filled = json.loads(json.dumps(fill(document, {"from": caller})))
    assert filled == [{"action": "talk", "text": f"Hello {caller}", "headers": {"k": caller}}]


@given(WORDS)
def test_value_never_breaks_out_of_ssml(caller: str) -> None:
    text = fill('<speak>Hello <say-as interpret-as="{{ from }}">{{ from }}</say-as></speak>', {"from": caller})
    (inner,) = ElementTree.fromstring(text)
    assert (inner.text, inner.tail) == (caller, None)


@given(WORDS)
def test_value_never_breaks_out_of_an_address(caller: str) -> None:
    address = fill("wss://example.com/{{ from }}/s?caller={{ from }}&x=1", {"from": caller})
    assert " " not in address
    assert urlsplit(address).netloc == "example.com"
    assert parse_qs(urlsplit(address).query) == {"caller": [caller], "x": ["1"]}


def test_number_in_an_address_stays_as_it_is() -> None:
    assert fill("wss://example.com/{{ from }}", {"from": "447700900123"}) == "wss://example.com/447700900123"


def test_variables_are_listed_in_order() -> None:
    value = {"text": "{{ b }} {{ a }}", "more": [{"x": '{{ c|default:"d" }}'}, 5, None]}
    assert list(variables(value)) == ["b", "a", "c"]


@pytest.mark.parametrize("text", ["{{" * 20_000, "{{ " * 20_000, "{{ a" + " " * 50_000, "{{ a|default:" + '"' * 50_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    assert fill(text, {}) == text
