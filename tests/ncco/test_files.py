"""A file's bytes: what is no JSON is one error, what readers disagree about is a warning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.files import parse


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected JSON, got nothing at line 1, column 1"),
        (b" \n ", "expected JSON, got nothing at line 2, column 2"),
        (b'[{"action":\n  talk}]', "expected JSON, got 'talk}]' at line 2, column 3"),
        (b'[{"action": "talk"', "expected JSON, got its end at line 1, column 19"),
        (b"[] []", "expected JSON, got '[]' at line 1, column 4"),
        (b"[NaN]", "expected JSON, got NaN, which is no number in JSON"),
        (b"[-Infinity]", "expected JSON, got -Infinity, which is no number in JSON"),
        (b'["caf\xe9"]', "expected UTF-8, got the byte 0xe9 at 5"),
        ("[]".encode("utf-16"), "expected UTF-8, got the byte 0xff at 0"),
        (b"[" * 200_000, "expected an NCCO, got JSON nested far too deep"),
    ],
)
def test_what_is_no_json_is_one_error_of_the_whole(raw: bytes, message: str) -> None:
    document, (found,) = parse(raw)
    assert (document, found.path, found.severity, found.message) == (None, "$", "error", message)
    assert found.source


def test_number_without_end_is_one_error() -> None:
    document, (found,) = parse(b"[" + b"9" * 5000 + b"]")
    assert (document, found.path, found.severity) == (None, "$", "error")


def test_byte_order_mark_is_warned_of() -> None:
    document, (found,) = parse(b"\xef\xbb\xbf[]")
    assert (document, found.path, found.severity) == ([], "$", "warning")


def test_name_that_comes_twice_is_warned_of_where_it_is_and_the_last_counts() -> None:
    document, found = parse(b'[{"a": 1, "b c": [{"d": 1, "d": 2, "d": 3}], "a": 2, "b": [1]}]')
    assert document == [{"a": 2, "b c": [{"d": 3}], "b": [1]}]
    assert [(each.path, each.severity) for each in found] == [
        ("$[0].a", "warning"),
        ('$[0]["b c"][0].d', "warning"),
    ]


@given(st.binary())
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    document, found = parse(raw)
    assert document is None or not any(each.severity == "error" for each in found)
