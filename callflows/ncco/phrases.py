"""Knows which of a flow's phrases a caller meant: whatever the case, punctuation and accents, and small slips."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# English words for keys: "two" is the 2 of a menu, also inside a phrase ("line two").
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_KEYS = {**{word: str(digit) for digit, word in enumerate(_DIGITS)}, "star": "*", "hash": "#"}
# What callers say around a key. With any other word they do not mean the key: "one of your staff" is not 1.
_AROUND_A_KEY = re.compile(
    "a|button|choice|choose|dial|enter|for|i|id|is|it|its|key|like|number|option|please|press|select|take|thanks|the|"
    "uh|um|want|would|yes"
)
# A word has one slip for every four letters; below five letters none, or "yes" and "yet", "no" and "now" were one.
_LETTERS_PER_SLIP = 4
_SLIP_FROM = 5
# A slip in a vowel counts half: recognition writes "sails" for "sales" more often than "snails".
_VOWELS = frozenset("aeiouy")
_SLIP = 2
# More than anybody says to a menu.
_CHARACTERS = 1000

# Accents on Latin, Greek and Cyrillic letters. Marks of other scripts are vowels, and stay.
_ACCENTS = re.compile("[\u0300-\u036f]+")
# Scripts without spaces between words: each sign is a word of its own.
_SIGNS = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


@dataclass(frozen=True, slots=True)
class _Heard:
    """A phrase found in an utterance: from which word up to which, and how well."""

    phrase: str
    start: int
    end: int
    letters: int
    slips: int

    @property
    def score(self) -> float:
        """More letters fit better; three letters more do not outweigh a slip."""
        return self.letters - 3 * self.slips / _SLIP

    def apart(self, other: _Heard) -> bool:
        return self.end <= other.start or other.end <= self.start


def meant(text: str, phrases: Iterable[str]) -> list[str]:
    """Return the phrases that a caller may have meant with ``text``, the best fitting first.

    A phrase counts also inside a longer utterance. Of phrases that share words the best fitting one counts ("technical
    support" rather than "support"); more than one is returned when each was said in words of its own. Digits are meant
    when nothing else is, and only by themselves ("two", "number 2 please").
    """
    said = words(text[:_CHARACTERS])
    found = sorted((heard for phrase in phrases if (heard := _find(phrase, said))), key=lambda each: -each.score)
    if not found:
        keys = "".join(word for word in said if not _AROUND_A_KEY.fullmatch(word))
        return [phrase for phrase in phrases if keys and phrase == keys]
    best = found[0]
    return [each.phrase for each in found if each is best or (each.slips <= best.slips and each.apart(best))]


@lru_cache(maxsize=1024)
def words(text: str) -> tuple[str, ...]:
    """Return what is said in ``text``, in a form that is the same for all ways to write it."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    plain = _SIGNS.sub(r" \1 ", unicodedata.normalize("NFC", plain))
    joined = "".join(map(_written, plain.replace("'", "").replace("’", "")))
    return tuple(_KEYS.get(word, word) for word in joined.split())


def _written(sign: str) -> str:
    return sign if unicodedata.category(sign)[0] in "LNM" or sign in "*#" else " "


def _find(phrase: str, said: Sequence[str]) -> _Heard | None:
    """Return where ``phrase`` fits best; a branch's digits are no phrase."""
    wanted = words(phrase)
    if not wanted or set(phrase) <= set("0123456789*#"):
        return None
    found = [
        _Heard(phrase, start, end, sum(map(len, wanted)), slips)
        for start, end in _stretches(len(said), len(wanted))
        if (slips := _slips(wanted, said[start:end])) is not None
    ]
    return max(found, key=lambda each: each.score, default=None)


def _stretches(length: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of an utterance that can be a phrase of ``wanted`` words, or of one more or less."""
    for size in (wanted, wanted - 1, wanted + 1):
        yield from ((start, start + size) for start in range(length - size + 1) if size)


def _slips(wanted: Sequence[str], heard: Sequence[str]) -> int | None:
    """Return by how many slips two sequences of words differ, None when they are something else.

    Where recognition cuts words ("voice mail") is no difference.
    """
    if len(wanted) != len(heard):
        return 0 if "".join(wanted) == "".join(heard) else None
    total = 0
    for one, other in zip(wanted, heard, strict=True):
        if one == other:
            continue
        allowed = _allowed(one)
        # A letter more costs a half at least: words of other lengths need no measuring.
        if abs(len(one) - len(other)) > allowed or (slips := _distance(one, other)) > allowed:
            return None
        total += slips
    return total


def _allowed(word: str) -> int:
    """Names with digits ("line 1", "line 2") must fit exactly."""
    if len(word) < _SLIP_FROM or any(letter.isdigit() for letter in word):
        return 0
    return _SLIP * (len(word) // _LETTERS_PER_SLIP)


def _distance(one: str, other: str) -> int:
    """Return the edit distance of two words, in half slips: letters left out, added, exchanged, or swapped."""
    before: list[int] = []
    row = [0]
    for letter in other:
        row.append(row[-1] + _weight(letter))
    for place, letter in enumerate(one):
        above, row = row, [row[0] + _weight(letter)]
        for at, heard in enumerate(other):
            exchanged = above[at] + (0 if letter == heard else max(_weight(letter), _weight(heard)))
            best = min(exchanged, above[at + 1] + _weight(letter), row[at] + _weight(heard))
            if place and at and letter == other[at - 1] and one[place - 1] == heard:
                best = min(best, before[at - 1] + _SLIP)
            row.append(best)
        before = above
    return row[-1]


def _weight(letter: str) -> int:
    return 1 if letter in _VOWELS else _SLIP
