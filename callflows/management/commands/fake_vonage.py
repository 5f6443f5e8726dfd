"""Knows the command that runs a fake Vonage beside a server of ours: its REST API, and calls that it places."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from callflows.management.fakes import add_allow_host, add_knob
from callflows.prefix import prefix
from callflows.serving import CannotListen, check_address
from callflows.simulator.account import APPLICATION, Account, Application, Number, plain_id
from callflows.simulator.dial import Dial
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.party import Behaviour, Outcome
from callflows.simulator.platform import Platform
from callflows.simulator.rest.fake import Fake
from callflows.simulator.rest.server import HOST, Certificate
from callflows.simulator.rest.store import NotKept, Store
from callflows.simulator.scenario import knobs
from callflows.simulator.typed import CALLER

PORT = 9000
# The demo's.
NUMBERS = tuple(f"44770090000{place}" for place in range(1, 7))
KEY_VARIABLE = "FAKE_VONAGE_KEY"
# How often we look whether the terminal is ours again.
BACKGROUND_SECONDS = 1.0
# Invented, all of them: what there is to buy.
FOR_SALE = (
    *(Number(f"4420794602{place:02}", "GB", "landline", ("VOICE",)) for place in range(20)),
    *(Number(f"4477009002{place:02}", "GB", "mobile-lvn", ("VOICE", "SMS")) for place in range(20)),
    *(Number(f"155501002{place:02}", "US", "landline", ("VOICE", "SMS", "MMS")) for place in range(20)),
)

WHAT_NOW = """
Fake Vonage at {url}, in front of {server}, until Ctrl-C.

  The environment of the server, of the worker and of manage.py:
{exports}
  In the admin, the application {application} (its key is read from the file that {variable}_FILE names):
    API host              {url}
    Private key variable  {variable}
  Numbers that reach it   {numbers}
  Then, for example       .venv/bin/python manage.py place_call --flow Echo --to 447700900222
                          .venv/bin/python manage.py vonage check
  Or here: a number and Enter calls it from {caller}; then keys, such as 1 or 42#; then bye.
