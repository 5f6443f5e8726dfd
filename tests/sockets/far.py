"""Knows a line with Vonage at its other end, both in virtual time: nothing waits, and hours take seconds."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from callflows.audio.format import Format
from callflows.sockets.line import Line
from callflows.wire.connection import Connection
from callflows.wire.platform import Knobs, Platform

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
FMT = Format(8000)
FRAME = 0.02
# How often the transport looks; what leaves arrives at once.
TURN = 0.01


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Selector(selectors.SelectSelector):
    """Lets time jump to the next deadline instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is due: it would for ever")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything runs; what is given to threads is done at once."""

    def __init__(self) -> None:
        self.virtual = _Selector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop of its own, at no cost of time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def numbered(count: int, start: int = 1) -> list[bytes]:
    """Frames that can be told apart: each holds its own number."""
    return [number.to_bytes(2, "little") * FMT.frame_samples for number in range(start, start + count)]


def now() -> float:
    return asyncio.get_running_loop().time()


class Far:
    """Vonage, which says ``voice`` and plays what the line sends; ``mute``: it answers no command."""

    def __init__(self, voice: Iterable[bytes] = (), mute: bool = False, **line: Any) -> None:
        self.line = Line(FMT, **line)
        self.platform = Platform(FMT, {}, iter(voice), Knobs(prebuffer=0))
        self.connection = Connection()
        self.mute = mute
        self.heard: list[bytes] = []
        self.sent: list[str | bytes] = []
        self.deepest = 0
        self.connection.receive(self.platform.open(now()))

    async def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TURN)):
            await asyncio.sleep(TURN)
            self.turn()

    async def until(self, app: asyncio.Task[Any], seconds: float = 600) -> None:
        """Let time pass until an app has ended."""
        end = now() + seconds
        while not app.done():
            assert now() < end, f"the app goes on after {seconds} s"
            await self.run(TURN)

    async def hang_up(self, app: asyncio.Task[Any]) -> None:
        """End an app as a caller who hangs up does."""
        app.cancel()
        with suppress(asyncio.CancelledError):
            await app

    def turn(self) -> None:
        self.tell(self.platform.advance(now()))
        while due := self.line.due():
            for message in due:
                self.sent.append(message)
                self.tell(self.platform.receive(message, now()))
                self.deepest = max(self.deepest, self.platform.unplayed)
        self.heard += self.platform.take_heard()

    def tell(self, messages: Iterable[str | bytes]) -> None:
        for message in messages:
            if isinstance(message, bytes) or not self.mute:
                self.line.hear(self.connection.receive(message))

    def press(self, digit: str) -> None:
        self.tell([self.platform.press(digit)])


def texts(line: Line) -> list[str]:
    """Return the notes of a line."""
    return [note.text for note in line.notes]
