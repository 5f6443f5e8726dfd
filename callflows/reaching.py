"""Knows whether a project's ASGI application leads to something of ours, whatever is around it."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

# An application has some hundred parts. What leads further than this leads out of it.
MOST = 10_000
_PLAIN = (str, bytes, int, float, type, types.ModuleType, type(None))


def leads_to(application: Any, wanted: Callable[[Any], bool]) -> bool:
    """Return whether any part is wanted: of routers, of middleware, of what functions close over."""
    seen, waiting = {id(application)}, [application]
    while waiting and len(seen) < MOST:
        each = waiting.pop()
        if wanted(each):
            return True
        parts = (part for part in _parts(each) if not isinstance(part, _PLAIN))
        new = [part for part in parts if id(part) not in seen]
        seen.update(map(id, new))
        waiting += new
    return False


def _parts(each: Any) -> Iterator[Any]:
    if isinstance(each, dict):
        yield from each.values()
    elif isinstance(each, list | tuple | set | frozenset):
        yield from each
    elif isinstance(each, types.MethodType):
        yield from (each.__self__, each.__func__)
    elif isinstance(each, functools.partial):
        yield from (each.func, each.args, each.keywords)
    else:
        yield from getattr(each, "__dict__", {}).values()
        for cell in getattr(each, "__closure__", None) or ():
            try:
                yield cell.cell_contents
            except ValueError:
                # Of a function that is still being made.
                continue
