"""Knows the audio WebSocket as Channels serves it: who is let in, and the three states of each socket.

A socket is in one of three states, in this order:

- HANDSHAKE: it asks to be let in. The token in its address names a line, and the worker must have
  room for it. Then its first message has to come, with the format of its audio, and uses the token
  up: in the database, so that of two sockets with one address one is let in, at whatever workers.
- OPEN: a ``Line`` stands between the peer (what Vonage sends, what we send) and a socket app. It is
  left by whichever comes first: the app ends with an outcome or an error, somebody has it stopped (a
  command, the end of this process), the peer closes or breaks off, nothing comes from it for 30 s.
- ENDING: by our own will, the outcome is written down first, since Vonage's event of the closed
  socket asks for it at once; then the leg is hung up, or the socket closed. By the peer's, there is
  nothing left to say to it. Then the app and its helpers are stopped, and the figures and notes of
  the line are written. Nothing here waits without a limit: a line ends even when Redis, Vonage, the
  database and the server all hang.

Frames do not come by ASGI where the server has the short way (``callflows.serving.short_way``): it
calls ``OpenSocket._hear`` with each, in its own turn, and what is due leaves by a plain call before
that returns. All else is ASGI: texts, frames of a wrong size, frames behind something that waits, the
closing; and everything on other servers.

What runs for an open socket: the app; a listener for ASGI; a sender, woken when an app plays by
itself or a text has to leave; one that writes notes once a second; one that obeys commands; one that
watches for silence. No frame makes or wakes a task. Channels' own dispatch is not used: it waits for
the one thread that all database work shares before every message; with one slow query of 200 ms, the
worst frame of every call waited 201 ms; without, 0.5 ms.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Coroutine
from enum import Enum
from functools import partial
from typing import Any

from channels.consumer import AsyncConsumer
from django.conf import settings

from callflows import garbage, load
from callflows.admission import Admission, WrongAuthorization, admit, claim, load_sound
from callflows.endings import keep_line, line_record
from callflows.models import SocketRefused
from callflows.models.lines import nonce_of
from callflows.open_socket import GOING_AWAY, THREADS, OpenSocket
from callflows.peer import Message, Peer, Receive, Send
from callflows.refusing import TALLY
from callflows.serving.strangers import FORGERS, STRANGERS
from callflows.sockets.line import Line, Note
from callflows.sockets.registry import APPS
from callflows.wire.connection import Connection
from callflows.wire.events import Connected, Rubbish

__all__ = ["GOING_AWAY", "OPEN", "THREADS", "AudioConsumer", "State"]

log = logging.getLogger(__name__)

# Vonage sends the first message at once; a socket that says nothing in this time is none of Vonage's.
FIRST_MESSAGE_SECONDS = 10.0

NOT_SPOKEN = 4002
TWICE = 4003

# All that are there, and those of them whose token was good: only these are calls that a worker holds.
OPEN: set[AudioConsumer] = set()
ADMITTED: set[AudioConsumer] = set()
WORKER = f"{socket.gethostname()}:{os.getpid()}"


class State(Enum):
    """How far a socket is."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    ENDING = "ending"


