"""Knows the command that begins a new socket app: one file and its test, which passes as it is written."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callflows import management, sockets
from callflows.sockets.registry import APPS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
_NEXT = """Wrote {app} and {test}.
What to do next:
1. Run its test: .venv/bin/python -m pytest {test}
2. Write what it does into run(), what operators choose into {title}Settings, and how it ends into outcomes.
   docs/audio-socket.md says what a line can do.
3. Start the server again. The app then stands in the admin, in a connect step under "Connect to"; a branch takes each
   outcome, and without one the caller is hung up."""


class Command(BaseCommand):
    help = "Begin a new socket app: callflows/sockets/NAME.py and its test. It is found by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="its name in flows: small letters, digits and dashes, such as opening-hours")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        _check(name)
        module = name.replace("-", "_")
        app = Path(*sockets.__path__) / f"{module}.py"
        test = Path(settings.BASE_DIR) / "tests" / "sockets" / f"test_{module}.py"
        for file in (app, test):
            if file.exists():
                raise CommandError(f"{_shown(file)} is there already: choose another name, or remove it first.")
        words = name.replace("-", " ")
        title = words.title().replace(" ", "")
        values = {"name": name, "module": module, "words": words, "label": words.capitalize(), "title": title}
        for file, template in ((app, "app.py-tpl"), (test, "test.py-tpl")):
            text = (Path(*management.__path__) / "socketapp" / template).read_text()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(values))
        self.stdout.write(_NEXT.format(app=_shown(app), test=_shown(test), title=title))


def _check(name: str) -> None:
    """Refuse a name that is none, or taken. Raises CommandError."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise CommandError(
            f"Expected a name of small letters, digits and single dashes that begins with a letter, at most {LONGEST} "
            f"characters, such as opening-hours; got {name[:60]!r}."
        )
    if keyword.iskeyword(name):
        raise CommandError(f"{name!r} is a word of Python, and cannot name a file to import: choose another one.")
    if name in APPS:
        raise CommandError(f"There is a socket app {name!r} already ({APPS[name].label}): choose another name.")


def _shown(file: Path) -> Path:
    """Return a path as it stands in the project."""
    return file.relative_to(settings.BASE_DIR) if file.is_relative_to(settings.BASE_DIR) else file
