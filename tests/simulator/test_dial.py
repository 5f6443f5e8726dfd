"""Knows which addresses a fake call reaches."""

from __future__ import annotations

import pytest

from callflows.simulator.dial import Dial, NotDialled

LOCAL = Dial("http://127.0.0.1:8000", "https://calls.example")


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("http://127.0.0.1:8000/webhooks/answer", "http://127.0.0.1:8000/webhooks/answer"),
        ("https://calls.example/webhooks/events/a:b", "http://127.0.0.1:8000/webhooks/events/a:b"),
        ("wss://calls.example/socket/7/token?x=1", "ws://127.0.0.1:8000/socket/7/token?x=1"),
        ("ws://localhost:8000/socket/7/token", "ws://127.0.0.1:8000/socket/7/token"),
    ],
)
def test_the_servers_own_addresses_are_dialled_at_the_server(url: str, dialled: str) -> None:
    assert LOCAL(url) == dialled


def test_a_server_behind_tls_gets_sockets_behind_tls() -> None:
    assert Dial("https://calls.example")("wss://calls.example/socket/7") == "wss://calls.example/socket/7"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/", "wss://elsewhere.example/", "http://calls.example:8000/"])
def test_other_hosts_are_refused(url: str) -> None:
    with pytest.raises(NotDialled, match="is another host"):
        LOCAL(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", ""])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(NotDialled, match="expected an http"):
        LOCAL(url)
