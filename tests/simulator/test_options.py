"""Knows in how many forms an option may come that Vonage takes."""

from __future__ import annotations

import pytest

from callflows.simulator.options import flag, number, text


@pytest.mark.parametrize(("value", "read"), [(None, 2.0), (True, 2.0), (False, 2.0), ("0.5", 0.5), (3, 3.0)])
def test_a_number_may_be_quoted_and_a_flag_is_none(value: object, read: float) -> None:
    assert number(value, 2.0) == read


@pytest.mark.parametrize(("value", "read"), [("a", "a"), (["a"], "a"), ([], ""), (None, ""), ("", "")])
def test_a_text_may_stand_in_a_list(value: object, read: str) -> None:
    assert text(value) == read


@pytest.mark.parametrize(
    ("value", "on"), [(True, True), ("true", True), (False, False), ("false", False), (None, False)]
)
def test_a_flag_may_be_quoted(value: object, on: bool) -> None:
    assert flag(value) is on
