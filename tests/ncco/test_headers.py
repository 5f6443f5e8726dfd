"""The headers of an audio socket: counted in bytes, as Vonage counts them, and named by their owners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.document import errors
from callflows.ncco.headers import reserved, size, too_long


def of_size(length: int, letter: str = "x") -> dict[str, str]:
    """Return headers that take ``length`` bytes, as far as whole letters allow filled with ``letter``."""
    free = length - len('{"k":""}')
    count = free // len(letter.encode())
    return {"k": letter * count + "x" * (free - count * len(letter.encode()))}


@pytest.mark.parametrize("letter", ["x", "é", "語", "😀"])
def test_512_bytes_are_allowed_and_513_are_not(letter: str) -> None:
    assert (size(of_size(512, letter)), too_long(of_size(512, letter))) == (512, None)
    assert too_long(of_size(513, letter)) == "513 bytes as JSON, at most 512 allowed"


@pytest.mark.parametrize("letter", ["x", "é"])
def test_document_with_513_bytes_of_headers_is_refused(letter: str) -> None:
    def found(length: int) -> list[tuple[str, str]]:
        endpoint = {"type": "websocket", "uri": "wss://example.com/s", "headers": of_size(length, letter)}
        document = [{"action": "connect", "endpoint": [endpoint | {"content-type": "audio/l16;rate=8000"}]}]
        return [(each.path, each.message) for each in errors(document)]

    assert found(512) == []
    assert found(513) == [("$[0].endpoint[0].headers", "513 bytes as JSON, at most 512 allowed")]


def test_nested_values_are_counted_without_spaces() -> None:
    assert size({"a": [1, {"b": None}], "c": True}) == len('{"a":[1,{"b":null}],"c":true}')


def test_characters_that_json_escapes_count_as_escaped() -> None:
    assert size({"k": '"\n'}) == len(r'{"k":"\"\n"}')


def test_half_of_a_surrogate_pair_is_counted_and_does_not_fail() -> None:
    assert size({"k": "\ud800"}) == len('{"k":"?"}')


@pytest.mark.parametrize("name", ["event", "content-type", "Content-Type", " event "])
def test_names_of_vonages_own_members_are_told(name: str) -> None:
    assert reserved({"caller": 1, name: 2, "events": 3}) == [name]


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_size_is_that_of_the_shortest_json(headers: dict[str, str]) -> None:
    text = json.dumps(headers, ensure_ascii=False, separators=(",", ":"))
    assert size(headers) == len(text.encode())
    assert json.loads(text) == headers
