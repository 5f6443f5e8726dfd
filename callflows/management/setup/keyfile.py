"""Knows how a private key that is shown once gets into a file that nobody else can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from django.core.management.base import CommandError

# Opens a file of mode 0600, for us alone to write.
Place = Callable[[], tuple[int, Path]]


class NotKept(Exception):
    """The key could not be written anywhere; says what was tried."""


class KeyFile:
    """A file taken before the key exists: nothing is made at Vonage while its key could not be kept."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(_new(self.path)[0])
        except OSError as error:
            text = "exists, and may hold a key that is needed" if self.path.exists() else f"cannot be written ({error})"
            raise CommandError(f"{self.path} {text}: choose another with --key-file. Nothing was made.") from None

    def __call__(self) -> tuple[int, Path]:
        return os.open(self.path, os.O_WRONLY | os.O_TRUNC), self.path

    def release(self) -> None:
        """Remove the file if no key came."""
        with suppress(OSError):
            if self.path.stat().st_size == 0:
                self.path.unlink()


def keep(pem: str, first: Place, ask: Callable[[str], str] | None = None) -> Path:
    """Write the key and return where it is. A full disk: other folders, then wherever the person says.

    Raises NotKept. The key is never shown: a terminal's lines end up in logs.
    """
    tried = []
    for place in _places(first, ask):
        try:
            return _write(pem, *place())
        except OSError as error:
            tried.append(str(error))
    raise NotKept("; ".join(tried))


def _places(first: Place, ask: Callable[[str], str] | None) -> Iterator[Place]:
    yield first
    yield inside(Path(os.path.expanduser("~")))
    yield inside(Path(tempfile.gettempdir()))
    while ask and (path := ask("The private key could not be written. A path on another disk (empty: give up):")):
        yield partial(_new, Path(path).expanduser().absolute())


def inside(folder: Path) -> Place:
    """Return a place of a new name in a folder."""
    return partial(_inside, folder)


def _inside(folder: Path) -> tuple[int, Path]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix="vonage-private-key-", suffix=".pem", dir=folder)
    return handle, Path(path)


def _new(path: Path) -> tuple[int, Path]:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), path


def _write(pem: str, handle: int, path: Path) -> Path:
    """Write all of the key, or raise OSError and leave nothing: it is on the disk when this returns."""
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path
