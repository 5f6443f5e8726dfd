"""Knows which bodies /v1/calls takes, and what the platform is told of them: checked, with defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from callflows.ncco.document import errors
from callflows.simulator.account import Application
from callflows.simulator.rest.refusals import Wrong

T = TypeVar("T")
INVALID_TYPE = "Invalid type parameter provided"
REQUIRED = "is required"
_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
_SIP = re.compile(r"(?i:sips?):\S{1,46}")
_METHODS = ("GET", "POST")
_DIGITS = re.compile(r"[0-9*#p]+")
LENGTH_SECONDS, RINGING_SECONDS = 7200, 60
# OpenAPI says 30 to 120, SDKs 45 to 120.
_BEEP = range(30, 121)


@dataclass(slots=True)
class Body:
    """One JSON object that is looked at member by member; what is wrong with it is collected."""

    values: Mapping[str, Any]
    wrong: list[Wrong] = field(default_factory=list)

    def url(self, name: str, required: bool = False) -> str:
        """Return the one address in a list: a bare string is the mistake that everybody makes once."""
        value = self.values.get(name)
        if value is None:
            return self.instead("", name, REQUIRED) if required else ""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return self.instead("", name, INVALID_TYPE)
        if len(value) != 1 or not _is_http(value[0]):
            return self.instead("", name, "expected a list of one http or https address")
        return str(value[0])

    def choice(self, name: str, of: tuple[str, ...], default: str = "") -> str:
        value = self.values.get(name, default)
        if value != default and value not in of:
            return self.instead(default, name, f"must be one of: {', '.join(of)}")
        return str(value)

    def whole(self, name: str, within: range, default: int) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            return self.instead(default, name, INVALID_TYPE)
        if value not in within:
            return self.instead(default, name, f"must be between {within.start} and {within.stop - 1}")
        return value

    def refuse(self, name: str, reason: str) -> None:
        """Remember what is wrong."""
        self.wrong.append((name, reason))

    def instead(self, value: T, name: str, reason: str) -> T:
        """Remember what is wrong, and go on with ``value``, so that all that is wrong can be told at once."""
        self.refuse(name, reason)
        return value


# Create


def created(
    values: Mapping[str, Any], application: Application, numbers: list[str]
) -> tuple[dict[str, Any], list[Wrong]]:
    """Return a call to be placed as the platform takes it, or what is wrong with its body.

    ``numbers`` are those of the application: one of them is shown for ``random_from_number``.
    """
    body = Body(values)
    taken = {
        "to": [_callee(body)],
        "from": _caller(body, numbers),
        **_script(body),
        **_events(body, application),
        **_detection(body),
        "length_timer": body.whole("length_timer", range(1, 86401), LENGTH_SECONDS),
        "ringing_timer": body.whole("ringing_timer", range(1, 121), RINGING_SECONDS),
    }
    return taken, body.wrong


def _callee(body: Body) -> dict[str, Any]:
    to = body.values.get("to")
    if to is None:
        return body.instead({}, "to", REQUIRED)
    if not isinstance(to, list) or len(to) != 1 or not isinstance(to[0], dict):
        return body.instead({}, "to", INVALID_TYPE if not isinstance(to, list) else "expected one endpoint")
    endpoint = dict(to[0])
    # The same endpoints as a connect action has, by the same rules.
    for problem in errors([{"action": "connect", "endpoint": [endpoint]}]):
        body.refuse(problem.path.replace("$[0].endpoint[0]", "to[0]"), problem.message)
    if endpoint.get("type") == "websocket" and "content-type" not in endpoint:
        body.refuse("to[0].content-type", REQUIRED)
    if isinstance(endpoint.get("number"), str):
        endpoint["number"] = endpoint["number"].removeprefix("+")
    return endpoint


def _caller(body: Body, numbers: list[str]) -> dict[str, str]:
    shown, random = body.values.get("from"), body.values.get("random_from_number", False)
    if not isinstance(random, bool):
        return body.instead({}, "random_from_number", INVALID_TYPE)
    if (shown is not None) == random:
        return body.instead({}, "from", "expected either from or random_from_number: true")
    if random:
        if not numbers:
            return body.instead({}, "random_from_number", "no number is linked to the application")
        return {"type": "phone", "number": numbers[0]}
    number = shown.get("number") if isinstance(shown, dict) else None
    if not isinstance(shown, dict) or shown.get("type") != "phone" or not isinstance(number, str):
        return body.instead({}, "from", INVALID_TYPE)
    if not _NUMBER.fullmatch(number) and not _SIP.fullmatch(number):
        return body.instead({}, "from.number", "must be 7 to 15 digits in E.164 form, or a SIP URI")
    return {"type": "phone", "number": number.removeprefix("+")}


def _script(body: Body) -> dict[str, Any]:
    has_ncco, has_url = (body.values.get(name) is not None for name in ("ncco", "answer_url"))
    if has_ncco == has_url:
        body.refuse("ncco", "expected either ncco or answer_url")
    if has_url:
        return {"answer_url": [body.url("answer_url")], "answer_method": body.choice("answer_method", _METHODS, "GET")}
    return {"ncco": _document(body, "ncco")} if has_ncco else {}


def _document(body: Body, name: str, member: str = "") -> Any:
    """Return an NCCO; what Vonage would refuse of it is refused with its path."""
    document = body.values[name]
    for problem in errors(document):
        body.refuse(problem.path.replace("$", member or name, 1), problem.message)
    return document


def _events(body: Body, application: Application) -> dict[str, Any]:
    url = body.url("event_url", required=application.hook("event_url") is None)
    return {"event_url": [url], "event_method": body.choice("event_method", _METHODS, "POST")} if url else {}


def _detection(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "machine_detection" in body.values:
        found["machine_detection"] = body.choice("machine_detection", ("continue", "hangup"))
    advanced = body.values.get("advanced_machine_detection")
    if advanced is None:
        return found
    if not isinstance(advanced, dict):
        return body.instead({}, "advanced_machine_detection", INVALID_TYPE)
    inner = Body(advanced)
    options = {
        "behavior": inner.choice("behavior", ("continue", "hangup"), "continue"),
        "mode": inner.choice("mode", ("default", "detect", "detect_beep"), "detect"),
        "beep_timeout": inner.whole("beep_timeout", _BEEP, 45),
    }
    body.wrong += [(f"advanced_machine_detection.{name}", reason) for name, reason in inner.wrong]
    # It overrides the simple one.
    return {"advanced_machine_detection": options}


# Live calls


def transferred(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Wrong]]:
    """Return what a transfer runs: either ``ncco`` or ``url``."""
    destination = values.get("destination")
    if not isinstance(destination, dict):
        return {}, [("destination", REQUIRED if destination is None else INVALID_TYPE)]
    body = Body(destination)
    body.choice("type", ("ncco",))
    if (destination.get("ncco") is not None) == (destination.get("url") is not None):
        body.refuse("destination", "expected either url or ncco")
        return {}, body.wrong
    if destination.get("url") is not None:
        found: dict[str, Any] = {"url": body.url("url")}
    else:
        found = {"ncco": _document(body, "ncco")}
    return found, [(name if name == "destination" else f"destination.{name}", reason) for name, reason in body.wrong]


def streamed(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Wrong]]:
    """Return what is played."""
    body = Body(values)
    url = body.url("stream_url", required=True)
    options = _played(body)
    return {"stream_url": [url], **options}, body.wrong or _as_action("stream", {"streamUrl": [url], **options})


def said(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Wrong]]:
    """Return what is said."""
    body = Body(values)
    if not isinstance(values.get("text"), str):
        body.refuse("text", REQUIRED if values.get("text") is None else INVALID_TYPE)
    kept = {name: values[name] for name in ("text", "language", "style", "premium") if values.get(name) is not None}
    options = {**kept, **_played(body)}
    return options, body.wrong or _as_action("talk", options)


def _played(body: Body) -> dict[str, Any]:
    """Return loop and level; a level is a text here, and a number in what SDKs send."""
    loop = body.whole("loop", range(0, 1 << 31), 1) if body.values.get("loop") is not None else 1
    level = body.values.get("level", 0)
    if not isinstance(level, str | int | float) or isinstance(level, bool):
        return body.instead({}, "level", INVALID_TYPE)
    try:
        return {"loop": loop, "level": float(level)}
    except ValueError:
        return body.instead({}, "level", "must be a number between -1 and 1")


def _as_action(name: str, options: Mapping[str, Any]) -> list[Wrong]:
    """Return what is wrong with options by the rules of the action that does the same."""
    found = errors([{"action": name, **options}])
    return [(each.path.removeprefix("$[0]."), each.message) for each in found]


def digits(values: Mapping[str, Any]) -> tuple[str, list[Wrong]]:
    """Return the keys to be sent."""
    found = values.get("digits")
    if not isinstance(found, str):
        return "", [("digits", REQUIRED if found is None else INVALID_TYPE)]
    if not _DIGITS.fullmatch(found):
        return "", [("digits", "expected keys 0 to 9, * and #, and p for a pause")]
    return found, []


def subscribed(values: Mapping[str, Any]) -> tuple[str, list[Wrong]]:
    """Return where keys are told."""
    body = Body(values)
    return body.url("event_url", required=True), body.wrong


Reader = Callable[[Mapping[str, Any]], tuple[Any, list[Wrong]]]


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
