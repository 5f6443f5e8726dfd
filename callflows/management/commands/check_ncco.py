"""Knows how to tell people and programs what is wrong with the NCCOs in files."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from callflows.ncco.document import problems
from callflows.ncco.files import parse
from callflows.ncco.problems import OURS, Problem

_HEAD = ("FILE", "PATH", "SEVERITY", "MESSAGE", "SOURCE")


class Command(BaseCommand):
    help = "Say what is wrong with NCCOs in JSON files. Exit code 1: Vonage would refuse at least one of them."
    # Files are looked at, nothing else: no database, no settings.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        parser.add_argument(
            "--own",
            action="append",
            metavar="NUMBER",
            help="a number of the account's, once for each: calls out from other numbers are warned of",
        )

    def handle(self, *, files: list[str], own: list[str] | None = None, **options: Any) -> None:
        found = [(file, check(Path(file), own)) for file in files]
        if options["json"]:
            told = [{"file": file, "problems": [asdict(each) for each in its]} for file, its in found]
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self._table(found)
        if any(each.severity == "error" for _, its in found for each in its):
            sys.exit(1)

    def _table(self, found: list[tuple[str, list[Problem]]]) -> None:
        """Print what is in order first, then a table of what is not."""
        for file, its in found:
            if not its:
                self.stdout.write(f"{_printable(file)}: no problems")
        rows = [
            (_printable(file), each.path, each.severity, each.message, each.source)
            for file, its in found
            for each in its
        ]
        widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
        for row in [_HEAD, *rows] if rows else []:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def check(file: Path, own: Collection[str] | None = None) -> list[Problem]:
    """Return what is wrong with the NCCO in a file; one that cannot be read has one error."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        return [Problem("$", "error", f"expected a file that can be read, got: {error.strerror}", OURS)]
    document, found = parse(raw)
    if any(each.severity == "error" for each in found):
        return found
    return [*found, *problems(document, own=own)]


def _printable(name: str) -> str:
    """Return a file's name as any terminal takes it: bytes that are no UTF-8 become question marks."""
    return name.encode(errors="replace").decode()
