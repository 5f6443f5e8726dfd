"""The formats that the socket offers, and how they are named."""

from __future__ import annotations

import pytest

from callflows.audio.format import AudioError, Format


@pytest.mark.parametrize(("rate", "samples", "size"), [(8000, 160, 320), (16000, 320, 640), (24000, 480, 960)])
def test_a_frame_lasts_20_ms(rate: int, samples: int, size: int) -> None:
    fmt = Format(rate)
    assert (fmt.frame_samples, fmt.frame_bytes, fmt.silence) == (samples, size, bytes(size))


@pytest.mark.parametrize("rate", [0, 11025, 44100, 48000])
def test_a_rate_that_vonage_does_not_offer_is_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=f"expected 8000, 16000 or 24000 samples per second, got {rate}"):
        Format(rate)


@pytest.mark.parametrize("text", ["audio/l16;rate=16000", "audio/l16; rate=16000", " AUDIO/L16 ;Rate = 16000 "])
def test_a_content_type_is_read_whatever_its_spaces_and_case(text: str) -> None:
    assert Format.parse(text) == Format(16000)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_a_content_type_survives_writing_and_reading(rate: int) -> None:
    assert Format.parse(Format(rate).content_type) == Format(rate)


@pytest.mark.parametrize("text", [None, 16000, "", "audio/wav", "audio/l16", "audio/l16;rate=-8000", "audio/l16;rate="])
def test_a_content_type_of_anything_else_is_refused(text: object) -> None:
    with pytest.raises(AudioError, match="content-type: expected 'audio/l16;rate=16000', got"):
        Format.parse(text)
