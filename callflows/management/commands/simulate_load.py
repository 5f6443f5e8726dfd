"""Knows the command that places many calls at once, and measures how the server bears them."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows.prefix import prefix
from callflows.simulator.account import application
from callflows.simulator.dial import LOOPBACK, Dial
from callflows.simulator.driver import Driver, NoServer, reach
from callflows.simulator.effects import HangUp
from callflows.simulator.load import Limits, Load, Plan, Report
from callflows.simulator.scenario import Scenario, ScenarioError, load

_BARS = 30
# Where there is no terminal, a line is written so seldom.
_PLAIN_SECONDS = 5.0


class Command(BaseCommand):
    help = (
        "Place many calls like callers' at once, as a scenario says, and measure answers, first sounds and frames. "
        "It loads this machine only, unless told otherwise."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--scenario", type=Path, required=True, metavar="FILE", help="who calls and what they do: docs/simulator.md"
        )
        add("--calls", type=_above(int), default=10, help="the most calls at once (default: %(default)s)")
        add("--rate", type=_above(float), default=1.0, help="starts in a second (default: %(default)s)")
        add(
            "--for", dest="seconds", type=_above(float), default=10.0, help="seconds of starting (default: %(default)s)"
        )
        add("--server", help="where the webhooks are (default: http://127.0.0.1:PORT)")
        add("--anywhere", action="store_true", help="load a server on another machine: be sure that it is yours")
        add("--answer-method", choices=["GET", "POST"], default="GET", help="how the answer webhook is asked")
        add("--max-answer", type=float, metavar="MS", help="exit 1 when p99 of the answer time is above")
        add(
            "--max-first-sound",
            type=float,
            metavar="MS",
            help="exit 1 when p99 of the time to the first sound is above",
        )
        add("--max-spacing", type=float, metavar="MS", help="exit 1 when p99 of the time between frames is above")
        add("--max-frames", type=float, metavar="N", help="exit 1 when more frames are bad or lost")
        add("--max-failed", type=float, metavar="N", help="exit 1 when more calls fail")
        add("--json", action="store_true", help="print the result as one JSON object; all else goes to stderr")

    def handle(self, *args: Any, **options: Any) -> None:
        # Each request in the log would stand between the lines of the progress.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        server = (options["server"] or f"http://127.0.0.1:{settings.PORT}").rstrip("/")
        if urlsplit(server).hostname not in LOOPBACK and not options["anywhere"]:
            raise CommandError(f"{server} is another machine: a load there needs --anywhere")
        plan = Plan(options["calls"], options["rate"], options["seconds"])
        bar = Bar(sys.stderr)
        try:
            scenario = load(options["scenario"])
            if len(scenario.calls) > plan.most:
                raise CommandError(f"--calls: expected at least {len(scenario.calls)}, the callers of the scenario")
            report = asyncio.run(_loaded(plan, scenario, server, options["answer_method"], bar))
        except (ScenarioError, NoServer) as error:
            raise CommandError(str(error)) from error
        finally:
            bar.close()
        limits = Limits(*(options[f"max_{name}"] for name in Limits.__slots__))
        beyond = report.beyond(limits)
        if options["json"]:
            self.stdout.write(json.dumps({**report.as_json(), "beyond": beyond}))
        else:
            self.stdout.write(str(report))
        if report.bottleneck:
            self.stderr.write(f"Mind: {report.bottleneck}; the server may be better than these numbers.")
        if beyond:
            raise CommandError("\n".join(beyond))


async def _loaded(plan: Plan, scenario: Scenario, server: str, method: Any, bar: Bar) -> Report:
    await reach(server)
    app = application((settings.PUBLIC_URL or server) + prefix(), method)
    signing = next(((key, secrets[0]) for key, secrets in settings.SIGNATURE_SECRETS.items()), None)
    app.document["capabilities"]["voice"]["signed_callbacks"] = signing is not None
    running = Load(plan, scenario, app, datetime.now(UTC), signing, bar)
    driver = Driver(running.stage, Dial(server, settings.PUBLIC_URL), running)
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        # The first Ctrl-C hangs up everywhere; a second one ends the program.
        loop.remove_signal_handler(signal.SIGINT)
        running.stop()
        driver.tell(HangUp())

    loop.add_signal_handler(signal.SIGINT, interrupted)
    began, worked = time.monotonic(), time.process_time()
    await driver.run(asyncio.Event(), until_over=True)
    return running.report((time.process_time() - worked) / (time.monotonic() - began))


class Bar:
    """Shows how far a load is: in place on a terminal, else as a line now and then, and at its end."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._live, self._last, self._text = out, out.isatty(), 0.0, ""

    def __call__(self, running: Load) -> None:
        now, plan = running.stage.now, running.plan
        done = min(1.0, now / plan.seconds)
        self._text = (
            f"[{'#' * round(done * _BARS):.<{_BARS}}] {now:5.1f} s of {plan.seconds:g}, "
            f"{len(running.live)} calls now, {len(running.starts)} started"
        )
        if self._live:
            self._write(f"\r{self._text}  ")
        elif now >= self._last + _PLAIN_SECONDS:
            self._last = now
            self._write(f"{self._text}\n")

    def close(self) -> None:
        """Leave the terminal with a clean line."""
        if self._text:
            self._write("\n" if self._live else f"{self._text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _above(kind: type[int] | type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < 1e6:
            raise ArgumentTypeError(f"expected a number above 0, got {text!r}")
        return value

    return parse
