"""Knows how messages get from a socket to its application: in order, and without a turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context

from callflows.serving import Message

Wake = Callable[["Inbox"], object]


class Inbox:
    """The messages that one application receives, and at the same time the future that it waits for.

    ``deliver`` goes on with the application there and then. A queue would have it woken by the event loop, by way of a
    new future each time: that costs 4 microseconds more, and waits behind everything else that is due.

    ``pace`` is told True when more than ``most`` messages wait, and False when half of them were taken.
    """

    # What a task asks of whatever it waits for: see `asyncio.isfuture`.
    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop, pace: Callable[[bool], object], most: int) -> None:
        self._loop, self._pace, self._most = loop, pace, most
        self._messages: deque[Message] = deque()
        self._full = False
        self._wake: Wake | None = None
        self._context = Context()
        self._cancelled = False

    async def receive(self) -> Message:
        """What the application awaits as ``receive``, one task at a time."""
        while not self._messages:
            await self
        message = self._messages.popleft()
        if self._full and len(self._messages) <= self._most // 2:
            self._full = False
            self._pace(False)
        return message

    def put_nowait(self, message: Message) -> None:
        """Take a message from anywhere; the application goes on with it in a turn of its own."""
        self._messages.append(message)
        if len(self._messages) > self._most:
            self._slow_down()
        if self._wake:
            self._loop.call_soon(self._go_on)

    def deliver(self, message: Message) -> None:
        """Take a message from a callback of the event loop: the application goes on before this returns."""
        messages = self._messages
        messages.append(message)
        if len(messages) > self._most:
            self._slow_down()
        wake, self._wake = self._wake, None
        if wake:
            self._context.run(wake, self)

    def _slow_down(self) -> None:
        if not self._full:
            self._full = True
            self._pace(True)

    def _go_on(self) -> None:
        wake, self._wake = self._wake, None
        if wake:
            self._context.run(wake, self)

    # The future's side, which a task calls.

    def __await__(self) -> Generator[Inbox, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, wake: Wake, *, context: Context) -> None:
        self._wake, self._context = wake, context

    def cancel(self, msg: object = None) -> bool:
        if self._wake is None:
            return False
        self._cancelled = True
        self._loop.call_soon(self._go_on)
        return True

    def result(self) -> None:
        if self._cancelled:
            self._cancelled = False
            raise asyncio.CancelledError