"""


class Command(BaseCommand):
    help = (
        "Run a fake Vonage: calls, recordings, applications and numbers by REST, for calls to a server of ours. "
        "Applications and numbers stay in DATA_DIR/fake-vonage; calls do not."
    )
    # It talks to a server and needs no database of its own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--server", help="where webhooks and sockets of PUBLIC_URL are dialled (default: http://127.0.0.1:PORT)")
        add("--port", type=int, default=PORT, help="where the REST API listens, 0 for any (default: %(default)s)")
        add("--tls", action="store_true", help="speak https, with a certificate that is thrown away at the end")
        add("--application", default=APPLICATION, help="id of the application (default: the demo's)")
        add("--number", action="append", type=_number, help="a number that reaches it (default: the demo's six)")
        add(
            "--party",
            action="append",
            type=_party,
            default=[],
            metavar="NUMBER=OUTCOME",
            help=f"what somebody does when called: {', '.join(get_args(Outcome))}, machine, never (default: answers)",
        )
        add_knob(parser)
        add_allow_host(parser)

    def handle(self, *, port: int, tls: bool, **options: Any) -> None:
        # The timeline says it better.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        certificate = Certificate() if tls else None
        try:
            check_address(HOST, port, "--port ")
            fake = _fake(certificate, **options)
            asyncio.run(_run(fake, port, lambda: self._tell(fake, options)))
        except (CannotListen, NotKept) as error:
            raise CommandError(str(error)) from error
        finally:
            if certificate:
                certificate.remove()
        self.stdout.write("Stopped.")

    def _tell(self, fake: Fake, options: dict[str, Any]) -> None:
        assert fake.store is not None
        account, application = fake.platform.account, options["application"]
        linked = [
            each.msisdn for each in account.numbers.values() if plain_id(each.application) == plain_id(application)
        ]
        text = WHAT_NOW.format(
            url=fake.url,
            server=_server(options["server"]),
            exports="".join(f"    export {each}\n" for each in _exports(fake, _server(options["server"]))),
            application=application,
            variable=KEY_VARIABLE,
            numbers=", ".join(linked) or "none",
            caller=CALLER,
        )
        self.stdout.write(text)
        self.stdout.flush()


def _exports(fake: Fake, server: str) -> list[str]:
    """Return what our own processes need in their environment to use the fake."""
    account = fake.platform.account
    assert fake.store is not None
    trusting = [f"SSL_CERT_FILE={fake.certificate.path}"] if fake.certificate else []
    bundle = [f"REQUESTS_CA_BUNDLE={fake.certificate.path}"] if fake.certificate else []
    return [
        f"PUBLIC_URL={settings.PUBLIC_URL or server}",
        f"TRUSTED_ORIGINS={fake.url}",
        f"SIGNATURE_SECRETS={account.api_key}:{account.signature_secret}",
        f"{KEY_VARIABLE}_FILE={fake.store.key_file}",
        f"VONAGE_API_KEY={account.api_key}",
        f"VONAGE_API_SECRET={account.api_secret}",
        f"VONAGE_API_URL={fake.url}",
        f"VONAGE_REST_URL={fake.url}",
        *trusting,
        # The vendor's SDK reads this one.
        *bundle,
    ]


def _fake(
    certificate: Certificate | None,
    *,
    server: str | None,
    application: str,
    number: list[str] | None,
    party: list[tuple[str, Behaviour]],
    knob: list[tuple[str, Any]],
    allow_host: list[str],
    **options: Any,
) -> Fake:
    store = Store(Path(settings.DATA_DIR) / "fake-vonage")
    base, account = (settings.PUBLIC_URL or _server(server)) + prefix(), _account()
    account.for_sale.update({each.msisdn: each for each in FOR_SALE})
    store.load(account)
    key, known = store.public_key(), account.find(application)
    if known is None:
        for each in number or NUMBERS:
            account.numbers[each] = Number(each, application=application)
    if known is None or known.public_key.strip() == key.strip():
        # One that this command has made goes to the server of today.
        account.applications[application] = Application.at(application, "Demo", base, key)
    for each in number or ():
        account.numbers.setdefault(each, Number(each)).application = application
    for each in account.numbers:
        account.for_sale.pop(each, None)
    platform = Platform(datetime.now(UTC), knobs(dict(knob)), account=account)
    platform.parties.update(party)
    dial = Dial(_server(server), settings.PUBLIC_URL, allowed=frozenset(allow_host))
    return Fake(platform, dial, _show, store, certificate)


def _account() -> Account:
    """Return an account with the credentials of the environment, where it has some, else invented ones."""
    usual = Account()
    key, secret = settings.VONAGE_API_KEY or usual.api_key, settings.VONAGE_API_SECRET or usual.api_secret
    signing = settings.SIGNATURE_SECRETS.get(key) or [usual.signature_secret]
    return Account(api_key=key, api_secret=secret, signature_secret=signing[0])


def _server(given: str | None) -> str:
    return (given or f"http://{HOST}:{settings.PORT}").rstrip("/")


def _show(seen: Note | Heard | Said) -> None:
    """Print the timeline; several calls run at once, so each line begins with its leg."""
    if isinstance(seen, Note):
        print(f"{seen.t:8.3f}  {seen.uuid[:8]:<8}  {seen.leg:<9}  {seen.kind:<7}  {seen.text}", flush=True)


async def _run(fake: Fake, port: int, tell: Any) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)

    def ready(fake: Fake) -> None:
        tell()
        # A file, or nothing at all, cannot be waited for.
        if os.isatty(0) or stat.S_ISFIFO(os.fstat(0).st_mode):
            loop.add_reader(0, _read, fake, loop)

    await fake.run(stop, port, ready)


def _read(fake: Fake, loop: asyncio.AbstractEventLoop) -> None:
    """Take what was typed."""
    if os.isatty(0) and os.tcgetpgrp(0) != os.getpgrp():
        # We run in the background: it is meant for somebody else, and the terminal would stop us for reading it.
        loop.remove_reader(0)
        loop.call_later(BACKGROUND_SECONDS, loop.add_reader, 0, _read, fake, loop)
        return
    lines = os.read(0, 4096).decode(errors="replace")
    for line in filter(str.strip, lines.splitlines()):
        fake.type(line)
    if not lines:
        loop.remove_reader(0)


def _number(text: str) -> str:
    digits = "".join(letter for letter in text if letter not in " +-()./")
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
        raise ArgumentTypeError(f"expected a number such as 447700900001, got {text!r}")
    return digits


_parties = {
    **{outcome: partial(Behaviour, outcome=outcome) for outcome in get_args(Outcome)},
    "machine": partial(Behaviour, machine=True, beep=3.0),
    "never": partial(Behaviour, rings=None),
}


def _party(text: str) -> tuple[str, Behaviour]:
    number, _, outcome = text.partition("=")
    if outcome not in _parties:
        raise ArgumentTypeError(f"expected NUMBER=OUTCOME with one of {', '.join(_parties)}, got {text!r}")
    return _number(number), _parties[outcome]()
