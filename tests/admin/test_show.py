from __future__ import annotations

import pytest

from callflows.admin.call_page import offset
from callflows.admin.show import duration, moment, phone, pretty, readable
from tests import dates


@pytest.mark.parametrize(
    ("digits", "read"),
    [
        ("447700900123", "+44 7700 900123"),
        ("+447700900123", "+44 7700 900123"),
        ("442079460123", "+44 20 7946 0123"),
        ("441632960123", "+44 1632 960123"),
        ("15550101234", "+1 555 010 1234"),
        ("4930123456", "+4930123456"),
        ("anonymous", "anonymous"),
        ("sip:a@b.example", "sip:a@b.example"),
        ("", ""),
    ],
)
def test_number_is_read_as_people_group_it(digits: str, read: str) -> None:
    assert readable(digits) == read


def test_number_is_copied_as_digits() -> None:
    html = phone("447700900123")
    assert "".join(html.replace("<", ">").split(">")[2::2]).replace("span", "").replace("/", "") == "447700900123"


def test_texts_of_callers_are_escaped() -> None:
    assert phone("<script>") == "&lt;script&gt;"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "–"), (0, "0:00"), (67.4, "1:07"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_duration_reads_as_minutes_and_seconds(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0"), (12.34, "12.3"), (67.54, "1:07.5"), (59.99, "1:00.0"), (-0.2, "-0.2"), (-0.01, "0.0")],
)
def test_offset_is_in_tenths(seconds: float, shown: str) -> None:
    assert offset(seconds) == shown


def test_moment_names_its_zone() -> None:
    at = dates.SUMMER
    html = moment(at, "Europe/London")
    assert '1 Jul 2024, 13:00 <span class="zone">BST</span>' in html
    assert 'title="2024-07-01 13:00:05.123 Europe/London"' in html
    assert "UTC" in moment(at, "Nowhere/At All")


def test_json_is_readable_and_shows_no_secret() -> None:
    shown = pretty(
        {"text": "Grüße", "uri": "wss://a/socket/abc_1-2/tok:en-1", "url": "https://a/webhooks/events/x:y-z"}
    )
    assert "Grüße" in shown
    assert "wss://a/socket/abc_1-2/…" in shown
    assert "https://a/webhooks/events/…" in shown
    assert pretty("https://a/sounds/7-20260101:x-Y.wav") == '"https://a/sounds/….wav"'
