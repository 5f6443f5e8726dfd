"""Knows how tests write actions, and what is wrong with one."""

from __future__ import annotations

from typing import Any

from callflows.ncco.document import problems

Action = dict[str, Any]


def connect(endpoints: object, options: Action | None = None) -> Action:
    return {"action": "connect", "endpoint": endpoints, **(options or {})}


def phone(**endpoint: Any) -> Action:
    return connect([{"type": "phone", "number": "447700900123", **endpoint}], {"from": "442079460000"})


def sip(**endpoint: Any) -> Action:
    return connect([{"type": "sip", **endpoint}])


def socket(**endpoint: Any) -> Action:
    return connect(
        [{"type": "websocket", "uri": "wss://example.com/s", "content-type": "audio/l16;rate=16000", **endpoint}]
    )


def only(action: Action) -> tuple[str, str, str]:
    """Return path, severity and message of the one problem that an action has."""
    (found,) = problems([action])
    return found.path, found.severity, found.message


def told(*actions: object) -> list[tuple[str, str]]:
    """Return the paths and severities of all problems of a document."""
    return [(each.path, each.severity) for each in problems(list(actions))]