class AudioConsumer(AsyncConsumer):
    """One audio socket, from its handshake to its end."""

    # An unknown alias: a consumer that listens to the layer itself is closed when Redis restarts.
    channel_layer_alias = "none"

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.state = State.HANDSHAKE
        self.where = {**scope["url_route"]["kwargs"], "headers": scope.get("headers", ())}
        self.origin = settings.PROXIES.origin_of(scope)
        self.peer = Peer(scope, receive, send)
        self.connection = Connection()
        # Messages that came before the first one, which are none, and why the last was refused.
        self.early = 0
        self.reason = "nothing came"
        # From OPEN on.
        self.socket: OpenSocket | None = None

    @classmethod
    def as_asgi(cls, **_: Any) -> Any:
        """Return an ASGI application that makes a consumer for each socket, whole from the beginning."""

        def application(scope: Message, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
            return cls(scope, receive, send).run()

        return application

    async def run(self) -> None:
        """Go through the states; an end for each, whatever happens."""
        if not await self.peer.knocks():
            return
        OPEN.add(self)
        garbage.put_off(len(OPEN))
        try:
            admission = await self._admitted()
            if admission and (first := await self._first(admission)):
                await self._talk(OpenSocket(self.peer, self.connection, admission, self._line(admission, first)))
        finally:
            OPEN.discard(self)
            ADMITTED.discard(self)
            garbage.put_off(len(OPEN))

    # HANDSHAKE

    async def _admitted(self) -> Admission | None:
        """Let the socket in, or refuse it in the handshake: then the step's ``failed`` branch answers."""
        try:
            load.WATCH.start()
            # Whoever has no token of ours costs the database nothing.
            self._check_token()
            admission = await THREADS.run(admit, **self.where)
            if reason := load.why_not(len(ADMITTED)):
                await self._keep(admission, "problem", f"A socket was refused: {reason}", "refused")
                raise SocketRefused(reason)
            ADMITTED.add(self)
        except SocketRefused as refused:
            # A flood of strangers would fill the log.
            if STRANGERS.spend(self.origin, time.monotonic()):
                log.warning("a socket for line %s was refused: %s", self.where["line"], refused)
            if isinstance(refused, WrongAuthorization):
                TALLY.count_in_background("authorization", str(refused))
            await self.peer.close(NOT_SPOKEN)
            return None
        await self.peer.accept()
        return admission

    def _check_token(self) -> None:
        """Raise SocketRefused for a token that is none of ours: who brings many is not listened to by and by."""
        try:
            nonce_of(self.where["line"], self.where["token"])
        except SocketRefused:
            FORGERS.spend(self.origin, time.monotonic())
            raise

    async def _first(self, admission: Admission) -> Connected | None:
        """Return the first message, with which the token is used up; None when the socket was closed instead."""
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                first = await self._connected()
        except TimeoutError:
            text = f"No first message within {FIRST_MESSAGE_SECONDS:g} s: {self.reason}"
            await self._keep(admission, "problem", text, "silent")
            await self.peer.close(NOT_SPOKEN)
            return None
        if first is None:
            await self._keep(admission, "socket", f"Closed before the first message: {self.reason}", "closed")
            return None
        if not await THREADS.run(claim, admission, WORKER):
            text = "A second socket came with the same address, and was closed"
            await self._keep(admission, "problem", text, "twice")
            await self.peer.close(TWICE)
            return None
        return first

    async def _connected(self) -> Connected | None:
        """Wait for the first message, counting what comes before it; None when the socket is closed."""
        while (message := await self.peer.receive()) is not None:
            event = self.connection.receive(message)
            if isinstance(event, Connected):
                return event
            self.early += 1
            self.reason = event.reason if isinstance(event, Rubbish) else "another message came"
        return None

    async def _keep(self, admission: Admission, kind: str, text: str, name: str) -> None:
        """Have something stand on the timeline of a call whose line is not open."""
        try:
            told = line_record(admission.line_id, admission.call_id, [Note(kind, text, name)])
            await THREADS.run(keep_line, told)
        except Exception:
            log.exception("line %s: this could not be written: %s", admission.line_id, text)

    def _line(self, admission: Admission, first: Connected) -> Line:
        rate = first.fmt.rate
        line = Line(
            first.fmt,
            headers=first.headers,
            settings=admission.settings,
            sound=partial(self._sound, rate),
            recording=admission.recording,
            lead=APPS[admission.app].lead,
            inbox_seconds=settings.INBOX_SECONDS,
            # Uvloop's own clock has whole milliseconds, and stands still while anything runs.
            clock=time.monotonic,
            lag=load.WATCH.lag,
        )
        line.note("socket", f"Open, {rate // 1000} kHz", "open", headers=dict(first.headers), worker=WORKER)
        if self.early:
            line.figures["bad"] = self.early - 1
            line.hear(Rubbish(self.reason))
        return line

    async def _sound(self, rate: int, version: int) -> memoryview:
        return await THREADS.run(load_sound, version, rate)

    # OPEN and ENDING

    async def _talk(self, opened: OpenSocket) -> None:
        self.socket, self.state = opened, State.OPEN
        outcome = ""
        try:
            outcome = await opened.run()
        finally:
            # Also when the server cancels us: the end is written all the same.
            self.state = State.ENDING
            await asyncio.shield(opened.end(outcome))

    async def drain(self) -> None:
        """End this socket because the process stops; its ``disconnected`` event is answered by the fallback branch."""
        if self.socket is None:
            await self.peer.close(GOING_AWAY)
        else:
            self.socket.line.note("socket", "The worker stops: the socket is closed", "drained")
            self.socket.stop("drained")
