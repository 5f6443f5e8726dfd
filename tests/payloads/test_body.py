"""How the body or the query of a webhook becomes one object, and what is refused because nobody can keep it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.payloads.body import BadPayload, digest, from_json, from_query, unopened

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
OBJECTS = st.dictionaries(
    TEXT,
    st.recursive(
        LEAVES | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "expected a JSON object as body, got b'' (JSONDecodeError)"),
        (b"rubbish", "expected a JSON object as body, got b'rubbish' (JSONDecodeError)"),
        (b"a=1&b=2", "expected a JSON object as body, got b'a=1&b=2' (JSONDecodeError)"),
        (b'{"a":1', "expected a JSON object as body, got b'{\"a\":1' (JSONDecodeError)"),
        (b"\xff\xfe\xfd", "expected a JSON object as body, got b'\\xff\\xfe\\xfd' (UnicodeDecodeError)"),
        (b"[]", "expected a JSON object as body, got a list"),
        (b'"x"', "expected a JSON object as body, got a text"),
        (b"5", "expected a JSON object as body, got a number"),
        (b"5.5", "expected a JSON object as body, got a number"),
        (b"true", "expected a JSON object as body, got true or false"),
        (b"null", "expected a JSON object as body, got null"),
        (b'{"a":NaN}', "expected a JSON object as body, got b'{\"a\":NaN}' (ValueError)"),
        (b'{"a":-Infinity}', "expected a JSON object as body, got b'{\"a\":-Infinity}' (ValueError)"),
        (b'{"a":1e999}', "expected a JSON object as body, got b'{\"a\":1e999}' (ValueError)"),
        (rb'{"a":"x\u0000"}', "expected text without NUL characters"),
        (rb'{"x\u0000":1}', "expected text without NUL characters"),
        (rb'{"a":["\ud800"]}', "expected Unicode text, got half of a surrogate pair"),
        (rb'{"\udfff":1}', "expected Unicode text, got half of a surrogate pair"),
        (nested(101), "nested deeper than 100 levels"),
    ],
)
def test_body_that_cannot_be_kept_is_refused_with_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(BadPayload) as refused:
        from_json(body)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("levels", [1_000, 100_000])
def test_body_that_is_nested_without_end_is_refused(levels: int) -> None:
    with pytest.raises(BadPayload):
        from_json(nested(levels))


def test_long_body_is_quoted_by_its_beginning() -> None:
    with pytest.raises(BadPayload) as refused:
        from_json(b"x" * 100_000)
    assert len(str(refused.value)) < 120


def test_body_at_the_limit_of_levels_is_read() -> None:
    assert "a" in from_json(nested(99))


def test_whole_surrogate_pair_is_one_letter() -> None:
    assert from_json(rb'{"a":"\ud83d\ude00"}') == {"a": "😀"}


def test_byte_order_mark_and_spaces_are_no_harm() -> None:
    assert from_json(b'\xef\xbb\xbf {"a": 1} ') == {"a": 1}


@given(OBJECTS)
def test_object_survives(value: dict[str, Any]) -> None:
    assert from_json(json.dumps(value).encode()) == value


@given(st.binary() | st.builds(lambda value: json.dumps(value).encode(), OBJECTS | st.text() | st.floats()))
def test_nothing_but_bad_payload_is_ever_raised(body: bytes) -> None:
    try:
        value = from_json(body)
    except BadPayload:
        return
    json.dumps(value, allow_nan=False).encode()


# Queries


def test_nested_members_of_a_query_are_opened_and_others_stay_text() -> None:
    query = {"dtmf": '{"digits":"3","timed_out":true}', "price": "0.5", "from": "{x}", "speech": " [1]"}
    assert from_query(query) == {
        "dtmf": {"digits": "3", "timed_out": True},
        "price": "0.5",
        "from": "{x}",
        "speech": [1],
    }


@pytest.mark.parametrize("text", ["3", "", "{", '{"a":NaN}', '{"a":1e999}', "[" * 100_000])
def test_member_of_a_query_that_cannot_be_opened_stays_text(text: str) -> None:
    assert from_query({"dtmf": text}) == {"dtmf": text}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"dtmf": '{"digits":"3"}', "speech": "{}", "x": "{"}, []),
        ({"dtmf": "3", "speech": "", "custom_data": "abc"}, []),
        ({"dtmf": '{"digits":', "speech": "error", "payload": "7"}, ["dtmf", "speech", "payload"]),
    ],
    ids=["whole", "plain", "broken"],
)
def test_member_that_should_be_json_and_is_none_is_told(query: dict[str, str], names: list[str]) -> None:
    told = [f"{name}: expected JSON, got text, which is kept as it came" for name in names]
    assert list(unopened(from_query(query))) == told


@pytest.mark.parametrize(
    "query", [{"a": "\0"}, {"\0": "a"}, {"dtmf": r'{"digits":"\u0000"}'}, {"dtmf": '{"a":"\ud800"}'}]
)
def test_query_that_cannot_be_kept_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadPayload, match="expected"):
        from_query(query)


@given(st.dictionaries(st.sampled_from(["dtmf", "payload", "headers", "uuid", "x"]), st.text()))
def test_no_query_raises_anything_but_bad_payload(query: dict[str, str]) -> None:
    with suppress(BadPayload):
        assert from_query(query).keys() == query.keys()


# Repeats


@given(OBJECTS, st.randoms())
def test_digest_does_not_depend_on_order_or_spaces(value: dict[str, Any], chance: Any) -> None:
    def shuffled(inner: Any) -> Any:
        if isinstance(inner, dict):
            items = [(name, shuffled(each)) for name, each in inner.items()]
            chance.shuffle(items)
            return dict(items)
        return [shuffled(each) for each in inner] if isinstance(inner, list) else inner

    again = json.dumps(shuffled(value), indent=2, ensure_ascii=chance.random() < 0.5)
    assert digest(from_json(again.encode())) == digest(value)


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": [1]}, {"a": 1, "b": None}, {"A": 1}, {}])
def test_digest_of_another_body_is_another_one(other: dict[str, Any]) -> None:
    assert digest({"a": 1}) != digest(other)


def test_digest_tells_lists_in_another_order_apart() -> None:
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def test_digest_is_the_sha_256_of_the_sorted_compact_json() -> None:
    assert digest({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()
