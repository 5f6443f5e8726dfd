"""Knows which addresses a fake call reaches."""

from __future__ import annotations

import pytest

from callflows.simulator.dial import Dial, NotDialled, host_of

LOCAL = Dial("http://127.0.0.1:8000", "https://calls.example")


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("http://127.0.0.1:8000/webhooks/answer", "http://127.0.0.1:8000/webhooks/answer"),
        ("https://calls.example/webhooks/events/a:b", "http://127.0.0.1:8000/webhooks/events/a:b"),
        ("wss://calls.example/socket/7/token?x=1", "ws://127.0.0.1:8000/socket/7/token?x=1"),
        ("ws://localhost:8000/socket/7/token", "ws://127.0.0.1:8000/socket/7/token"),
        # Servers that ask for their own host get no port, and do not know of TLS before them.
        ("wss://127.0.0.1/socket", "ws://127.0.0.1:8000/socket"),
        ("ws://calls.example/s", "ws://127.0.0.1:8000/s"),
        ("http://calls.example/ncco", "http://127.0.0.1:8000/ncco"),
        ("https://calls.example:443/ncco", "http://127.0.0.1:8000/ncco"),
    ],
)
def test_the_servers_own_addresses_are_dialled_at_the_server(url: str, dialled: str) -> None:
    assert LOCAL(url) == dialled


def test_a_server_behind_tls_gets_sockets_behind_tls() -> None:
    assert Dial("https://calls.example")("wss://calls.example/socket/7") == "wss://calls.example/socket/7"

    assert Dial("https://calls.example")("ws://calls.example/socket/7") == "wss://calls.example/socket/7"


@pytest.mark.parametrize("url", ["wss://elsewhere.example/", "http://calls.example:8000/", "ws://192.0.2.1/"])
def test_other_hosts_are_refused_until_they_are_allowed(url: str) -> None:
    with pytest.raises(NotDialled, match=r"is another host: .* --allow-host [a-z0-9.]+$"):
        LOCAL(url)
    allowed = Dial(
        LOCAL.server, LOCAL.public_url, allowed=frozenset({"elsewhere.example", "calls.example", "192.0.2.1"})
    )
    assert (allowed(url), allowed.elsewhere(url)) == (url, True)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8856/ws", "http://localhost:9000/", "wss://[::1]:9001/x"])
def test_another_server_of_this_machine_is_reached_as_it_is_called(url: str) -> None:
    assert (LOCAL(url), LOCAL.elsewhere(url)) == (url, True)


def test_host_is_told_as_it_was_asked_for() -> None:
    assert host_of("https://calls.example/x?y@z") == "calls.example"
    assert host_of("ws://me:secret@127.0.0.1:8000/x") == "127.0.0.1:8000"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", "", "http:///x", "ws:"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(NotDialled, match="expected an http"):
        LOCAL(url)
