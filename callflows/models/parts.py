"""Knows files that are still coming in: beside the kept ones, locked, and gone with whoever dies over them."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import fstat
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File


class Whole(File[bytes]):
    """A file on our disk that the storage may move instead of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def folder() -> Path:
    """Return where they are: on the file system of the kept ones, so that a whole file moves there in one step."""
    return Path(settings.MEDIA_ROOT) / "recordings" / "parts"


@contextmanager
def part() -> Iterator[IO[bytes]]:
    """Yield a new file, only for our own user; what nobody moved away by the end is removed."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    file = _locked()
    try:
        yield file
    finally:
        file.close()
        Path(file.name).unlink(missing_ok=True)


def sweep() -> int:
    """Remove what killed workers left; return how many. Those that are being written are locked."""
    removed = 0
    for path in folder().glob("*"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            if _lock(file):
                path.unlink()
                removed += 1
    return removed


def _locked() -> IO[bytes]:
    """Make a file and lock it; again when `sweep` was quicker with the lock."""
    while True:
        file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder(), delete=False)  # noqa: SIM115  (closed by part)
        if _lock(file) and fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _lock(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
