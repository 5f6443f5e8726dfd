"""Knows how the fake's account outlives its process: applications and numbers in one file, for their owner only."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from callflows.simulator.account import Account, Application, Number
from callflows.simulator.rest.keys import new_pair, public_of


class NotKept(Exception):
    """The account's folder cannot be used: says why, and what to do."""


class Store:
    """A folder with the account and the key of its first application."""

    def __init__(self, folder: Path) -> None:
        self.key_file = folder / "private-key.pem"
        self._file = folder / "account.json"
        self._saved = ""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NotKept(f"{folder} cannot be made: {error.strerror}") from None

    def public_key(self) -> str:
        """Return the public half of the key in ``key_file``, which is made when there is none."""
        try:
            if not self.key_file.exists():
                _write(self.key_file, new_pair()[0])
            return public_of(self.key_file.read_text(encoding="ascii"))
        except (OSError, ValueError, TypeError) as error:
            raise NotKept(f"{self.key_file} is no key that can be used ({error}): delete it, and begin anew") from None

    def load(self, account: Account) -> None:
        """Bring back what an earlier process kept."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotKept(f"{self._file} cannot be read: {error.strerror}") from None
        try:
            kept = json.loads(text)
            applications = {id: Application(id, dict(document)) for id, document in kept["applications"].items()}
            numbers, for_sale = ([_number(each) for each in kept[name]] for name in ("numbers", "for_sale"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotKept(f"{self._file} is none of ours ({error!r}): delete it, and begin anew") from None
        account.applications.update(applications)
        account.numbers.update({each.msisdn: each for each in numbers})
        account.for_sale.update({each.msisdn: each for each in for_sale})
        self._saved = text

    def save(self, account: Account) -> None:
        """Keep the account as it is now, when it has changed. Raises OSError."""
        kept = {
            "applications": {id: each.document for id, each in account.applications.items()},
            "numbers": [asdict(each) for each in account.numbers.values()],
            "for_sale": [asdict(each) for each in account.for_sale.values()],
        }
        text = json.dumps(kept, indent=1)
        if text != self._saved:
            aside = self._file.with_suffix(".new")
            aside.unlink(missing_ok=True)
            _write(aside, text)
            aside.replace(self._file)
            self._saved = text


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _number(kept: dict[str, Any]) -> Number:
    forward = kept["forward"]
    features = tuple(kept["features"])
    return Number(**{**kept, "features": features, "forward": (forward[0], forward[1]) if forward else None})
