"""What a process holds open is counted from outside, also what the kernel has given up already."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

from benchmarks.harness.held import held
from benchmarks.harness.rough import AT_ONCE
from tests.services import wait_until


def test_connections_are_counted_by_their_far_end_and_dead_ones_besides() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port, before = listening.getsockname()[1], held(os.getpid(), listening.getsockname()[1])
        assert (before.far_ports, len(before)) == ((), before.dead)
        opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        clients = [stack.enter_context(each) for each in opened]
        ours = [stack.enter_context(listening.accept()[0]) for _ in clients]
        far = [client.getsockname()[1] for client in clients]
        assert held(os.getpid(), port).far_ports == tuple(sorted(far))
        assert held(os.getpid(), port).without({far[0]}) == before.dead + 1
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        clients[0].close()
        wait_until(
            lambda: held(os.getpid(), port).far_ports == (far[1],),
            "the reset connection is in no table",
        )
        assert held(os.getpid(), port).dead == before.dead + 1, "its descriptor is still ours"
        ours[0].close()
        assert held(os.getpid(), port).dead == before.dead
        clients[1].close()
        # Our end waits for us to close it: it counts.
        assert held(os.getpid(), port).far_ports == (far[1],)
        ours[1].close()
        assert len(held(os.getpid(), port)) == before.dead


def test_sockets_that_are_no_connections_are_not_dead_ones() -> None:
    before = held(os.getpid(), 1).dead
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        pair = socket.socketpair()
        assert held(os.getpid(), 1).dead == before
        for each in pair:
            each.close()
