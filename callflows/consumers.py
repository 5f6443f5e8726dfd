"""Knows the audio WebSocket as Channels serves it: ASGI messages in and out, and a line between them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from channels.consumer import AsyncConsumer
from django.conf import settings

from callflows import live, load
from callflows.admission import WrongAuthorization, admit, claim, finish, keep_notes, load_sound
from callflows.commanding import obey
from callflows.models import SocketRefused
from callflows.refusing import TALLY
from callflows.sockets.line import Line, Note
from callflows.sockets.registry import APPS
from callflows.threads import Threads
from callflows.vonage.account import VonageError
from callflows.wire.connection import Connection
from callflows.wire.events import Connected, Event, Rubbish

log = logging.getLogger(__name__)

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

# Vonage sends the first message at once; a socket that says nothing in this time is none of Vonage's.
FIRST_MESSAGE_SECONDS = 10.0
# How long a hang-up over REST may take, and then Vonage to close the socket.
REST_SECONDS = 5.0
HANG_UP_SECONDS = 5.0
# What happened is written down in batches.
NOTES_SECONDS = 1.0
# So many messages of one peer at most before the others have their turn: about 1 ms.
MOST_TURNS = 64
# When nothing comes in, what waits is looked at this often; the lead hides it.
SENDER_SECONDS = 0.1
# How long an app and its helpers may take to stop.
STOP_SECONDS = 5.0

GOING_AWAY = 4001
NOT_SPOKEN = 4002
TWICE = 4003

OPEN: set[AudioConsumer] = set()
THREADS = Threads("line", 8)
# Vonage is waited for in threads of its own: one that hangs keeps no socket from being let in.
REST = Threads("rest", 4)
WORKER = f"{socket.gethostname()}:{os.getpid()}"


class AudioConsumer(AsyncConsumer):
    """One audio socket. Its frames take a direct path, past Channels' own dispatch.

    That dispatch waits for the one database thread before every message: with one slow query of 200 ms, the worst
    frame of every call waited 201 ms; without, 0.5 ms.
    """

    # An unknown alias: a consumer that listens to the layer itself is closed when Redis restarts.
    channel_layer_alias = "none"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.where: Message = {**scope["url_route"]["kwargs"], "headers": scope.get("headers", ())}
        # Filled by our own server: what a peer that does not read made it drop.
        self.peer: Message = scope.get("callflows.peer") or {}
        self.receive: Receive = receive
        self.send_out: Send = send
        self.connection = Connection()
        self.line: Line | None = None
        self.flushing = False
        self.gone = False
        # Whether the sender looks again by itself.
        self.timed = False
        self.ended = asyncio.Event()
        self.outcome = ""
        self.tasks: set[asyncio.Task[None]] = set()
        message = await receive()
        if message["type"] == "websocket.connect":
            await self._open()

    async def _open(self) -> None:
        """Let the socket in, or refuse it in the handshake: then the step's ``failed`` branch answers."""
        held = len(OPEN)
        OPEN.add(self)
        try:
            load.WATCH.start()
            reason = load.why_not(held)
            self.admission = await THREADS.run(admit, **self.where)
            if reason:
                await self._keep("problem", f"A socket was refused: {reason}", "refused")
                raise SocketRefused(reason)
            await self.send_out({"type": "websocket.accept"})
            await self._serve()
        except SocketRefused as refused:
            log.warning("a socket for line %s was refused: %s", self.where["line"], refused)
            if isinstance(refused, WrongAuthorization):
                TALLY.count_in_background("authorization", str(refused))
            await self._close(NOT_SPOKEN)
        finally:
            OPEN.discard(self)

    async def _serve(self) -> None:
        early, reason = 0, "nothing came"
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                while not isinstance(event := await self._next(), Connected):
                    if event is None:
                        await self._keep("socket", f"Closed before the first message: {reason}", "closed")
                        return
                    early += 1
                    reason = event.reason if isinstance(event, Rubbish) else "another message came"
        except TimeoutError:
            await self._keep("problem", f"No first message within {FIRST_MESSAGE_SECONDS:g} s: {reason}", "silent")
            await self._close(NOT_SPOKEN)
            return
        if not await THREADS.run(claim, self.admission, WORKER):
            await self._keep("problem", "A second socket came with the same address, and was closed", "twice")
            await self._close(TWICE)
            return
        line = self._line(event)
        if early:
            line.figures["bad"] = early - 1
            line.hear(Rubbish(reason))
        await self._talk(line)

    def _line(self, first: Connected) -> Line:
        app = APPS[self.admission.app]
        rate = first.fmt.rate

        async def sound(version: int) -> memoryview:
            return await THREADS.run(load_sound, version, rate)

        line = Line(
            first.fmt,
            headers=first.headers,
            settings=self.admission.settings,
            sound=sound,
            recording=self.admission.recording,
            lead=app.lead,
            inbox_seconds=settings.INBOX_SECONDS,
            # Uvloop's own clock has whole milliseconds, and stands still while anything runs.
            clock=time.monotonic,
            lag=load.WATCH.lag,
        )
        line.note("socket", f"Open, {rate // 1000} kHz", "open", headers=dict(first.headers), worker=WORKER)
        return line

    async def _talk(self, line: Line) -> None:
        """Run the app beside the socket until one of them ends."""
        self.line = line
        self.ready = asyncio.Event()
        line.wake = self.ready.set
        self.app = asyncio.create_task(APPS[self.admission.app].run(line))
        self.app.add_done_callback(self._app_ended)
        for work in (self._sender(line), self._notes(line), self._commands(line)):
            self.tasks.add(asyncio.create_task(work))
        # The app begins before the first frame is read: a frame that came already would be lost to it.
        await asyncio.sleep(0)
        try:
            # In a task of its own: a frame that woke us here would go through nine coroutines, and back through them.
            await asyncio.create_task(self._listen(line))
        except Exception as error:
            self._fail(error)
            await self._end_leg()
        finally:
            await asyncio.shield(self._finish(line))

    async def _listen(self, line: Line) -> None:
        """The hot path: one turn for each message, until the socket is closed."""
        receive, read, size = self.receive, self.connection.receive, line.fmt.frame_bytes
        turns = 0
        while (message := await receive())["type"] == "websocket.receive":
            # A peer that floods us has its messages waiting, and `receive` does not let others have their turn.
            turns += 1
            if turns % MOST_TURNS == 0:
                await asyncio.sleep(0)
            frame = message.get("bytes")
            if frame is not None and len(frame) == size:
                line.hear_audio(frame)
            else:
                event = read(frame if frame is not None else message.get("text") or "")
                line.hear(event)
                if frame is not None:
                    line.silent()
            if line.waiting:
                await self._flush(line)
                if line.waiting and not self.timed:
                    self.ready.set()
        line.figures["close_code"] = int(message.get("code") or 0)

    async def _next(self) -> Event | None:
        """Return the next event, or None when the socket is closed."""
        message = await self.receive()
        if message["type"] != "websocket.receive":
            return None
        data = message.get("bytes")
        return self.connection.receive(data if data is not None else message.get("text") or "")

    async def _flush(self, line: Line) -> None:
        """Send what may leave now; only one at a time, so that frames keep their order."""
        if self.flushing or self.gone:
            return
        self.flushing = True
        try:
            while line.waiting and (due := line.due()):
                clears = line.clears
                for each in due:
                    if line.clears != clears:
                        # The app interrupted while the server made us wait: what is left is old sound.
                        break
                    key = "bytes" if isinstance(each, bytes) else "text"
                    await self.send_out({"type": "websocket.send", key: each})
        except Exception as error:
            # Each server raises an error of its own when the peer has gone; that it has, is received next.
            log.debug("line %s: not sent, the peer has gone: %s", self.where["line"], error)
            self.gone = True
        finally:
            self.flushing = False

    async def _sender(self, line: Line) -> None:
        """Send what apps play by themselves, and go on when nothing comes in."""
        while True:
            self.ready.clear()
            await self._flush(line)
            self.timed = line.waiting
            with suppress(TimeoutError):
                async with asyncio.timeout(max(SENDER_SECONDS, line.wait()) if self.timed else None):
                    await self.ready.wait()
            self.timed = False

    async def _notes(self, line: Line) -> None:
        while True:
            await asyncio.sleep(NOTES_SECONDS)
            line.report(self.peer.get("dropped", 0))
            if line.notes:
                notes, line.notes = line.notes, []
                try:
                    await THREADS.run(keep_notes, self.admission, notes)
                except Exception:
                    log.exception("notes of line %s could not be written; they wait", self.admission.line_id)
                    line.notes = notes + line.notes

    async def _keep(self, kind: str, text: str, name: str) -> None:
        """Have something stand on the timeline of a call whose line is not open."""
        try:
            await THREADS.run(keep_notes, self.admission, [Note(kind, text, name)])
        except Exception:
            log.exception("line %s: this could not be written: %s", self.admission.line_id, text)

    # Commands from other processes: in a task of its own, so that the audio goes on whatever Redis does.

    async def _commands(self, line: Line) -> None:
        async for message in live.commands(self.admission.line_id):
            try:
                await obey(line, message, lambda: self._stop_app("hung-up"))
            except Exception as error:
                line.note("problem", f"The command failed: {error}", "command")

    # The end.

    def _stop_app(self, outcome: str) -> None:
        """End the app from outside; one that has ended keeps its own outcome, which may be committed already."""
        if not self.app.done():
            self.outcome = outcome
            self.app.cancel()

    def _fail(self, error: BaseException) -> None:
        log.error("app %s of line %s failed", self.admission.app, self.admission.line_id, exc_info=error)
        assert self.line is not None
        self.line.note("problem", f"The app failed: {error}", "error")
        self.outcome = "error"

    def _app_ended(self, task: asyncio.Task[str]) -> None:
        if self.ended.is_set():
            return
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)
        elif not task.cancelled():
            self.outcome = task.result()
        self.tasks.add(asyncio.create_task(self._end_leg()))

    async def _end_leg(self) -> None:
        """End the socket by our own will: committed first, so that the ``disconnected`` event finds the outcome."""
        assert self.line is not None
        await self._write_end(self.line)
        if not self.admission.branches_on(self.outcome) and await self._hung_up():
            await asyncio.sleep(HANG_UP_SECONDS)
        await self._close(GOING_AWAY if self.outcome == "drained" else 1000)

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

    async def _close(self, code: int) -> None:
        try:
            await self.send_out({"type": "websocket.close", "code": code})
        except Exception as error:
            log.debug("the socket was closed already: %s", error)

    async def drain(self) -> None:
        """End this socket because the process stops; its ``disconnected`` event is answered by the fallback branch."""
        if self.line is None:
            await self._close(GOING_AWAY)
        else:
            self.line.note("socket", "The worker stops: the socket is closed", "drained")
            self._stop_app("drained")

    async def _write_end(self, line: Line) -> None:
        line.report(self.peer.get("dropped", 0), final=True)
        notes, line.notes = line.notes, []
        try:
            await THREADS.run(finish, self.admission, self.outcome, dict(line.figures), notes)
        except Exception:
            log.exception("the end of line %s could not be written", self.admission.line_id)

    async def _finish(self, line: Line) -> None:
        """Stop everything, then write down how it ended."""
        self.ended.set()
        for task in self.tasks:
            task.cancel()
        self.app.cancel()
        # Not longer: a Redis that hangs, or a disk, must not keep the end of the line from being written.
        await asyncio.wait({self.app, *self.tasks}, timeout=STOP_SECONDS)
        if not self.outcome:
            line.closed(line.figures["close_code"], self.peer.get("ended", ""))
        await self._write_end(line)
