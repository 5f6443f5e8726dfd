"""Knows the short way for audio of one WebSocket: whole frames in and out by plain calls, on any asyncio transport."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable

from callflows import serving
from callflows.serving import Message
from callflows.serving.boundaries import Boundaries
from callflows.serving.budget import Budget
from callflows.serving.frames import BEFORE, HEADS, MASKED, PING, unmask

log = logging.getLogger(__name__)

# Where an application finds it: scope["extensions"][EXTENSION]. A server without it speaks ASGI alone.
EXTENSION = "callflows.audio"

# Servers make applications wait above this many unsent bytes; ours must never: it drops instead.
NEVER_WAIT = 1 << 30

# Closes with 1008, "policy violation".
TOO_MANY = b"\x88\x02" + (1008).to_bytes(2)

# Uvloop's timers count whole milliseconds, and may ring a part of one too early.
TICK_SECONDS = 0.002


class Queue(asyncio.Queue[Message]):
    """What waits for an application's ``receive``. ``pace`` is told True when too much waits, False at half of it."""

    def __init__(self, pace: Callable[[bool], object]) -> None:
        super().__init__()
        self._pace = pace
        self._full = False

    def _init(self, maxsize: int) -> None:
        # asyncio's own name, and one to be read from outside: whether anything waits is asked with each frame.
        self._queue = self.waiting = deque[Message]()

    def _put(self, item: Message) -> None:
        self.waiting.append(item)
        if len(self.waiting) > serving.WAITING and not self._full:
            self._full = True
            self._pace(True)

    def _get(self) -> Message:
        item = self.waiting.popleft()
        if self._full and len(self.waiting) <= serving.WAITING // 2:
            self._full = False
            self._pace(False)
        return item


