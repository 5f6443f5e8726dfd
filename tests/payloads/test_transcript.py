"""Knows that a transcript is read as sentences, whatever it leaves out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.payloads.transcript import Sentence, sentences

FIXTURE = Path(__file__).parent / "downloads" / "transcript.json"


def test_fixture_is_one_sentence_with_its_time() -> None:
    assert sentences(json.loads(FIXTURE.read_text())) == (Sentence(1, 1.24, "Please call me back."),)


def said(channel: list[Any]) -> tuple[Sentence, ...]:
    return sentences({"channels": [{"transcript": channel}]})


def test_channels_are_told_apart_and_stand_in_the_order_of_speaking() -> None:
    asked, thanked = {"sentence": "Who is it?", "timestamp": 0}, {"sentence": "Thank you.", "timestamp": 4000}
    answered = {"sentence": "It is me.", "timestamp": 1500}
    found = sentences({"channels": [{"transcript": [asked, thanked]}, {"transcript": [answered]}]})
    assert [(each.channel, each.seconds, each.text) for each in found] == [
        (1, 0.0, "Who is it?"),
        (2, 1.5, "It is me."),
        (1, 4.0, "Thank you."),
    ]


def test_raw_sentence_stands_in_for_a_missing_one() -> None:
    assert said([{"raw_sentence": "call me", "timestamp": 10}, {"sentence": " ", "raw_sentence": "back"}]) == (
        Sentence(1, None, "back"),
        Sentence(1, 0.01, "call me"),
    )


@pytest.mark.parametrize("time", [None, "soon", -1, math.inf, math.nan, 1e12, 10**400, [], {}])
def test_time_that_is_none_is_left_out(time: Any) -> None:
    assert said([{"sentence": "Hello.", "timestamp": time}]) == (Sentence(1, None, "Hello."),)


def test_time_as_text_is_a_time() -> None:
    assert said([{"sentence": "Hello.", "timestamp": "1240"}]) == (Sentence(1, 1.24, "Hello."),)


@pytest.mark.parametrize(
    "transcript",
    [
        *(None, [], "text", {}, {"channels": None}, {"channels": [None, 3, {}]}),
        *({"channels": [{"transcript": "text"}]}, {"channels": [{"transcript": [None, "text", {}, {"sentence": 3}]}]}),
    ],
)
def test_what_is_not_understood_is_left_out(transcript: Any) -> None:
    assert sentences(transcript) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["channels", "transcript", "sentence", "timestamp"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_an_error(transcript: Any) -> None:
    assert all(each.text for each in sentences(transcript))
