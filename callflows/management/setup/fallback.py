"""Knows the file that callers are served when this server is away: a static NCCO, hosted elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from callflows.management.setup.desk import Answer, Desk
from callflows.ncco.document import errors
from callflows.vonage.applications import host


def fallback_file(desk: Desk, *, file: str = "") -> Answer:
    """Write the settings' safe NCCO to a file, or show it."""
    document = settings.SAFE_NCCO
    if found := errors(document):
        raise CommandError(
            f"SAFE_NCCO is no NCCO that Vonage takes: {'; '.join(f'{e.path}: {e.message}' for e in found)}"
        )
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    data: dict[str, Any] = {"file": None, "ncco": document, "warnings": [*_warnings(text)]}
    if not file:
        return Answer([text.rstrip()], data)
    path = Path(file).absolute()
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        if not _same(path, text):
            raise CommandError(f"{path} exists and holds something else: delete it, or choose another name.") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
    lines = [
        f"Wrote {path}",
        *data["warnings"],
        "Host it on another machine than this server, over https, as application/json, for GET.",
        f"Then: {desk.run('update-urls --fallback-url https://elsewhere.example.com/' + path.name)}",
    ]
    return Answer(lines, {**data, "file": str(path)})


def _same(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def _warnings(text: str) -> list[str]:
    found = []
    ours = host(settings.PUBLIC_URL)
    if ours and ours in text:
        found.append(f"Careful: it names {ours}, which is away when this file is needed.")
    if "{{" in text:
        found.append("Careful: it has variables, which nobody fills in a static file.")
    return found
