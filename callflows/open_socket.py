"""Knows an audio socket from its first message on: frames between peer and line, the app beside them, and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from callflows import live
from callflows.admission import Admission
from callflows.commanding import obey
from callflows.endings import keep_line, line_record
from callflows.peer import Peer
from callflows.sockets.line import Line, Outgoing
from callflows.sockets.registry import APPS
from callflows.threads import WRITERS, Threads
from callflows.vonage.account import VonageError
from callflows.wire.connection import Connection

log = logging.getLogger(__name__)

# How long a hang-up over REST may take, and then Vonage to close the socket.
REST_SECONDS = 5.0
HANG_UP_SECONDS = 5.0
# How long the peer may take to answer a closing of ours.
CLOSE_SECONDS = 5.0
# What happened is written down in batches.
NOTES_SECONDS = 1.0
# So many messages of one peer at most before the others have their turn: about 1 ms.
MOST_TURNS = 64
# When nothing comes in, what waits is looked at this often; the lead hides it.
SENDER_SECONDS = 0.1
# How long an app and its helpers may take to stop.
STOP_SECONDS = 5.0
# Our server ends a silent connection after 28 s; a line never lives longer than this without any sign of its peer.
SILENT_SECONDS = 30.0

GOING_AWAY = 4001

THREADS = Threads("line", WRITERS)
# Vonage is waited for in threads of its own: one that hangs keeps no socket from being let in.
REST = Threads("rest", 4)


class OpenSocket:
    """One line and its peer. ``run`` until something ends it, then ``end`` with the outcome that it returned."""

    def __init__(self, peer: Peer, connection: Connection, admission: Admission, line: Line) -> None:
        self.peer = peer
        self.connection = connection
        self.admission = admission
        self.line = line
        # How it ended: an outcome of the app or of ours, empty when the peer went.
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # The outcome of an app that is stopped from outside.
        self.stopped_as = ""
        self.tasks: set[asyncio.Task[None]] = set()
        # Set when something waits to be sent; ``timed``: the sender looks again by itself.
        self.ready = asyncio.Event()
        self.timed = False
        # Whether a task is sending: plain calls must not overtake it. What it is to send first, and since which clear.
        self.sending = False
        self.left: list[Outgoing] = []
        self.left_since = 0
        line.wake = self.ready.set
        self.app = asyncio.create_task(APPS[admission.app].run(line))
        self.app.add_done_callback(self._app_ended)

    async def run(self) -> str:
        """Let the app and its peer hear each other until one of them ends; return the outcome."""
        if self.peer.way:
            self.peer.way.begin(self.line.fmt.frame_bytes, self._hear)
        for work in (self._sender(), self._notes(), self._commands(), self._watch()):
            self._help(work)
        # The app begins before the first frame is read: a frame that came already would be lost to it.
        await asyncio.sleep(0)
        self.listening = self._help(self._listen())
        return await self.over

    def _help(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a helper for as long as the socket is open; one that fails ends it, instead of leaving it mute."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._helped)
        self.tasks.add(task)
        return task

    def _helped(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def stop(self, outcome: str) -> None:
        """End the app from outside; one that has ended keeps its own outcome, which may be committed already."""
        if not self.app.done():
            self.stopped_as = outcome
            self.app.cancel()

    # In.

    def _hear(self, frame: bytes) -> None:
        """Take one whole frame by the short way, and answer it there and then. The hot path: never raises."""
        line = self.line
        try:
            line.hear_audio(frame)
            if line.outgoing and not (self.sending or self.left):
                self._send()
        except Exception as error:
            self._fail(error)

    async def _listen(self) -> None:
        """Take what comes by ASGI until the socket is closed: all that is no usual frame, or comes beside one."""
        turns = 0
        try:
            while (message := await self.peer.receive()) is not None:
                # A peer that floods us has its messages waiting, and `receive` does not let others have their turn.
                turns += 1
                if turns % MOST_TURNS == 0:
                    await asyncio.sleep(0)
                if not self.over.done():
                    self._take(message)
                    if self.line.waiting:
                        await self._flush()
                        self._wake_sender()
        finally:
            self._end("")

    def _take(self, message: bytes | str) -> None:
        line = self.line
        try:
            if isinstance(message, bytes) and len(message) == line.fmt.frame_bytes:
                line.hear_audio(message)
                return
            line.hear(self.connection.receive(message))
            if isinstance(message, bytes):
                line.silent()
        except Exception as error:
            self._fail(error)

    # Out.

    def _send(self) -> None:
        """Send the frames that may leave now by plain calls; from the first text on, the sender does."""
        line, way = self.line, self.peer.way
        assert way is not None
        due = iter(line.due())
        for each in due:
            if isinstance(each, str):
                self.left, self.left_since = [each, *due], line.clears
                self.ready.set()
                return
            way.send(each)
        if line.outgoing:
            self._wake_sender()

    def _wake_sender(self) -> None:
        """Have it look again in time at what may not leave yet."""
        if self.line.waiting and not self.timed:
            self.ready.set()

    async def _flush(self) -> None:
        """Send what may leave now; only one at a time, so that frames keep their order."""
        if self.sending:
            return
        self.sending = True
        try:
            while not self.peer.gone and (self.left or (self.line.waiting and self._take_due())):
                due, self.left = self.left, []
                for each in due:
                    if self.line.clears != self.left_since:
                        # The app interrupted while the server made us wait: what is left is old sound.
                        break
                    await self.peer.send(each)
        finally:
            self.sending = False

    def _take_due(self) -> bool:
        self.left, self.left_since = self.line.due(), self.line.clears
        return bool(self.left)

    async def _sender(self) -> None:
        """Send what apps play by themselves, and go on when nothing comes in."""
        while True:
            self.ready.clear()
            await self._flush()
            self.timed = self.line.waiting
            pause = max(SENDER_SECONDS, self.line.wait()) if self.timed else None
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.ready.wait()
            self.timed = False

    # Beside them.

    async def _notes(self) -> None:
        line = self.line
        while True:
            await asyncio.sleep(NOTES_SECONDS)
            line.report(self.peer.dropped)
            if line.notes:
                notes, line.notes = line.notes, []
                try:
                    await THREADS.run(keep_line, line_record(self.admission.line_id, self.admission.call_id, notes))
                except Exception:
                    log.exception("notes of line %s could not be written; they wait", self.admission.line_id)
                    line.notes = notes + line.notes

    async def _commands(self) -> None:
        """Obey other processes: in a task of its own, so that the audio goes on whatever Redis does."""
        async for message in live.commands(self.admission.line_id):
            try:
                await obey(self.line, message, lambda: self.stop("hung-up"))
            except Exception as error:
                self.line.note("problem", f"The command failed: {error}", "command")

    async def _watch(self) -> None:
        """End a line whose peer gives no sign of life, should the server not have noticed."""
        while True:
            silent = self.peer.silent
            if silent >= SILENT_SECONDS:
                break
            await asyncio.sleep(SILENT_SECONDS - silent)
        self.line.note("problem", f"Neither a frame nor a pong came for {silent:.0f} s", "silent")
        self._end("")

    # The end.

    def _end(self, outcome: str) -> None:
        if not self.over.done():
            self.over.set_result(outcome)

    def _fail(self, error: BaseException) -> None:
        if self.over.done():
            return
        log.error("app %s of line %s failed", self.admission.app, self.admission.line_id, exc_info=error)
        self.line.note("problem", f"The app failed: {error}", "error")
        self._end("error")

    def _app_ended(self, task: asyncio.Task[str]) -> None:
        if task.cancelled():
            self._end(self.stopped_as)
        elif error := task.exception():
            self._fail(error)
        else:
            self._end(task.result())

    async def end(self, outcome: str) -> None:
        """End the leg when that is our will, then stop everything and write down how it ended."""
        if self.peer.way:
            self.peer.way.end()
        # Its recording is whole then.
        self.app.cancel()
        await asyncio.wait({self.app}, timeout=STOP_SECONDS)
        if outcome:
            # Committed first, so that the ``disconnected`` event finds the outcome.
            await self._write_end(outcome)
            await self._end_leg(outcome)
        await self._stop()
        if not outcome:
            self.line.closed(self.peer.code, self.peer.ended)
        await self._write_end(outcome)

    async def _end_leg(self, outcome: str) -> None:
        if not self.admission.branches_on(outcome) and await self._hung_up():
            await asyncio.wait({self.listening}, timeout=HANG_UP_SECONDS)
        await self.peer.close(GOING_AWAY if outcome == "drained" else 1000)
        await asyncio.wait({self.listening}, timeout=CLOSE_SECONDS)

    async def _hung_up(self) -> bool:
        """Hang the leg up over REST: then Vonage closes the socket, and sends no ``disconnected``."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                await REST.run(self.admission.hang_up)
        except (VonageError, TimeoutError) as error:
            reason = str(error) or f"no answer within {REST_SECONDS:g} s"
            log.info("line %s is closed instead of hung up: %s", self.admission.line_id, reason)
            return False
        except Exception:
            log.exception("line %s is closed instead of hung up", self.admission.line_id)
            return False
        return True

    async def _stop(self) -> None:
        """Stop the helpers, and let go of a peer that has not gone by itself."""
        for task in self.tasks:
            task.cancel()
        # Not longer: a Redis that hangs, or a disk, must not keep the end of the line from being written.
        await asyncio.wait(self.tasks, timeout=STOP_SECONDS)
        if not self.peer.gone:
            await self.peer.close(1000)

    async def _write_end(self, outcome: str) -> None:
        line = self.line
        line.figures["close_code"] = self.peer.code
        line.report(self.peer.dropped, final=True)
        notes, line.notes = line.notes, []
        told = line_record(self.admission.line_id, self.admission.call_id, notes, outcome, line.figures)
        try:
            await THREADS.run(keep_line, told)
        except Exception:
            log.exception("the end of line %s could not be written", self.admission.line_id)
