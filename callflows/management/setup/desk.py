"""Knows what each subcommand of `manage.py vonage` works with: the account, the admin's rows, the person asked."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from callflows.models import Application
from callflows.prefix import prefix
from callflows.vonage.applications import Applications, same_id
from callflows.vonage.numbers import Numbers
from callflows.vonage.setup import Credentials, Sender

# An application's id: a UUID, of old ones without dashes.
ID = re.compile(r"[0-9a-fA-F]{8}(-?)([0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}")

# What must be set in the environment, and to what.
ACCOUNT = {"VONAGE_API_KEY": "the account's API key", "VONAGE_API_SECRET": "the account's API secret"}
SERVER = {"PUBLIC_URL": "https://host, as Vonage reaches this server"}


def require(names: Mapping[str, str]) -> None:
    """Raise CommandError that names all settings that are missing."""
    if missing := [f"{name} ({meaning})" for name, meaning in names.items() if not getattr(settings, name)]:
        raise CommandError(f"These must be set in the environment first: {', '.join(missing)}.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a subcommand says: lines for people, ``data`` for programs; ``wrong`` is why the exit code is 1."""

    lines: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)
    wrong: str = ""


@dataclass
class Desk:
    """What a subcommand works with. ``yes``: questions are answered already. ``quiet``: nobody may be asked."""

    stderr: OutputWrapper
    application: str = ""
    yes: bool = False
    quiet: bool = False

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET, tuple(settings.TRUSTED_ORIGINS))

    @cached_property
    def applications(self) -> Applications:
        return Applications(Sender(self.credentials, settings.VONAGE_API_URL))

    @cached_property
    def numbers(self) -> Numbers:
        return Numbers(self.credentials, settings.VONAGE_REST_URL)

    @property
    def base(self) -> str:
        """The address below which Vonage is told ours."""
        return f"{settings.PUBLIC_URL}{prefix()}"

    # The admin's applications

    def known(self) -> Application | None:
        """Return the application that was named, or the only one; None when the admin does not have it."""
        rows = list(Application.objects.all())
        if self.application:
            given = self.application
            found = [each for each in rows if each.name == given or same_id(each.application_id, given)]
            return found[0] if found else None
        if len(rows) > 1:
            names = ", ".join(shlex.quote(each.name) for each in rows)
            raise CommandError(f"There are several applications: choose one with --application, of {names}.")
        return rows[0] if rows else None

    def chosen(self) -> Application:
        """Return the application that was named, or the only one. Raises CommandError when the admin has none."""
        if row := self.known():
            return row
        if not self.application:
            raise CommandError("The admin has no application yet: python manage.py vonage create-application NAME")
        raise CommandError(
            f"The admin has no application {self.application!r}. For one that the account has already: "
            "python manage.py vonage update-urls --application ID"
        )

    def target(self) -> tuple[Application | None, str]:
        """Return the admin's row, if there is one, and the id; an id may be of an application that it does not have."""
        row = self.known()
        if row is None and ID.fullmatch(self.application):
            return None, self.application
        row = self.chosen()
        return row, row.application_id

    def run(self, subcommand: str) -> str:
        """Return the command line of a subcommand for the application that was chosen."""
        chosen = f" --application {shlex.quote(self.application)}" if self.application else ""
        return f"python manage.py vonage {subcommand}{chosen}"

    # The person

    def agrees(self, question: str) -> bool:
        """Return whether the person says yes; nobody there is a no."""
        if self.yes:
            return True
        if self.quiet:
            raise CommandError(f"With --json nothing is asked; add --yes to agree to this: {question}")
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """Return what the person types; nothing when nobody is there."""
        self.stderr.write(f"{question} ", ending="")
        self.stderr.flush()
        return sys.stdin.readline().strip()


def clause(error: Exception) -> str:
    """Return an error's text, so that a sentence can go on after it."""
    return str(error).rstrip(".")


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns of one width each."""
    kept = [[*map(str, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in kept]
