"""Knows the command that places calls like a caller's, through this server's own webhooks and sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows.audio.files import wav_bytes
from callflows.audio.format import AudioError
from callflows.management.fakes import add_allow_host, add_knob
from callflows.prefix import prefix
from callflows.simulator.account import WebhookName
from callflows.simulator.caller import KEYS, Press
from callflows.simulator.driver import NoServer
from callflows.simulator.faults import Wanted, listed
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour, Keys, Say, Step
from callflows.simulator.performing import heard_by, perform, result_of
from callflows.simulator.rehearsal import rehearse
from callflows.simulator.result import Result
from callflows.simulator.saving import kept
from callflows.simulator.scenario import Incoming, Scenario, ScenarioError, knobs, load, said
from callflows.simulator.scenario_play import Play
from callflows.simulator.show import Screen
from callflows.simulator.sound import Sound, Voice, sample_voice

SECONDS = 8.0
# Between the beginning of the input and the first key of --digits.
THINKING_SECONDS = 0.5
# Options that say what a scenario says.
OWN = ("to", "audio", "press", "digits", "say", "also", "seconds")
EPILOG = "faults, each for all calls; the seconds after @ are the usual ones:\n" + listed()


class Command(BaseCommand):
    help = (
        "Call one of this server's numbers, as Vonage would: webhooks, audio socket and all.\n"
        "--audio, --say, the times of --press, and --seconds count from the moment when the flow first listens."
    )
    # It talks to a server and needs no database of its own.
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)
        # The table of faults keeps its lines.
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--to", type=_number, help="the number to call, such as 447700900001 or '+44 7700 900001'")
        add("--scenario", type=Path, metavar="FILE", help="play a scenario: a YAML file, see docs/simulator.md")
        add("--rehearse", action="store_true", help="play it in no time, without a server: against its own replies")
        add("--server", help="where the webhooks are (default: as in --answer-url, or http://127.0.0.1:PORT)")
        add("--from", dest="from_", default="447700900123", help="the caller's number (default: %(default)s)")
        add("--audio", type=Path, help="what the caller says: WAV, FLAC, OGG or MP3 (default: a quiet tone pattern)")
        add("--say", type=_say, action="append", default=[], metavar="WAV|TEXT[@SECONDS]", help="say a file or a text")
        add("--press", type=_presses, action="append", default=[], help="keys and when, such as 5@1.0 or 42#@1.5")
        add("--digits", type=_digits, action="append", default=[], help="keys when the flow asks; again: the next time")
        add("--also", type=_also, action="append", default=[], metavar="NUMBER[@SECONDS]", help="another caller, then")
        add("--fault", type=_fault, action="append", default=[], metavar="NAME[@SECONDS]", help="see below")
        add("--seconds", type=float, help=f"when the caller hangs up (default: {SECONDS:g}, or the end of --audio)")
        add("--save", type=Path, metavar="F.wav", help="write what the caller heard to F.wav, others to F.WHO.wav")
        add("--answer-method", choices=["GET", "POST"], default="GET", help="how the answer webhook is asked")
        add("--answer-url", metavar="URL", help="another answer webhook: an address, or a path such as /ncco")
        add("--event-url", metavar="URL", help="another event webhook; beside --answer-url there is none without it")
        add("--fallback-url", metavar="URL", help="another fallback webhook; likewise")
        add_allow_host(parser)
        add_knob(parser)
        add("--json", action="store_true", help="print the result as one JSON object; all else goes to stderr")

    def handle(self, *args: Any, **options: Any) -> None:
        # The timeline says it better.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        if options["save"] and not options["save"].absolute().parent.is_dir():
            raise CommandError(f"--save: there is no folder {str(options['save'].parent)!r}; make it first")
        scenario = _chosen(options)
        for hint in scenario.hints:
            self.stderr.write(hint)
        play, result = self._played(scenario, options)
        files = _save(options["save"], play) if options["save"] and play else {}
        if files and not options["json"]:
            self.stdout.write(f"Saved {', '.join(files.values())}.")
        if options["json"]:
            self.stdout.write(json.dumps({**_as_json(result, play), "saved": files}))
            if not result.ok:
                sys.exit(1)
        elif not result.ok:
            raise CommandError(("\n" if scenario.expect else "; ").join(dict.fromkeys(result.refusals)))
        else:
            self._tell(result, scenario)

    def _tell(self, result: Result, scenario: Scenario) -> None:
        heard = result.as_json()["heard"]
        self.stdout.write(f"Call {result.status}: heard {heard['seconds']:.2f} s, {heard['lost']} frames lost.")
        if scenario.expect:
            self.stdout.write(f"{scenario.name}: all {len(scenario.expect)} expectations were met.")
        if any(note.data.get("ncco") == settings.SAFE_NCCO for note in result.timeline):
            self.stdout.write("It got the safe NCCO, not a flow: the call's page in the admin says why.")

    def _played(self, scenario: Scenario, options: dict[str, Any]) -> tuple[Play | None, Result]:
        """Play it; without anybody to play it to, return only the reason."""
        hang_up = asyncio.Event()
        several = len(scenario.calls) > 1
        screen = Screen(sys.stderr if options["json"] else sys.stdout, several=several, gone=hang_up.set)
        try:
            if options["rehearse"]:
                play = rehearse(scenario, screen)
            else:
                play = asyncio.run(_performed(scenario, options, screen, hang_up))
        except (NoServer, AudioError, OSError, ScenarioError) as error:
            return None, Result("", "", "", (str(error),), (), Sound(), 0, 0)
        finally:
            screen.close()
            if screen.broken:
                # Nobody reads: what Python still writes at its end must not be an error.
                os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if options["json"] else sys.stdout).fileno())
        return play, result_of(play)


async def _performed(scenario: Scenario, options: dict[str, Any], screen: Screen, hang_up: asyncio.Event) -> Play:
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        # The first Ctrl-C hangs up; a second one ends the program.
        loop.remove_signal_handler(signal.SIGINT)
        hang_up.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    return await perform(
        scenario,
        options["server"] or server_of(options["answer_url"] or ""),
        public_url=settings.PUBLIC_URL,
        prefix=prefix(),
        method=options["answer_method"],
        addresses=_addresses(options),
        allowed=options["allow_host"],
        signing=next(((key, secrets[0]) for key, secrets in settings.SIGNATURE_SECRETS.items()), None),
        watch=screen,
        hang_up=hang_up,
    )


def server_of(answer_url: str) -> str:
    """Return the server of an answer URL that is a whole address; ours, of any other."""
    parts = urlsplit(answer_url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"http://127.0.0.1:{settings.PORT}"


def _addresses(options: dict[str, Any]) -> dict[WebhookName, str] | None:
    """Return the application's webhooks, where they are not ours."""
    given: dict[WebhookName, str | None] = {
        "answer_url": options["answer_url"],
        "event_url": options["event_url"],
        "fallback_answer_url": options["fallback_url"],
    }
    chosen = {name: address for name, address in given.items() if address}
    if chosen and "answer_url" not in chosen:
        raise CommandError("--event-url and --fallback-url: expected --answer-url beside them")
    return chosen or None


