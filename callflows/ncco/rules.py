"""Knows the rules between the options of an action, and between the actions of a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from callflows.ncco.headers import reserved
from callflows.ncco.problems import Problem

_REFERENCE = "NCCO reference"
_LIVE_TESTS = "live tests of 2026-09"


def within(action: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong between the options of one action."""
    if action.get("channels") is not None and action.get("split") is None:
        yield Problem(
            f"{path}.channels",
            "warning",
            "needs split: 'conversation' beside it",
            _REFERENCE,
        )
    if action.get("randomFromNumber") is True and action.get("from") is not None:
        yield Problem(
            f"{path}.randomFromNumber",
            "error",
            "excludes from; leave one of them out",
            _REFERENCE,
        )
    if action.get("dtmf") is not None and "dtmf" not in _list(action.get("type")):
        yield Problem(f"{path}.dtmf", "error", "needs 'dtmf' in type", _REFERENCE)
    for place, endpoint in enumerate(_list(action.get("endpoint"))):
        if isinstance(endpoint, dict):
            yield from _socket(endpoint, f"{path}.endpoint[{place}]")


def _socket(endpoint: dict[str, Any], path: str) -> Iterator[Problem]:
    if endpoint.get("type") != "websocket":
        return
    if "content-type" not in endpoint:
        message = "expected 'audio/l16;rate=16000' or another rate; Vonage does not say what it does without"
        yield Problem(f"{path}.content-type", "warning", message, "REST reference")
    for name in reserved(endpoint["headers"] if isinstance(endpoint.get("headers"), dict) else {}):
        yield Problem(
            f"{path}.headers.{name}",
            "warning",
            "Vonage overwrites it with a member of its own",
            "bridge source",
        )
    authorization = endpoint.get("authorization")
    if isinstance(authorization, dict) and authorization.get("type") == "custom" and not authorization.get("value"):
        yield Problem(
            f"{path}.authorization.value",
            "error",
            "is required with type 'custom'",
            "REST reference",
        )


def across(document: list[object]) -> Iterator[Problem]:
    """Yield what is wrong between the actions of a document."""
    actions = [each if isinstance(each, dict) else {} for each in document]
    yield from _barge_in(actions)
    for place, action in enumerate(actions[:-1]):
        if is_socket_connect(action):
            message = "starts while the socket is still open, over its sound: put nothing after a socket connect"
            yield Problem(f"$[{place + 1}]", "warning", message, _LIVE_TESTS)
            break


def is_socket_connect(action: dict[str, Any]) -> bool:
    """Return whether an action connects the call to an audio socket."""
    return action.get("action") == "connect" and any(
        isinstance(endpoint, dict) and endpoint.get("type") == "websocket" for endpoint in _list(action.get("endpoint"))
    )


def _barge_in(actions: list[dict[str, Any]]) -> Iterator[Problem]:
    """A talk or stream that a key may stop needs an input after it, with only talks and streams between."""
    waiting: int | None = None
    for place, action in enumerate(actions):
        name = action.get("action")
        if waiting is not None and name not in ("talk", "stream", "input"):
            yield Problem(f"$[{place}].action", "error", _no_input(waiting, name), _REFERENCE)
            waiting = None
        elif name == "input":
            waiting = None
        elif action.get("bargeIn") in (True, "true") and waiting is None:
            waiting = place
    if waiting is not None:
        yield Problem(
            f"$[{waiting}].bargeIn",
            "error",
            "expected an input after it, got the end",
            _REFERENCE,
        )


def _no_input(waiting: int, name: object) -> str:
    return f"expected talk, stream or input, because bargeIn of $[{waiting}] waits for an input; got {name!r}"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
