"""Knows how to run a command of `manage.py` and watch its event loop from a thread.

`python -m benchmarks.harness.watched COMMAND` writes to the file that BENCH_STALLS names, a line of JSON each: once a
second the ``worst`` lateness of our own doing, and each ``stall`` above 20 ms, with the part of it in which ``others``
had the core. Times are seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import uvloop

import manage

STALL_SECONDS = 0.02
ASK_SECONDS = 0.005
_new_event_loop = uvloop.new_event_loop


def main() -> None:
    uvloop.new_event_loop = watched_loop
    manage.main()


def watched_loop() -> uvloop.Loop:
    loop = _new_event_loop()
    watch = Watch(loop, Path(os.environ["BENCH_STALLS"]), threading.main_thread())
    threading.Thread(target=watch.run, name="watch", daemon=True).start()
    return loop


class Used(NamedTuple):
    """Seconds: for how long the loop's thread ran, and all of ours; how long the loop was kept waiting, and we."""

    loop: float
    ours: float
    waited: float
    watch: float


class Watch:
    """Asks a loop, which runs in ``thread``, for a sign of life every 5 ms."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, thread: threading.Thread) -> None:
        self.loop, self.path, self.thread = loop, path, thread
        self.answered = threading.Event()
        self.at = 0.0

    def run(self) -> None:
        """Watch until the loop is closed."""
        second = due = time.monotonic()
        worst, before = 0.0, self.used()
        with self.path.open("w", buffering=1, encoding="utf-8") as file:
            while self.ask():
                where = "" if self.answered.wait(STALL_SECONDS) else self.stack()
                while not self.answered.wait(1):
                    if self.loop.is_closed():
                        return
                # From when we were to ask: whatever keeps the interpreter's lock keeps this thread from asking.
                late = self.at - due
                others = self.others(before, self.used()) if late > min(worst, STALL_SECONDS) else 0.0
                if late > STALL_SECONDS:
                    tell(file, stall=late, at=due, others=others, where=where)
                worst = max(worst, late - others)
                if self.at - second >= 1:
                    tell(file, worst=worst, at=second)
                    second, worst = self.at, 0.0
                due, before = time.monotonic() + ASK_SECONDS, self.used()
                time.sleep(ASK_SECONDS)

    def ask(self) -> bool:
        self.answered.clear()
        try:
            self.loop.call_soon_threadsafe(self.answer)
        except RuntimeError:
            return False
        return True

    def answer(self) -> None:
        self.at = time.monotonic()
        self.answered.set()

    def used(self) -> Used:
        stat = "/proc/self/task/{}/schedstat".format
        ran, waited = map(int, Path(stat(self.thread.native_id)).read_text().split()[:2])
        own = int(Path(stat(threading.get_native_id())).read_text().split()[1])
        return Used(ran / 1e9, time.process_time(), waited / 1e9, own / 1e9)

    @staticmethod
    def others(before: Used, after: Used) -> float:
        """Return for how long the loop, or this watch of it, could have run while other processes had its core."""
        loop, ours, waited, watch = (later - sooner for sooner, later in zip(before, after, strict=True))
        return max(0.0, max(waited, watch) - max(0.0, ours - loop))

    def stack(self) -> str:
        """Return where the loop's thread is now: the innermost lines."""
        frame = sys._current_frames().get(self.thread.ident or 0)
        lines = traceback.extract_stack(frame)[-4:] if frame else []
        return " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(lines))


def tell(file: TextIO, **line: Any) -> None:
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}
    file.write(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
