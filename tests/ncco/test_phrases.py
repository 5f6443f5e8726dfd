"""What callers say against the phrases of a menu: forgiving, and never confused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.ncco.phrases import meant, words

MENU = ("sales", "support", "technical support", "reservations", "opening hours", "Größe", "voicemail", "yes", "no")


@pytest.mark.parametrize(
    ("said", "phrase"),
    [
        ("sales", "sales"),
        ("SALES.", "sales"),
        ("¡Sales!", "sales"),
        ("I would like sales please", "sales"),
        ("  well,sales ", "sales"),
        # Small slips: a letter wrong, missing or added, two swapped, vowels that sound alike.
        ("suport", "support"),
        ("supoort", "support"),
        ("supprot", "support"),
        ("sails", "sales"),
        ("reservation", "reservations"),
        ("I want to talk to the suport team", "support"),
        ("openning ours", "opening hours"),
        ("openning hours", "opening hours"),
        # Where words are cut.
        ("voice mail", "voicemail"),
        ("my voice mail please", "voicemail"),
        ("techni cal support", "technical support"),
        # Accents and other ways to write.
        ("große", "Größe"),
        ("GROSSE", "Größe"),
        ("gro\u0308ße", "Größe"),
        # The best one, not the first.
        ("technical support", "technical support"),
        ("technical suport please", "technical support"),
        # Other words.
        ("whales", None),
        ("the bakery", None),
        ("", None),
        ("...", None),
    ],
)
def test_caller_means(said: str, phrase: str | None) -> None:
    assert meant(said, MENU) == ([phrase] if phrase else [])


@pytest.mark.parametrize(("said", "phrase"), [("yes", "yes"), ("Yes.", "yes"), ("no", "no"), ("no thanks", "no")])
def test_short_phrases_are_understood_as_they_are(said: str, phrase: str) -> None:
    assert meant(said, MENU) == [phrase]


@pytest.mark.parametrize("said", ["yet", "yesterday", "know", "now", "not", "nose", "ye", "on", "none", "I don't know"])
def test_short_phrases_have_no_slips(said: str) -> None:
    assert meant(said, MENU) == []


def test_two_phrases_in_one_utterance_are_both_told() -> None:
    assert sorted(meant("yes no", MENU)) == ["no", "yes"]
    assert sorted(meant("sales, no, support", MENU)) == ["no", "sales", "support"]


def test_phrase_that_fits_exactly_stands_against_one_that_nearly_does() -> None:
    assert meant("sales order", ("orders", "sales")) == ["sales"]
    assert meant("cells", ("cells", "sells", "sales")) == ["cells"]


def test_first_of_two_that_are_the_same_counts() -> None:
    assert meant("Sales", ("SALES", "sales")) == ["SALES"]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("two", "2"),
        ("2", "2"),
        ("number two please", "2"),
        ("Press 2.", "2"),
        ("option two", "2"),
        ("one two three", "123"),
        ("1-2-3", "123"),
        ("12 three", "123"),
        ("star nine hash", "*9#"),
        ("*9#", "*9#"),
    ],
)
def test_digits_can_be_said(said: str, key: str) -> None:
    assert meant(said, ("1", "2", "123", "*9#", "sales")) == [key]


@pytest.mark.parametrize("said", ["one of your staff", "no one", "twelve", "two or one", "to", "sales 2 go now"])
def test_digit_among_other_words_is_none(said: str) -> None:
    assert meant(said, ("1", "2", "12")) == []


def test_digit_in_a_phrase_must_be_the_same() -> None:
    assert meant("room twelve line one", ("line 1", "line 2")) == ["line 1"]
    assert meant("line three", ("line 1", "line 2")) == []
    assert meant("number 2", ("two", "number two")) == ["number two"]


@pytest.mark.parametrize(
    ("said", "phrases", "phrase"),
    [
        ("我想要销售", ("销售", "技术"), "销售"),
        ("ขอฝ่ายขายหน่อย", ("ฝ่ายขาย", "ฝ่ายเทคนิค"), "ฝ่ายขาย"),
        ("Продажи, пожалуйста", ("продажи", "поддержка"), "продажи"),
        ("판매 부탁합니다", ("판매", "지원"), "판매"),
        ("बिक्री चाहिए", ("बिक्री",), "बिक्री"),
    ],
)
def test_every_script_is_understood(said: str, phrases: tuple[str, ...], phrase: str) -> None:
    assert meant(said, phrases) == [phrase]


def test_phrase_without_letters_is_never_meant() -> None:
    assert meant("", ("", "...", "!?")) == []
    assert meant("...", ("", "...", "!?")) == []


def test_apostrophes_do_not_cut_words() -> None:
    assert words("I don't know, l’été") == ("i", "dont", "know", "lete")


@pytest.mark.parametrize("said", ["a" * 100_000, "sales " * 20_000, "s a l e s " * 20_000])
def test_long_utterance_takes_no_time(said: str) -> None:
    assert meant(said, ("sale", "reservations of tables", "x" * 200)) in ([], ["sale"])


@given(st.text(max_size=30))
def test_every_phrase_with_a_letter_means_itself(phrase: str) -> None:
    if words(phrase):
        assert meant(phrase, (phrase,)) == [phrase]
    assert meant(phrase, ("yes", "no")) in ([], ["yes"], ["no"], ["yes", "no"])
