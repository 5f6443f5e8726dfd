"""Knows which outcomes a branch's field suggests: those that the step before it can have."""

from __future__ import annotations

from typing import Any

from callflows.admin.step_options import OURS, destinations, endpoint_type
from callflows.ncco import flow as core
from callflows.ncco.actions import ACTIONS
from callflows.ncco.check import possible
from callflows.ncco.served import APP
from callflows.sockets.registry import outcomes

_DIGITS = tuple("1234567890*#")


def suggestions() -> dict[str, Any]:
    """Return the outcomes of each action; for connects by what they lead to, for inputs by what they collect."""
    named = outcomes()

    def of(action: str, options: dict[str, Any]) -> list[str]:
        return possible(core.Step("", action, options), named)

    found: dict[str, Any] = {name: {"": of(name, {})} for name in ACTIONS}
    found["connect"] = {to: of("connect", _leading(to)) for to in destinations()}
    for app, names in named.items():
        # Those that the step's own settings name, which the page's script looks up: ``{choices}``.
        found["connect"][f"{OURS}{app}"] += [name for name in names if name.startswith("{")]
    heard = of("input", {})
    found["input"] = {
        "dtmf": [*_DIGITS, *heard],
        "speech": heard,
        "dtmf speech": [*_DIGITS, *heard],
        "asynchronous": [],
    }
    every = [each for by_kind in found.values() for listed in by_kind.values() for each in listed]
    return {
        **found,
        "first": list(core.ANSWERED_BY),
        "any": [name for name in dict.fromkeys(every) if not name.startswith("{")],
    }


def _leading(to: str) -> dict[str, Any]:
    """Return a connect's options with everything on that brings outcomes."""
    app = {APP: to.removeprefix(OURS)} if to.startswith(OURS) else {}
    kind = endpoint_type(to)
    return {**app, "endpoint": {"type": kind}, **({} if kind == "websocket" else {"machineDetection": "continue"})}
