"""Knows what may not be read in a log, on a page or in a stored event: what would let its reader in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.core import signing

from callflows.payloads.tokens import without_tokens
from tests.signing import bearer

TOKEN = signing.dumps([1, 2, "menu", 1], salt="test")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"wss://a.example/socket/4vQ_x-1/{TOKEN}", "wss://a.example/socket/4vQ_x-1/…"),
        (f"wss://a.example/socket/4vQ_x-1/{TOKEN}/?a=1", "wss://a.example/socket/4vQ_x-1/…/?a=1"),
        (f"https://a.example/webhooks/events/{TOKEN}", "https://a.example/webhooks/events/…"),
        (f"GET /webhooks/answer/{TOKEN}?to=1 200", "GET /webhooks/answer/…?to=1 200"),
        (f"'/sounds/7-20260101:{TOKEN}.wav'", "'/sounds/….wav'"),
        (rf'{{"url":"https:\/\/a\/webhooks\/events\/{TOKEN}"}}', r'{"url":"https:\/\/a\/webhooks\/events\/…"}'),
        (f"Authorization: {bearer(b'')}", "Authorization: Bearer …"),
        ("/webhooks/events/ and /socket/4vQ/ and /sounds/", "/webhooks/events/ and /socket/4vQ/ and /sounds/"),
        ("/webhooks/fallback/x, keyJobs.a.b", "/webhooks/fallback/x, keyJobs.a.b"),
    ],
    # The tokens carry the time: names made of them would differ between test processes.
    ids=range(9),
)
def test_token_is_cut_and_its_place_stays(text: str, kept: str) -> None:
    assert without_tokens(text) == kept
    assert without_tokens(kept) == kept


@pytest.mark.parametrize("path", ["/socket/4vQ/", "/webhooks/events/", "/webhooks/answer/", "/sounds/"])
@pytest.mark.parametrize("times", [1, 2])
def test_token_is_cut_out_of_encoded_addresses(path: str, times: int) -> None:
    address = f"https://a.example{path}{TOKEN}"
    for _ in range(times):
        address = quote(address, safe="")
    assert TOKEN.partition(":")[0] not in without_tokens(f"GET /webhooks/answer?to={address}&from=1")
    assert without_tokens(f"?to={address}&from=1").endswith("…&from=1")


@pytest.mark.parametrize("hiding", ["\0", "%00", "%2500", r"\x00", "\x1b", "%7f", "x%0a", "\x01\x02"])
@pytest.mark.parametrize("path", ["/socket/4vQ{}/", "/socket/4vQ/{}", "/webhooks/events/{}", "/sounds/{}"])
def test_nothing_that_nobody_prints_hides_a_token(path: str, hiding: str) -> None:
    assert TOKEN.partition(":")[0] not in without_tokens(f"GET {path.format(hiding)}{TOKEN} 404")


def test_tokens_are_cut_out_of_parsed_json() -> None:
    address = f"/socket/abc/{TOKEN}"
    value: dict[str, Any] = {"a": [address, 1, None], "b": {"c": address}, "d": True}
    assert without_tokens(value) == {"a": ["/socket/abc/…", 1, None], "b": {"c": "/socket/abc/…"}, "d": True}
    assert value["a"][0] == address


def test_custom_authorization_of_a_socket_is_cut() -> None:
    for given, kept in (
        ({"type": "custom", "value": "Bearer abc123"}, {"type": "custom", "value": "…"}),
        ({"type": "vonage"}, {"type": "vonage"}),
        ("vonage", "vonage"),
    ):
        assert without_tokens([{"endpoint": [{"authorization": given}]}]) == [{"endpoint": [{"authorization": kept}]}]


def test_mark_can_be_chosen() -> None:
    assert without_tokens(f"/socket/abc/{TOKEN}", "(token)") == "/socket/abc/(token)"
