"""Knows the audio WebSocket as Channels serves it: ASGI messages in and out, and a line between them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from channels.consumer import AsyncConsumer
from django.conf import settings

from callflows import live
from callflows.admission import WrongAuthorization, admit, claim, finish, keep_notes, load_sound, unanswered
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
# When nothing comes in, what waits is looked at this often; the lead hides it.
SENDER_SECONDS = 0.1
# How long an app and its helpers may take to stop.
STOP_SECONDS = 5.0
DRAIN_SECONDS = 0.1

GOING_AWAY = 4001
NOT_SPOKEN = 4002
TWICE = 4003

OPEN: set[AudioConsumer] = set()
THREADS = Threads("line", 8)
# Vonage is waited for in threads of its own: one that hangs keeps no socket from being let in.
REST = Threads("rest", 4)
WORKER = f"{socket.gethostname()}:{os.getpid()}"


class Draining:
    """Whether this process takes new sockets; set once, when it is told to stop."""

    now = False


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
            if Draining.now:
                raise SocketRefused("this worker is stopping")
            if held >= settings.MAX_LINES:
                raise SocketRefused(f"this worker holds {held} calls, the most it may (MAX_LINES)")
            self.admission = await THREADS.run(admit, **self.where)
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
        early = 0
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                while not isinstance(event := await self._next(), Connected):
                    if event is None:
                        return
                    early += 1
        except TimeoutError:
            await self._close(NOT_SPOKEN)
            return
        if not await THREADS.run(claim, self.admission, WORKER):
            await self._close(TWICE)
            return
        await self._talk(self._line(event, early))

    def _line(self, first: Connected, early: int) -> Line:
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
        )
        line.figures["bad"] = early
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
            await self._listen(line)
        except Exception as error:
            self._fail(error)
            await self._end_leg()
        finally:
            await asyncio.shield(self._finish(line))

    async def _listen(self, line: Line) -> None:
        """The hot path: one turn for each message, until the socket is closed."""
        receive, read, hear = self.receive, self.connection.receive, line.hear
        while (message := await receive())["type"] == "websocket.receive":
            frame = message.get("bytes")
            event = read(frame if frame is not None else message.get("text") or "")
            hear(event)
            if type(event) is Rubbish and frame is not None:
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
                for each in due:
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
            if line.notes:
                notes, line.notes = line.notes, []
                try:
                    await THREADS.run(keep_notes, self.admission, notes)
                except Exception:
                    log.exception("notes of line %s could not be written; they wait", self.admission.line_id)
                    line.notes = notes + line.notes

    # Commands from other processes: in a task of its own, so that the audio goes on whatever Redis does.

    async def _commands(self, line: Line) -> None:
        async for message in live.commands(self.admission.line_id):
            try:
                await self._obey(line, message)
            except Exception as error:
                line.note("problem", f"The command failed: {error}", "command")

    async def _obey(self, line: Line, message: live.LineMessage) -> None:
        by = f" by {message['by']}" if message["by"] else ""
        match message["command"]:
            case "hang_up":
                line.note("command", f"Hang up{by}", "hang_up")
                self._stop_app("hung-up")
            case "stop":
                line.note("command", f"Stop{by}", "stop")
                line.clear()
            case "play":
                line.note("command", f"Play a prompt{by}", "play", version=message["version"])
                sound = await line.sound(message["version"])
                line.clear()
                line.play(sound)

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
        notes, line.notes = line.notes, []
        line.figures["dropped_out"] = int(self.peer.get("dropped", 0))
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
            line.notes.append(Note("socket", "Closed by Vonage", "closed"))
        await self._write_end(line)


async def drain(seconds: float) -> None:
    """Refuse new sockets, close and record the open ones, and wait until Vonage's events of them were answered.

    Gives up after ``seconds``.
    """
    Draining.now = True
    closing = [each.admission.line_id for each in OPEN if each.line]
    await asyncio.gather(*(each.drain() for each in OPEN), return_exceptions=True)
    try:
        async with asyncio.timeout(seconds):
            # The events come to any worker: only the database knows of them all, so it is asked again and again.
            while True:
                if not OPEN and not await THREADS.run(unanswered, closing):
                    return
                await asyncio.sleep(DRAIN_SECONDS)
    except TimeoutError:
        log.warning("stopped after %s s with %d sockets open, or events of closed ones not come", seconds, len(OPEN))
