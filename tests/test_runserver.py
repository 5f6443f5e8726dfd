"""`manage.py runserver`: what Django's developers start first serves pages, static files, webhooks and sockets."""

from __future__ import annotations

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.services import Deployment, Process, free_port, status

pytestmark = pytest.mark.process


def run(deployment: Deployment, *words: str, **environment: str) -> Process:
    port = free_port()
    process = deployment.start(["runserver", *words, str(port)], environment, port)
    process.wait_until_it_answers()
    return process


async def refusal(process: Process, path: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await connect(process.url.replace("http", "ws") + path)
    return refused.value.response.status_code


@pytest.mark.parametrize("debug", ["0", "1"])
async def test_socket_is_refused_by_us_and_pages_have_their_style(on_sqlite: Deployment, debug: str) -> None:
    process = run(on_sqlite, "--noreload", DEBUG=debug)
    assert await refusal(process, "/socket/line/not-a-token") == 403
    assert "the token is not one of ours" in process.said()
    assert await refusal(process, "/other") == 403
    assert [status(process.url + path) for path in ("/admin/login/", "/static/callflows/admin.css")] == [200, 200]
    assert process.stop() == 0
    assert "not-a-token" not in process.said()


def test_call_is_echoed_while_code_is_watched(on_sqlite: Deployment) -> None:
    on_sqlite.fork = False
    process = run(on_sqlite)
    assert "Watching for file changes" in process.said()
    words = ("--to", "447700900001", "--server", process.url, "--seconds", "1", "--json")
    done = on_sqlite.manage("simulate_call", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["heard"]["frames"] > 20
