"""Connections of the channel layer have no limit on reading: a receive may wait longer than any limit that is set."""

from __future__ import annotations

import asyncio
import os
import runpy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import create_pool, decode_hosts
from redis import asyncio as aioredis

from project.environment import BASE_DIR

# Longer than the only limit that is set, that on connecting.
SILENCE = 1.3


@pytest.fixture
def hosts(redis: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the hosts of the layer in an environment that names a Redis."""
    monkeypatch.setenv("REDIS_URL", redis)
    settings = runpy.run_path(str(BASE_DIR / "project" / "settings.py"))
    found: list[dict[str, Any]] = settings["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"]
    return found


@pytest.fixture
async def client(hosts: list[dict[str, Any]]) -> AsyncIterator[aioredis.Redis]:
    """Return a client on the connections that the layer makes."""
    client = aioredis.Redis(connection_pool=create_pool(decode_hosts(hosts)[0]))
    yield client
    await client.aclose(close_connection_pool=True)


async def test_its_connections_are_told_that_reading_has_no_limit(client: aioredis.Redis) -> None:
    told = client.connection_pool.connection_kwargs
    # Not left to the library's default, which is 5 s in redis-py 8.
    assert "socket_timeout" in told
    connection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (None, 1)


async def test_a_blocking_pop_waits_to_its_own_end(client: aioredis.Redis) -> None:
    """As the core layer receives, with 5 s; what comes at last is still read on the same connection."""
    begun = asyncio.get_running_loop().time()
    assert await client.bzpopmin([f"nobody-{os.getpid()}"], timeout=SILENCE) is None
    assert asyncio.get_running_loop().time() - begun >= SILENCE - 0.05
    assert await client.exists("nobody") == 0


@pytest.mark.parametrize("layer", [RedisPubSubChannelLayer, RedisChannelLayer])
async def test_a_receive_outlives_a_long_silence(layer: type[Any], hosts: list[dict[str, Any]]) -> None:
    found = layer(hosts=hosts, prefix=f"test-{os.getpid()}")
    channel = await found.new_channel()
    waiting: asyncio.Task[Any] = asyncio.ensure_future(found.receive(channel))
    try:
        # Nothing can be waited for here: that nothing happens is what is tested.
        done, _ = await asyncio.wait([waiting], timeout=SILENCE)
        assert not done
        await found.send(channel, {"type": "line.command"})
        async with asyncio.timeout(10):
            assert await waiting == {"type": "line.command"}
    finally:
        await found.flush()
