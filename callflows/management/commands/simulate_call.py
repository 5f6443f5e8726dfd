"""Knows the command that places a call like a caller's, through this server's own webhooks and sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows.audio.files import wav_bytes
from callflows.audio.format import AudioError
from callflows.simulator.caller import Caller, Press
from callflows.simulator.driver import NoServer, place
from callflows.simulator.result import Result
from callflows.simulator.show import Screen
from callflows.simulator.sound import Sound, Voice, sample_voice

SECONDS = 8.0


class Command(BaseCommand):
    help = (
        "Call one of this server's numbers, as Vonage would: webhooks, audio socket and all. "
        "--audio, the times of --press, and --seconds count from the moment when the flow first listens."
    )
    # It talks to a server and needs no database of its own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--to", type=_number, required=True, help="the number to call, such as 447700900001 or '+44 7700 900001'")
        add("--server", help="where the webhooks are (default: http://127.0.0.1:PORT)")
        add("--from", dest="from_", default="447700900123", help="the caller's number (default: %(default)s)")
        add("--audio", type=Path, help="what the caller says: WAV, FLAC, OGG or MP3 (default: a quiet tone pattern)")
        add("--press", type=_presses, action="append", default=[], help="keys and when, such as 5@1.0 or 42#@1.5")
        add("--seconds", type=float, help=f"when the caller hangs up (default: {SECONDS:g}, or the end of --audio)")
        add("--save", type=Path, help="write what the caller heard to this WAV file")
        add("--answer-method", choices=["GET", "POST"], default="GET", help="how the answer webhook is asked")
        add("--json", action="store_true", help="print the result as one JSON object; all else goes to stderr")

    def handle(self, *args: Any, **options: Any) -> None:
        # The timeline says it better.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        if options["save"] and not options["save"].absolute().parent.is_dir():
            raise CommandError(f"--save: there is no folder {str(options['save'].parent)!r}; make it first")
        result = self._result(options)
        if options["save"] and result.sound.frames:
            pcm, rate = result.sound.mixdown()
            options["save"].write_bytes(wav_bytes(pcm, rate))
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json()))
            if not result.ok:
                sys.exit(1)
        elif not result.ok:
            raise CommandError("; ".join(result.refusals))
        else:
            heard = result.as_json()["heard"]
            self.stdout.write(f"Call {result.status}: heard {heard['seconds']:.2f} s, {heard['lost']} frames lost.")
            if any(note.data.get("ncco") == settings.SAFE_NCCO for note in result.timeline):
                self.stdout.write("It got the safe NCCO, not a flow: the call's page in the admin says why.")

    def _result(self, options: dict[str, Any]) -> Result:
        server = options["server"] or f"http://127.0.0.1:{settings.PORT}"
        screen = Screen(sys.stderr if options["json"] else sys.stdout)
        try:
            return asyncio.run(_call(_caller(options), server, options["answer_method"], screen))
        except (NoServer, AudioError, OSError) as error:
            return Result("", "", "", (str(error),), (), Sound(), 0, 0)
        finally:
            screen.close()


async def _call(caller: Caller, server: str, method: Any, screen: Screen) -> Result:
    hang_up = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        # The first Ctrl-C hangs up; a second one ends the program.
        loop.remove_signal_handler(signal.SIGINT)
        hang_up.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    return await place(caller, server, public_url=settings.PUBLIC_URL, method=method, watch=screen, hang_up=hang_up)


def _caller(options: dict[str, Any]) -> Caller:
    seconds = options["seconds"]
    voice = Voice.read(options["audio"]) if options["audio"] else sample_voice(SECONDS if seconds is None else seconds)
    if seconds is None:
        seconds = max(SECONDS, voice.seconds)
    presses = tuple(press for presses in options["press"] for press in presses)
    return Caller(options["to"], options["from_"], voice, presses, seconds)


def _number(text: str) -> str:
    """Return a number as Vonage says it: digits only. Other texts, such as SIP addresses, stay as they are."""
    digits = re.sub(r"[\s().+-]", "", text)
    return digits if digits.isdigit() else text


def _presses(text: str) -> list[Press]:
    try:
        return Press.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
