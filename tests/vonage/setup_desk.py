"""Knows how tests run `manage.py vonage` against a local account, without waiting."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from callflows.vonage.setup import Credentials
from tests.vonage.setup_account import KEY, SECRET, Account, key_pair

BASE = "https://calls.example.com"
CREDENTIALS = Credentials(KEY, SECRET)


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if seconds:
            self.slept.append(seconds)


@dataclass(frozen=True)
class Outcome:
    """What a subcommand wrote, and why it failed."""

    out: str
    err: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def shows_key(self, logged: str = "") -> bool:
        """Return whether a line of the private key stands in anything that was said."""
        lines = [line for line in key_pair()[0].splitlines() if line and not line.startswith("-----")]
        return any(line in self.out + self.err + self.error + logged for line in lines)


@dataclass
class Vonage:
    """Runs subcommands of `manage.py vonage`; ``types`` is what the person at the terminal types."""

    account: Account
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *words: str, types: str = "") -> Outcome:
        out, err, error = io.StringIO(), io.StringIO(), ""
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(types))
        try:
            call_command("vonage", *words, stdout=out, stderr=err)
        except CommandError as failure:
            error = str(failure)
        outcome = Outcome(out.getvalue(), err.getvalue(), error)
        assert SECRET not in repr(outcome)
        return outcome

    def succeeds(self, *words: str, types: str = "") -> Outcome:
        outcome = self(*words, types=types)
        assert not outcome.error
        return outcome
