"""Knows how a server process listens, stops without cutting a call, and logs who asked for what."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

log = logging.getLogger("callflows.access")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
# Refuses new sockets, closes the open ones and waits until their events were answered, at most so many seconds.
Drain = Callable[[float], Awaitable[None]]

# A line is dead when neither a frame nor a pong came for 30 s: a ping after 15 s without a frame, 13 s for its answer,
# and 2 s because daphne looks only so often.
PING_SECONDS = 15
PONG_SECONDS = 13
# Bytes in one message of a peer: Vonage's audio messages have at most 960, its texts a few hundred.
MESSAGE_BYTES = 1024 * 1024
# Unsent frames above which new audio is dropped: 2 s.
UNSENT_FRAMES = 100
# Bytes of the kernel's own buffer, which it doubles; left alone it grows to 4 MB, which are two minutes of audio.
KERNEL_BYTES = 32 * 1024
# Seconds of a peer reading nothing, or too little, after which its connection is ended.
STUCK_SECONDS = 10
# What a peer may send besides audio: texts, pings, fragments. Vonage sends a ping now and then, and an answer to each
# mark of an app; a peer that sends nothing but pings at full speed held a process for 5 to 11 s.
OTHER_FRAMES, OTHER_FRAMES_A_SECOND = 500, 200
# Messages that may wait for the application, 10 s of audio; then nothing more is read until it has taken half of them.
WAITING = 500


class CannotListen(OSError):
    """The address cannot be listened at: says why, and what to do."""


def check_address(host: str, port: int, option: str = "PORT=") -> None:
    """Raise CannotListen when nobody could listen there now; ``option`` is how another port is chosen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise CannotListen(
            f"cannot listen at {host}:{port} ({os.strerror(error.errno or 0)}): stop what runs there, or choose "
            f"another port, such as {option}{port + 1 if port < 65535 else 8000}"
        ) from error


def shown(text: str, kept: str = "") -> str:
    """Return a text with all escaped that nobody prints, but for ``kept``: a stranger's line breaks make no lines."""
    if text.isprintable():
        return text
    letters = (each if each.isprintable() or each in kept else each.encode("unicode_escape").decode() for each in text)
    return "".join(letters)


def with_access_log(application: Application) -> Application:
    """Log each request and socket, without query strings: those may hold signatures."""

    async def logged(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        begun, status, path = time.monotonic(), 0, shown(scope["path"])

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        if scope["type"] == "http":
            await application(scope, receive, noting)
            log.info("%s %s %s %.0f ms", scope["method"], path, status, 1000 * (time.monotonic() - begun))
        else:
            # Its `send` is passed on as it is: fifty frames a second would pay for a detour.
            log.info("socket %s", path)
            await application(scope, receive, send)
            log.info("socket %s ended after %.1f s", path, time.monotonic() - begun)

    return logged
