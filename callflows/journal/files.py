"""Knows the journal's files: each process's own, locked while it lives, gone when all is stored.

A process appends to a file of its own and holds a lock on it. The kernel frees the lock however the
process ends: a file that can be locked is nobody's, and whoever locks it stores what it holds.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from callflows.journal.record import Record, read

# A file is removed as a whole, so what is stored leaves in pieces of this size, and no more is read
# into memory.
SEGMENT_BYTES = 1024 * 1024
# What others have written is counted at most this often, in records of our own.
COUNT_RECORDS = 50
SUFFIX = ".journal"


class JournalFull(OSError):
    """Nothing more may be kept: says how much there is."""


class Segment:
    """One file, open and locked by this process. ``waiting`` is what is still to be stored."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._waiting: list[Record] | None = None
        self.damaged: list[bytes] = []

    @classmethod
    def new(cls, path: Path) -> Segment:
        """Make a file. It is locked before it has its name: nobody takes it for a dead process's."""
        aside = path.with_suffix(".new")
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(aside, path)
        return cls(path, descriptor)

    @classmethod
    def adopted(cls, path: Path) -> Segment | None:
        """Take over a file whose process has ended; None when it lives, or another was quicker."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been stored and removed between our two steps.
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return cls(path, descriptor)
        os.close(descriptor)
        return None

    def append(self, line: bytes) -> None:
        """Write a line whole or not at all: half of one would spoil the next."""
        if os.write(self.descriptor, line) != len(line):
            os.ftruncate(self.descriptor, self.size)
            raise JournalFull(f"the disk took only a part of {len(line)} bytes")
        self.size += len(line)

    @property
    def waiting(self) -> list[Record]:
        if self._waiting is None:
            self._waiting, self.damaged = read(self.path.read_bytes())
        return self._waiting

    def close(self) -> None:
        """Let go of the lock: whoever finds the file next stores what it holds."""
        os.close(self.descriptor)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()


class Journal:
    """What one process keeps in the folder of all on the machine; ``most`` bytes in all of it."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        # Taken only for moments: the writer must never wait for a disk that another thread waits
        # for.
        self._lock = threading.Lock()
        self._open: Segment | None = None
        self._sealed: list[Segment] = []
        self._others = 0
        self._count = 0
        # What is to be brought to the disk: files by their descriptors, and whether one got its name.
        self.dirty: set[int] = set()
        self._named = False

    def append(self, record: Record, name: str) -> None:
        """Keep a record; ``name`` is what a file is called that is begun for it. Raises OSError."""
        line = record.line()
        with self._lock:
            self._make_room(len(line))
            if self._open is None:
                self._open = Segment.new(self.folder / f"{name}{SUFFIX}")
                self._named = True
            self._open.append(line)
            self.dirty.add(self._open.descriptor)
            if self._open.size >= SEGMENT_BYTES:
                self._seal()

    def _make_room(self, more: int) -> None:
        if self._count % COUNT_RECORDS == 0:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            own = {segment.path for segment in self._own()}
            self._others = sum(size for path, size in self._sizes() if path not in own)
        self._count += 1
        held = self._others + sum(segment.size for segment in self._own())
        if held + more > self.most:
            raise JournalFull(f"the journal holds {held} bytes, and JOURNAL_MB allows {self.most}")

    def _own(self) -> list[Segment]:
        return [*self._sealed, *([self._open] if self._open else [])]

    def _sizes(self) -> Iterator[tuple[Path, int]]:
        for each in os.scandir(self.folder):
            with suppress(FileNotFoundError):
                yield Path(each.path), each.stat().st_size

    def _seal(self) -> None:
        if self._open is not None:
            self._sealed.append(self._open)
            self._open = None

    def waiting(self) -> list[Segment]:
        """Return the files of this process and of dead ones, the oldest first, and begin another."""
        with self._lock:
            self._seal()
            own = {segment.path for segment in self._sealed}
        others = [path for path in self.folder.glob(f"*{SUFFIX}") if path not in own]
        found = [Segment.adopted(path) for path in others]
        with self._lock:
            self._sealed += filter(None, found)
            self._sealed.sort(key=lambda segment: segment.path.name)
            return list(self._sealed)

    @property
    def empty(self) -> bool:
        """Whether nothing of this process's waits."""
        with self._lock:
            return not self._own()

    def done(self, segment: Segment) -> None:
        """Remove a file of which everything is stored."""
        with self._lock:
            self._sealed.remove(segment)
            self.dirty.discard(segment.descriptor)
            segment.remove()

    def refuse(self, line: bytes) -> None:
        """Put what nobody can store beside the journal, for people."""
        path = self.folder / "refused"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line.rstrip(b"\n") + b"\n")

    def sync(self) -> None:
        """Bring to the disk what was written since the last time."""
        with self._lock:
            # Copies: a file may be closed meanwhile.
            copies = [os.dup(descriptor) for descriptor in self.dirty]
            copies += [os.open(self.folder, os.O_RDONLY)] if self._named else []
            self._named = False
            self.dirty.clear()
        for copy in copies:
            try:
                os.fsync(copy)
            finally:
                os.close(copy)

    def close(self) -> None:
        """Let go of all files, as the end of the process does."""
        with self._lock:
            for segment in self._own():
                segment.close()
            self._open, self._sealed = None, []
            self.dirty.clear()