def _as_json(result: Result, play: Play | None) -> dict[str, Any]:
    """Return what --json prints: the first call as ever, then who heard how much, and what was not as expected."""
    heard = heard_by(play) if play else []
    failures = play.failures() if play else []
    return {
        **result.as_json(),
        "parties": [
            {"uuid": uuid, "seconds": round(sound.seconds, 2), "frames": sound.frames} for uuid, sound in heard
        ],
        "failures": [{"step": each.step, "expected": each.expected, "came": each.came} for each in failures],
    }


def _save(path: Path, play: Play) -> dict[str, str]:
    """Write what the first caller heard to F.wav, what others did beside it; return the files by leg."""
    files = {}
    for each in kept(play):
        target = path.with_name(f"{path.stem}.{each.name}{path.suffix}") if each.name else path
        target.write_bytes(wav_bytes(each.pcm, each.rate))
        files[each.leg] = str(target)
    return files


def _chosen(options: dict[str, Any]) -> Scenario:
    """Return the scenario of a file, or the one that the options describe; raises CommandError."""
    given = [f"--{name}" for name in OWN if options[name] not in (None, [])]
    try:
        if options["scenario"]:
            if given:
                raise CommandError(f"--scenario: the file says who calls and what they do; leave out {given[0]}")
            scenario = load(options["scenario"])
        elif options["rehearse"]:
            raise CommandError("--rehearse: expected a --scenario, whose `server` takes the server's place")
        elif options["to"] is None:
            raise CommandError("expected --to NUMBER or --scenario FILE")
        else:
            scenario = _described(options)
    except (ScenarioError, AudioError, OSError) as error:
        raise CommandError(str(error)) from error
    if options["knob"]:
        scenario = replace(scenario, knobs=knobs({**asdict(scenario.knobs), **dict(options["knob"])}))
    return scenario.with_faults(tuple(options["fault"]))


def _described(options: dict[str, Any]) -> Scenario:
    seconds, hints, steps = options["seconds"], [], []
    voice = Voice.read(options["audio"]) if options["audio"] else None
    for what, at in options["say"]:
        spoken, text, hint = said(what, Path())
        hints.append(hint)
        steps.append(Step(Say(spoken, text), at))
    if seconds is None:
        ends = [at + do.voice.seconds for at, do in ((each.at, each.do) for each in steps) if isinstance(do, Say)]
        seconds = max([SECONDS, *ends, voice.seconds if voice else 0.0])
    steps += [Step(Keys(keys), THINKING_SECONDS, "input", nth) for nth, keys in enumerate(options["digits"], 1)]
    if voice is None and not options["say"]:
        voice = sample_voice(seconds)
    presses = tuple(press for presses in options["press"] for press in presses)
    first = Behaviour(voice=voice, presses=presses, seconds=seconds, steps=tuple(steps))
    calls = [Incoming(0.0, options["to"], options["from_"], "phone", first, {})]
    for place, (number, at) in enumerate(options["also"], 1):
        # Each a fifth higher than the one before.
        other = Behaviour(voice=sample_voice(seconds, 1.5**place), seconds=seconds)
        calls.append(Incoming(at, options["to"], number, "phone", other, {}))
    told = tuple(dict.fromkeys(filter(None, hints)))
    return Scenario("simulate_call", tuple(calls), {}, Knobs(), (), {}, (), hints=told)


def _number(text: str) -> str:
    """Return a number as Vonage says it: digits only. Other texts, such as SIP addresses, stay as they are."""
    digits = re.sub(r"[\s().+-]", "", text)
    return digits if digits.isdigit() else text


def _presses(text: str) -> list[Press]:
    try:
        return Press.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _digits(text: str) -> str:
    if not text or set(text) - set(KEYS):
        raise ArgumentTypeError(f"expected keys of {KEYS}, got {text!r}")
    return text


def _at(text: str, usual: float) -> tuple[str, float]:
    """Return a text and the seconds after its last @."""
    found = re.fullmatch(r"(.+)@(\d+(?:\.\d+)?)", text, re.DOTALL)
    return (found[1], float(found[2])) if found else (text, usual)


def _say(text: str) -> tuple[str, float]:
    return _at(text, 0.0)


def _also(text: str) -> tuple[str, float]:
    number, at = _at(text, 1.0)
    return _number(number), at


def _fault(text: str) -> Wanted:
    try:
        return Wanted.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
