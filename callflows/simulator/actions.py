"""Knows what runs each action of an NCCO: one function each, in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from callflows.simulator.asking import input_
from callflows.simulator.connecting import connect
from callflows.simulator.delivery import Document
from callflows.simulator.meeting import conversation, transfer
from callflows.simulator.recording import record
from callflows.simulator.speaking import notify, stream, talk, wait

if TYPE_CHECKING:
    from callflows.simulator.call import Call

ACTIONS: dict[str, Callable[[Call, Mapping[str, Any]], Awaitable[Document | None]]] = {
    "talk": talk,
    "stream": stream,
    "input": input_,
    "record": record,
    "connect": connect,
    "conversation": conversation,
    "notify": notify,
    "wait": wait,
    "transfer": transfer,
}
# Actions that listen to the caller: his voice, presses and patience count from the first of them.
LISTENING = frozenset({"input", "record", "connect", "conversation", "transfer"})
