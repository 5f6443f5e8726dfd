"""Knows where one WebSocket message of a client ends and the next begins, without reading them."""

from __future__ import annotations

import math

from callflows.serving import MESSAGE_BYTES
from callflows.serving.frames import SIZES

FIN, OPCODE, LENGTH, MASKED = 0x80, 0x0F, 0x7F, 0x80
BINARY = 0x2
# Frames from this opcode on may stand between those of a message in several.
CONTROL = 0x8
# Bytes of what is no audio that cost as much as one frame more.
BYTES_A_FRAME = 4096


class Boundaries:
    """Follows a stream of frames that comes in pieces of any size.

    ``cost`` counts what each of them costs the process besides audio: one a frame, and one more for each 4 KiB.
    """

    def __init__(self) -> None:
        self.cost = 0
        # The beginning of a frame's head, the bytes of its payload that are to come, and whether more frames follow.
        self._head = b""
        self._left = 0
        self._unfinished = False

    @property
    def between(self) -> bool:
        """Whether all messages that began have ended."""
        return not (self._head or self._left or self._unfinished)

    def pass_by(self, data: bytes, most: float = math.inf) -> bool:
        """Take the next piece; False when the frames in it cost more than ``most``, and the rest was not looked at."""
        at, most = 0, self.cost + most
        while at < len(data):
            if self._left:
                passed = min(self._left, len(data) - at)
                self._left -= passed
            else:
                passed = self._take_head(data, at)
            at += passed
            if self.cost > most:
                return False
        return True

    def _take_head(self, data: bytes, at: int) -> int:
        """Take as much of ``data`` from there as belongs to a frame's head; return how many bytes that was."""
        head = self._head + data[at : at + 14]
        size = _head_size(head)
        if len(head) < size:
            passed, self._head = len(head) - len(self._head), head
            return passed
        passed, self._head = size - len(self._head), b""
        length = head[1] & LENGTH
        extended = {126: 2, 127: 8}.get(length, 0)
        self._left = int.from_bytes(head[2 : 2 + extended]) if extended else length
        if head[0] & OPCODE < CONTROL:
            self._unfinished = not head[0] & FIN
        if head[0] != FIN | BINARY or self._left not in SIZES:
            # What claims to be longer than any message may be is ended by whoever reads it.
            self.cost += 1 + min(self._left, MESSAGE_BYTES) // BYTES_A_FRAME
        return passed


def _head_size(head: bytes) -> int:
    """Return how many bytes a head has that begins so; the least it can have while that is not known."""
    if len(head) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(head[1] & LENGTH, 0) + (4 if head[1] & MASKED else 0)
