"""Which server the tests of the audio socket stand for: one with the short way, as ours, unless they ask for both."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[True, False], ids=["short", "asgi"])
def each_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on both kinds of server."""
    monkeypatch.setattr("tests.consumers.vonage.SHORT", request.param)