class ShortWay:
    """What a server offers an application beside ASGI: ``begin``, ``end``, ``send`` and the figures below them.

    From ``begin`` on each whole frame is handed over by a plain call, in the server's own turn, and ``send`` writes one
    by a plain call: no message, coroutine or task step a frame. All else stays ASGI: texts, the closing, frames of
    other sizes, and whatever comes while something waits in ``queue``, so that nothing overtakes.

    ``dropped`` counts the frames that were not sent because the peer did not read; ``ended`` is why the server ended
    the connection; ``heard_at`` is when the peer last sent anything, a pong say, in seconds of ``time.monotonic``.

    The server tells it of the connection (``connected``, ``opened``, ``disconnected``) and feeds it all that comes on
    the open WebSocket (``received``): what is left is for its protocol library. Only what is sure is taken: a whole,
    uncompressed binary message of the chosen size, between other messages.
    """

    __slots__ = (
        "_begun", "_budget", "_closing", "_head", "_hear", "_loop", "_out", "_parsed", "_paused", "_stuck",
        "_transport", "_watch", "_whole", "dropped", "ended", "heard_at", "queue",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self.queue = Queue(self._pace)
        self.dropped = 0
        self.ended = ""
        self.heard_at = time.monotonic()
        self._loop = loop
        self._transport = transport
        # Whether the closing was sent, or the connection is gone: nothing of ours follows.
        self._closing = False
        self._paused = False
        self._hear: Callable[[bytes], object] | None = None
        # Of a frame: its bytes with head and mask, how it begins when it comes, and when it leaves.
        self._whole = 0
        self._head = self._out = b""
        # The beginning of a frame whose end has not come yet.
        self._begun = b""
        # Where the protocol library is: only between messages may frames go past it.
        self._parsed = Boundaries()
        # How much else than audio may come yet.
        self._budget = Budget.full(serving.OTHER_FRAMES, serving.OTHER_FRAMES_A_SECOND, self.heard_at)
        self._watch: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    # What the application does.

    def begin(self, size: int, hear: Callable[[bytes], object]) -> None:
        """Hand each whole frame of ``size`` bytes (320, 640, 960) to ``hear``, which must not raise."""
        self._whole, self._head, self._out = BEFORE + size, MASKED[size], HEADS[size]
        self._hear = hear

    def end(self) -> None:
        """Hand nothing over any more: all goes by ASGI again."""
        self._hear = None

    def send(self, frame: bytes) -> None:
        """Write one whole frame; drop it when the peer has left two seconds of them unread. The hot path."""
        if not self._closing and self.room(self._whole):
            self._transport.write(self._out + frame)

    # What the server does.

    def connected(self) -> None:
        """Bound what is kept for a peer that does not read."""
        transport = self._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, serving.KERNEL_BYTES)
        transport.set_write_buffer_limits(NEVER_WAIT)

    def opened(self, buffered: bytes) -> None:
        """Begin after the handshake; ``buffered`` is what the protocol library holds of the messages to come."""
        self._parsed.pass_by(buffered)
        self.heard_at = time.monotonic()
        self._watch = self._loop.call_later(serving.PING_SECONDS, self._look)

    def received(self, data: bytes) -> bytes:
        """Hand over the frames in what came; return what is for the protocol library. The hot path."""
        self.heard_at = time.monotonic()
        if self._begun:
            data, self._begun = self._begun + data, b""
        begin = self._frames(data) if self._parsed.between else 0
        if begin == len(data):
            return b""
        rest = data[begin:]
        return rest if self._affords(rest) else b""

    def room(self, size: int) -> bool:
        """Whether a message of ``size`` bytes may be written; else it is counted as dropped."""
        if self._transport.get_write_buffer_size() > serving.UNSENT_FRAMES * size:
            self._drop()
            return False
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None
        return True

    def finish(self) -> None:
        """The closing is being sent: take and send no more frames, and read on to hear its answer."""
        self._closing = True
        self._hear = None
        if self._paused:
            self._pace(False)

    def disconnected(self) -> None:
        """Forget the connection, which is gone."""
        self._closing = True
        self._hear = None
        for timer in (self._watch, self._stuck):
            if timer:
                timer.cancel()

    def _frames(self, data: bytes) -> int:
        """Hand over the frames at the front of ``data``; return how many bytes need nobody else any more."""
        begin, whole, waiting = 0, self._whole, self.queue.waiting
        # Asked again with each: what hears a frame may end it all, and close the socket.
        while (hear := self._hear) and not waiting and data.startswith(self._head, begin):
            after = begin + whole
            if after > len(data):
                self._begun = data[begin:]
                return len(data)
            hear(unmask(data[begin + BEFORE : after], data[begin + 4 : begin + BEFORE]))
            begin = after
        return begin

    def _affords(self, rest: bytes) -> bool:
        """Count what is no audio; end a connection on which more of it comes than anybody needs."""
        if self.ended:
            return False
        before = self._parsed.cost
        if self._parsed.pass_by(rest, self._budget.fill(self.heard_at)):
            self._budget.left -= self._parsed.cost - before
            return True
        self.ended = f"it sent more than {serving.OTHER_FRAMES_A_SECOND} messages a second that are no audio"
        self.finish()
        self._transport.write(TOO_MANY)
        self._transport.close()
        return False

    def _pace(self, full: bool) -> None:
        """Read nothing more while the application has enough to do."""
        self._paused = full
        self.heard_at = time.monotonic()
        if self._transport.is_closing():
            return
        if full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # A peer that does not read, or does not live any more.

    def _drop(self) -> None:
        self.dropped += 1
        if not self._stuck:
            seconds = serving.STUCK_SECONDS
            self._stuck = self._loop.call_later(seconds, self._end, f"it did not read for {seconds} s")

    def _look(self) -> None:
        """Ask a peer that was silent for a while for a pong, and end the connection when none comes.

        An error here ends this connection: a watch that died unseen would leave a silent one open for ever.
        """
        try:
            # What is not read was not heard: that is our doing.
            silent = 0.0 if self._paused else time.monotonic() - self.heard_at
            if silent >= serving.PING_SECONDS + serving.PONG_SECONDS:
                self._end(f"neither a frame nor a pong came for {silent:.0f} s")
                return
            if silent >= serving.PING_SECONDS and not self._closing:
                self._transport.write(PING)
            asked = silent >= serving.PING_SECONDS
            until = serving.PING_SECONDS + (serving.PONG_SECONDS if asked else 0)
            self._watch = self._loop.call_later(until - silent + TICK_SECONDS, self._look)
        except Exception as error:
            log.exception("a socket could not be watched, and is ended")
            self._end(f"it could not be watched: {error}")

    def _end(self, reason: str) -> None:
        self.ended = reason
        self._transport.abort()
