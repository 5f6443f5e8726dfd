"""Variables in a document: filled with what callers bring, who can never break out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.template import LONGEST, fill, in_keys, longest_value, variables

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
# What somebody who means harm would send.
HOSTILE = [
    "{{ to }}",
    '"',
    "'",
    "\\",
    '","x":"',
    "</speak>",
    "<break time='600s'/>",
    "<speak><break/></speak>",
    "]]>",
    "&lt;speak&gt;",
    "%2f",
    "../..",
    "..",
    "a/b?c=d#e&f",
    "bob@evil.example",
    "x;maddr=evil.example",
    "line\r\nVia: evil",
    "\n",
    "\0",
    "\ud800",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ from }}", "447700900123"),
        ("{{from}} and {{  from  }}", "447700900123 and 447700900123"),
        ('{{ from|default:"you" }}', "447700900123"),
        ('{{ name|default:"you" }}', "you"),
        ('{{ name | default: "you" }}', "you"),
        ("{{ name|default:'you' }}", "you"),
        ('{{ name|default:"" }}', ""),
        ('{{ empty|default:"you" }}', "you"),
        ("{{ custom_data.name }}, {{ answers.main-menu }}", "Ann, 12"),
        ("{{ SipHeader_X-Account }}", "4711"),
        ("a{{ name }}b", "ab"),
        ("{{ from", "{{ from"),
        ("{ from }", "{ from }"),
        ("{{ 1 }}", "{{ 1 }}"),
        ("{{ from|upper }}", "{{ from|upper }}"),
        ("no variable", "no variable"),
    ],
)
def test_variable_becomes_its_value_its_default_or_nothing(text: str, expected: str) -> None:
    values = {
        "from": "447700900123",
        "empty": "",
        "custom_data.name": "Ann",
        "answers.main-menu": "12",
        "SipHeader_X-Account": "4711",
    }
    assert fill(text, values) == expected


def test_texts_are_filled_at_any_depth_and_nothing_else_is_touched() -> None:
    value: list[dict[str, Any]] = [{"a": {"b": ["{{ x }}", 1, None, True, 2.5]}, "{{ x }}": 1}]
    assert fill(value, {"x": "y"}) == [{"a": {"b": ["y", 1, None, True, 2.5]}, "{{ x }}": 1}]
    assert value[0]["a"]["b"][0] == "{{ x }}"


def test_names_that_hold_a_variable_are_told_for_they_are_not_filled() -> None:
    assert list(in_keys([{"a": {"{{ x }}": 1, "b": ["{{ y }}", {"c{{ z }}": 2}]}}])) == ["{{ x }}", "c{{ z }}"]


def test_value_is_not_filled_again() -> None:
    assert fill("{{ a }}", {"a": "{{ b }}", "b": "secret"}) == "{{ b }}"


@pytest.mark.parametrize(
    ("name", "size"),
    [("from", 15), ("conversation_uuid", 40), ("answers.menu", 100), ("SipHeader_X-A", 256), ("custom_data.a.b", 100)],
)
def test_known_values_have_a_longest_length(name: str, size: int) -> None:
    assert longest_value(name) == size


@pytest.mark.parametrize("name", ["caller_name", "answers", "answers.", "SipHeader_", "fromm", "FROM", "custom_data"])
def test_other_names_are_unknown(name: str) -> None:
    assert longest_value(name) is None


def test_every_value_and_its_length_is_documented() -> None:
    table = (Path(__file__).parent.parent.parent / "docs" / "operators.md").read_text()
    for name, size in LONGEST.items():
        (row,) = (line for line in table.splitlines() if line.startswith("| `{{") and f"{{{{ {name}" in line)
        assert str(size) in row.rpartition("|")[0].rpartition("|")[2]


# Nobody breaks out


@given(st.text() | st.sampled_from(HOSTILE))
def test_value_never_breaks_out_of_a_string(caller: str) -> None:
    document: list[dict[str, Any]] = [{"action": "notify", "payload": {"k": "Hello {{ from }}"}}]
    filled = json.loads(json.dumps(fill(document, {"from": caller})))
    assert filled == [{"action": "notify", "payload": {"k": f"Hello {caller}"}}]


def spoken(text: str, caller: str) -> str:
    """Return what a talk says to a caller who calls himself so."""
    filled = fill({"action": "talk", "text": text}, {"from": caller})
    return str(filled["text"])


@given(st.text() | st.sampled_from(HOSTILE))
def test_value_never_becomes_a_tag_of_a_plain_text(caller: str) -> None:
    said = spoken("Hello {{ from }}.", caller)
    assert not re.search("[<>]", said)
    kept = [sign for sign in caller if sign not in "<>" and (sign in "\t\n\r" or ord(sign) > 31)]
    assert set(kept) - set(said) <= {chr(0xFFFE), chr(0xFFFF)} | {sign for sign in kept if "\ud800" <= sign <= "\udfff"}


@given(WORDS | st.sampled_from([each for each in HOSTILE if each.isprintable()]))
def test_value_never_breaks_out_of_ssml(caller: str) -> None:
    text = spoken('<speak>Hello <say-as interpret-as="{{ from }}">{{ from }}</say-as></speak>', caller)
    (inner,) = ElementTree.fromstring(text)
    assert (inner.text, inner.tail) == (caller, None)
    assert inner.get("interpret-as") == caller


@given(st.text())
def test_value_never_spoils_ssml(caller: str) -> None:
    assert ElementTree.fromstring(spoken("<speak>{{ from }}</speak>", caller)).tag == "speak"


def test_ssml_outside_a_talk_is_safe_as_well() -> None:
    assert fill("<speak>{{ from }}</speak>", {"from": "<x>"}) == "<speak>&lt;x&gt;</speak>"


@given(WORDS | st.sampled_from(HOSTILE))
def test_value_never_breaks_out_of_an_address(caller: str) -> None:
    address = fill("wss://example.com/{{ from }}/s?caller={{ from }}&x=1", {"from": caller})
    assert re.fullmatch(r"[!-~]+", address)
    parts = urlsplit(address)
    assert parts.netloc == "example.com"
    assert parts.path.count("/") == 2
    assert ".." not in parts.path.split("/")
    # Half a character becomes a question mark; dots alone become nothing.
    expected = caller.encode(errors="replace").decode() if caller.strip(".") else ""
    assert parse_qs(parts.query, keep_blank_values=True) == {"caller": [expected], "x": ["1"]}


def test_number_in_an_address_stays_as_it_is() -> None:
    assert fill("wss://example.com/{{ from }}", {"from": "447700900123"}) == "wss://example.com/447700900123"


@given(WORDS | st.sampled_from(HOSTILE))
def test_value_never_breaks_out_of_a_sip_address(caller: str) -> None:
    sip = {"type": "sip", "uri": "sip:{{ from }}@pbx.example.com", "user": "{{ from }}", "domain": "acme", "x": 1}
    filled = fill(sip, {"from": caller})
    user = filled["uri"].removeprefix("sip:").removesuffix("@pbx.example.com")
    assert re.fullmatch(r"[\w.%+~-]*", user, re.ASCII)
    assert filled["user"] == user
    assert (filled["domain"], filled["x"]) == ("acme", 1)


def test_plus_of_a_number_stays_in_a_sip_address() -> None:
    assert fill("sip:{{ from }}@pbx.example.com", {"from": "+44770"}) == "sip:+44770@pbx.example.com"


@given(st.text() | st.sampled_from(HOSTILE))
def test_value_never_breaks_out_of_the_line_of_a_sip_header(caller: str) -> None:
    sip = {"type": "sip", "headers": {"Caller": "id {{ from }}"}, "standardHeaders": {"User-to-User": "{{ from }}"}}
    filled = fill(sip, {"from": caller})
    assert not re.search(r"[\x00-\x1f\x7f]", filled["headers"]["Caller"] + filled["standardHeaders"]["User-to-User"])


# Which they are


def test_variables_are_listed_in_order() -> None:
    value = {"text": "{{ b }} {{ a }}", "more": [{"x": '{{ c|default:"d" }}'}, 5, None]}
    assert list(variables(value)) == ["b", "a", "c"]


@pytest.mark.parametrize("text", ["{{" * 20_000, "{{ " * 20_000, "{{ a" + " " * 50_000, "{{ a|default:" + '"' * 50_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    assert fill(text, {}) == text
