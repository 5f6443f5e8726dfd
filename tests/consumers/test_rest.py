"""Knows that a Vonage that hangs holds up neither the end of a socket for long, nor other sockets at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.test import Client

from callflows import live, open_socket
from callflows.models import Line
from tests.consumers.test_audio import frame, noted, path_of, socket
from tests.rest_server import Reply, RestServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hanging() -> Iterator[None]:
    """Every thread that waits for Vonage is stuck, and more work waits for each."""
    ending = threading.Event()
    stuck = [open_socket.REST.submit(lambda: ending.wait(30)) for _ in range(12)]
    yield
    ending.set()
    for each in stuck:
        each.result(30)


@pytest.fixture
def path(vonage: RestServer, client: Client) -> str:
    return path_of(client)


async def test_new_sockets_are_let_in_while_vonage_hangs(path: str, hanging: None) -> None:
    async with socket(path) as caller:
        for value in range(20):
            await caller.send_to(bytes_data=frame(value))
            assert await caller.receive_from(5) == frame(value)


async def test_socket_is_closed_when_vonage_does_not_answer(path: str, hanging: None) -> None:
    with patch.object(open_socket, "REST_SECONDS", 0.2):
        async with socket(path) as caller:
            await noted("Open")
            await live.command(path.split("/")[2], "hang_up")
            assert (await caller.receive_output(5))["code"] == 1000
    assert await Line.objects.values_list("state", "outcome").aget() == (Line.State.CLOSED, "hung-up")


async def test_socket_is_closed_when_vonage_answers_too_late(path: str, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(200, wait=30)
    with patch.object(open_socket, "REST_SECONDS", 0.2):
        async with socket(path) as caller:
            await noted("Open")
            await live.command(path.split("/")[2], "hang_up")
            assert (await caller.receive_output(5))["code"] == 1000
