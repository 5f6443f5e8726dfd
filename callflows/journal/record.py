"""Knows how one thing that waits for the database is written as a line, and read again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


class Damaged(ValueError):
    """A line that is not as it was written: torn by the end of a process, or by a disk."""


@dataclass(frozen=True, slots=True)
class Record:
    """``at`` is when it came, and the time of its work, which waits ``hold`` seconds more.

    ``kind`` names who does the work, and ``id`` is what the work is known by if it is begun twice.
    """

    id: str
    kind: str
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    hold: float = 0.0

    @property
    def due(self) -> datetime:
        return self.at + timedelta(seconds=self.hold)

    def line(self) -> bytes:
        """Return it as a line of JSON in ASCII, behind its checksum."""
        members = {
            "id": self.id,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "hold": self.hold,
            "payload": dict(self.payload),
        }
        text = json.dumps(members, separators=(",", ":")).encode("ascii")
        return b"%08x %s\n" % (zlib.crc32(text), text)

    @classmethod
    def of(cls, line: bytes) -> Record:
        """Read a line. Raises Damaged."""
        checksum, _, text = line.partition(b" ")
        try:
            if int(checksum, 16) != zlib.crc32(text):
                raise Damaged("the checksum is another one")
            members = json.loads(text)
            members["at"] = datetime.fromisoformat(members["at"])
            return cls(**members)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Damaged(str(error)) from None


def read(content: bytes) -> tuple[list[Record], list[bytes]]:
    """Return the records of a file in their order, and the lines that are damaged.

    A last line without its end was being written when the process ended: nobody was told of it.
    """
    whole, _, _ = content.rpartition(b"\n")
    records, damaged = [], []
    for line in filter(None, whole.split(b"\n")):
        try:
            records.append(Record.of(line))
        except Damaged:
            damaged.append(line)
    return records, damaged
