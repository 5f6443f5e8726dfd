"""Foreign sound is decoded in a process that takes nobody with it when it stands, dies, or wants too much."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest

from callflows.audio import apart
from callflows.audio.apart import BEGIN, BUSY, DIED, check_apart, convert_apart, seconds_apart
from callflows.audio.files import convert
from callflows.audio.format import AudioError
from tests.audio import odd
from tests.sparing import ASKED_APART

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _asked_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_ask", ASKED_APART)


WAV = odd.encoded(odd.noise(0.5))


def doing(code: str, monkeypatch: pytest.MonkeyPatch, seconds: tuple[int, float] = (10, 30)) -> Any:
    """Return what the other process finds whose work is ``code``, an expression."""
    work = f"from callflows.audio import apart; apart.work = lambda *given: {code}; apart.main(sys.argv[2])"
    monkeypatch.setattr(apart, "BEGIN", BEGIN.partition("from")[0] + "import os, time; " + work)
    monkeypatch.setattr(apart, "CHECK_SECONDS", seconds)
    return ASKED_APART({"work": "check"}, io.BytesIO(WAV), seconds)


def test_what_is_right_passes_and_what_is_wrong_gets_its_sentence() -> None:
    check_apart(io.BytesIO(WAV), 3.0)
    with pytest.raises(AudioError, match=r"^The sound is 0:01 long, at most 0:00 allowed\.$"):
        check_apart(io.BytesIO(WAV), 0.0)


def test_sound_is_the_same_as_here(tmp_path: Path) -> None:
    here = {rate: io.BytesIO() for rate in (8000, 16000)}
    expected, told = convert(io.BytesIO(WAV), 3.0, here), list[float]()
    with (tmp_path / "8").open("w+b") as low, (tmp_path / "16").open("w+b") as high:
        found = convert_apart(io.BytesIO(WAV), 3.0, {8000: low, 16000: high}, told.append)
        assert {8000: Path(low.name).read_bytes(), 16000: Path(high.name).read_bytes()} == {
            rate: file.getvalue() for rate, file in here.items()
        }
    assert found == expected
    assert told[-1] == 1.0


def test_length_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(WAV)
    assert seconds_apart(tmp_path / "x") == 0.5
    (tmp_path / "x").write_bytes(b"no sound")
    assert seconds_apart(tmp_path / "x") is None


@pytest.mark.parametrize(
    ("code", "seconds", "told"),
    [
        ("[None for _ in iter(int, 1)]", (1, 60), BUSY),
        ("time.sleep(100)", (10, 0.5), BUSY),
        ("bytes(3 << 30)", (10, 60), BUSY),
        ("os.abort()", (10, 60), DIED),
        ("os._exit(0)", (10, 60), DIED),
        ("1 / 0", (10, 60), DIED),
    ],
)
def test_decoder_that_stands_or_dies_ends_alone(
    code: str, seconds: tuple[int, float], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    with pytest.raises(AudioError) as refused:
        doing(code, monkeypatch, seconds)
    assert str(refused.value) == told
    assert time.monotonic() - begun < 60


def test_secrets_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for others")
    assert "SECRET_KEY" not in doing("dict(os.environ)", monkeypatch)
