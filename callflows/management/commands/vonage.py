"""Knows the command line that sets an account at Vonage up, without the vendor's own."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from callflows.management.setup.addresses import update_urls
from callflows.management.setup.application import create_application
from callflows.management.setup.check import check
from callflows.management.setup.desk import ACCOUNT, SERVER, Answer, Desk, require
from callflows.management.setup.fallback import fallback_file
from callflows.management.setup.link import link
from callflows.management.setup.numbers import numbers
from callflows.management.setup.shop import buy, search
from callflows.vonage.account import VonageError
from callflows.vonage.applications import REGIONS
from callflows.vonage.numbers import TYPES

SUBCOMMANDS: dict[str, Callable[..., Answer]] = {
    "check": check,
    "create-application": create_application,
    "update-urls": update_urls,
    "numbers": numbers,
    "search": search,
    "buy": buy,
    "link": link,
    "fallback-file": fallback_file,
}
# What must be set for it; for all others, the account.
NEEDS: dict[str, dict[str, str]] = {
    "fallback-file": {},
    **dict.fromkeys(("check", "create-application", "update-urls"), ACCOUNT | SERVER),
}
# What Django gives every command.
DJANGOS = (
    *("verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks"),
    *("stdout", "stderr"),
)


class Command(BaseCommand):
    help = "Set an account at Vonage up: applications, addresses, numbers. Each subcommand has --help, and --json."

    def add_arguments(self, parser: CommandParser) -> None:
        found = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")

        def add(name: str, help: str) -> ArgumentParser:
            one = found.add_parser(name, help=help, description=help)
            one.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
            return one

        for_one = [
            add("check", "Say what keeps callers out, and what to do. Exit code 1 when anything does."),
            _update_urls(add("update-urls", "Give an application our addresses, signed; the rest of it stays.")),
            _numbers(add("numbers", "List the account's numbers, or those of one application.")),
            _link(add("link", "Link a number to an application. Asks when it serves something else.")),
            _buy(add("buy", "Rent a number. Shows the price and asks.")),
            _fallback_file(add("fallback-file", "Write a static safe NCCO, to be hosted elsewhere.")),
        ]
        for one in for_one:
            one.add_argument("--application", default="", metavar="NAME|ID", help="which, when there are several")
        _create_application(add("create-application", "Make an application at Vonage, and in the admin."))
        _search(add("search", "Show numbers for sale."))

    def handle(self, *, subcommand: str, json: bool, **options: Any) -> None:
        given = {name: value for name, value in options.items() if name not in DJANGOS}
        desk = Desk(self.stderr, given.pop("application", ""), given.pop("yes", False), quiet=json)
        try:
            require(NEEDS.get(subcommand, ACCOUNT))
            answer = SUBCOMMANDS[subcommand](desk, **given)
        except (VonageError, CommandError) as error:
            answer = Answer(wrong=str(error))
        except Error as error:
            answer = Answer(wrong=f"The database cannot be used: {error}. Try python manage.py migrate")
        self._show(answer, as_json=json)
        if answer.wrong:
            raise CommandError(answer.wrong)

    def _show(self, answer: Answer, *, as_json: bool) -> None:
        if as_json:
            whole = {"ok": not answer.wrong, **({"error": answer.wrong} if answer.wrong else {}), **answer.data}
            self.stdout.write(json.dumps(whole, indent=2, ensure_ascii=False))
        else:
            for line in answer.lines:
                self.stdout.write(line)


def _create_application(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("name", help="as people will call it: 'Front desk'")
    one.add_argument("--region", choices=sorted(REGIONS), default="", help="where its calls live")
    _update_urls(one)
    one.add_argument("--key-file", default="", metavar="FILE", help="for the private key; else in DATA_DIR/keys")
    one.add_argument("--variable", default="", help="environment variable that will hold the private key")
    one.add_argument("--public-key", default="", metavar="FILE", help="of a key pair of your own, instead of Vonage's")
    return one


def _update_urls(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("--fallback-url", default="", metavar="URL", help="where the fallback file is hosted")
    return one


def _numbers(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("--sync", action="store_true", help="bring them into the admin; flows that are there stay")
    return one


def _link(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("number")
    one.add_argument("--yes", action="store_true", help="do not ask")
    return one


def _buy(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("number")
    one.add_argument("--country", default="", help="two letters; else taken from the calling code")
    one.add_argument("--yes", action="store_true", help="do not ask: it costs money")
    return one


def _search(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("country", help="two letters, such as GB")
    one.add_argument("--pattern", default="", help="4420 begins, *42* contains, *007 ends")
    one.add_argument("--type", choices=TYPES, default="", help="kind of number")
    one.add_argument("--features", default="VOICE", help="VOICE, SMS, MMS, or several with commas")
    one.add_argument("--limit", type=int, choices=range(1, 101), default=10, metavar="1-100", help="how many to show")
    return one


def _fallback_file(one: ArgumentParser) -> ArgumentParser:
    one.add_argument("file", nargs="?", default="", metavar="FILE")
    return one
