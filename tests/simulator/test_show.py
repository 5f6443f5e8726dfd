"""Knows the screen of a fake call: its lines, its levels, and that it bears a reader who goes away."""

from __future__ import annotations

import io

from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.show import Screen

FRAME = to_int16(tone(500, 0.02, 8000, -20)).tobytes()
NOTE = Note(1.5, "talk", "phone", "Hello.", {}, "0123456789abcdef")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_has_its_time_its_leg_and_what_happens() -> None:
    out = io.StringIO()
    Screen(out)(NOTE)
    assert out.getvalue() == "   1.500  phone      talk     Hello.\n"


def test_with_several_callers_each_line_and_level_names_its_leg() -> None:
    out = io.StringIO()
    screen = Screen(out, several=True)
    screen(NOTE)
    for _ in range(50):
        screen(Heard(FRAME, 8000, "mix", "aaaaaaaa"))
        screen(Heard(bytes(320), 8000, "mix", "bbbbbbbb"))
    first, levels = out.getvalue().splitlines()[:2]
    assert "012345  phone" in first
    assert "aaaaaa hears [############........]  -23 dBFS" in levels
    assert "bbbbbb hears [....................]  silence" in (levels + out.getvalue())


def test_levels_are_rewritten_in_place_on_a_terminal() -> None:
    out = Terminal()
    screen = Screen(out)
    for _ in range(5):
        screen(Said(FRAME, 8000))
    screen(NOTE)
    screen.close()
    text = out.getvalue()
    assert text.startswith("\r          says [############........]  -23 dBFS")
    assert text.count("\n") == 1
    assert text.endswith("Hello.\n")


def test_a_reader_who_goes_away_is_told_once_and_nothing_more_is_written() -> None:
    told: list[int] = []
    screen = Screen(Gone(), gone=lambda: told.append(1))
    screen(NOTE)
    screen(NOTE)
    screen.close()
    assert (told, screen.broken) == ([1], True)
