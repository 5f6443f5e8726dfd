"""A tiny application on each server's real process, which must not have complained in the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import Deployment, Process, free_port


@pytest.fixture(scope="module", params=("daphne", "uvicorn"))
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    deployment, port = Deployment(tmp_path_factory.mktemp("tiny")), free_port()
    started = deployment.start(["-m", "tests.tiny", request.param, str(port)], {}, port)
    started.wait_until_it_answers("/")
    yield started
    said = started.said()
    deployment.close()
    assert "Traceback" not in said
    assert "ERROR" not in said
