"""Knows the rules between the options of an action or endpoint, and between the actions of a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from callflows.ncco.actions import ACTIONS, WRAPPED
from callflows.ncco.headers import reserved
from callflows.ncco.problems import LIVE_TESTS, OPENAPI, REFERENCE, SDK, Problem, Severity, member, shown

# What is wrong, each with the part of the path below the action or endpoint ("" is all of it) and the message.
Found = Iterator[tuple[str, str]]
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of some actions or endpoints; ``text`` is its sentence in the documents."""

    of: tuple[str, ...]
    severity: Severity
    source: str
    text: str
    find: Callable[[Values], Found]


ACTION_RULES: list[Rule] = []
ENDPOINT_RULES: list[Rule] = []


def _rule(
    kept: list[Rule], *of: str, severity: Severity = "error", source: str = REFERENCE
) -> Callable[[Callable[[Values], Found]], Callable[[Values], Found]]:
    def keep(find: Callable[[Values], Found]) -> Callable[[Values], Found]:
        kept.append(Rule(of, severity, source, str(find.__doc__), find))
        return find

    return keep


def within(action: Values, path: str, own: Collection[str] | None = None) -> Iterator[Problem]:
    """Yield what is wrong between the options of one action and its endpoints; ``own`` as in ``document.problems``."""
    yield from _broken(ACTION_RULES, action.get("action"), action, path)
    for place, endpoint in enumerate(_objects(action.get("endpoint"))):
        yield from _broken(ENDPOINT_RULES, endpoint.get("type"), endpoint, f"{path}.endpoint[{place}]")
    if action.get("action") == "connect" and own is not None and _shows_a_number(action):
        yield from _foreign(action.get("from"), path, own)


def _broken(rules: list[Rule], kind: object, values: Values, path: str) -> Iterator[Problem]:
    for rule in rules:
        if kind in rule.of:
            for suffix, message in rule.find(values):
                yield Problem(f"{path}{suffix}", rule.severity, message, rule.source)


# Actions


@_rule(ACTION_RULES, "talk", severity="warning")
def _well_formed(talk: Values) -> Found:
    """SSML is well-formed XML."""
    text = talk.get("text")
    if not isinstance(text, str) or not WRAPPED.fullmatch(text):
        return
    if "<!DOCTYPE" in text:
        # Entities could make a few letters into gigabytes.
        yield ".text", "expected SSML without a DOCTYPE, got one"
        return
    try:
        expat.ParserCreate("utf-8").Parse(text.strip().encode(errors="replace"), True)
    except expat.ExpatError as error:
        yield ".text", f"expected SSML that is well-formed XML, got {expat.ErrorString(error.code)}, at {error.offset}"


@_rule(ACTION_RULES, "talk", severity="warning", source=SDK)
def _talk_provider(talk: Values) -> Found:
    """``provider`` comes with ``providerOptions``."""
    yield from _provider(talk, "")


@_rule(ACTION_RULES, "input", severity="warning", source=SDK)
def _speech_provider(action: Values) -> Found:
    """``speech.provider`` comes with ``speech.providerOptions``."""
    speech = action.get("speech")
    yield from _provider(speech if isinstance(speech, dict) else {}, ".speech")


def _provider(values: Values, path: str) -> Found:
    if "provider" in values and "providerOptions" not in values:
        yield f"{path}.provider", "expected providerOptions beside it, got none: one of Vonage's SDKs demands them"


@_rule(ACTION_RULES, "record", severity="warning")
def _channels(record: Values) -> Found:
    """``channels`` needs ``split: "conversation"``."""
    if "channels" in record and record.get("split") is None:
        yield ".channels", "expected split: 'conversation' beside it, got none; only some of Vonage's SDKs add it"


@_rule(ACTION_RULES, "record", severity="warning")
def _many_channels(record: Values) -> Found:
    """More than 2 channels are no ``mp3``."""
    channels = record.get("channels")
    if record.get("format") == "mp3" and isinstance(channels, int) and channels > 2:
        yield ".format", f"expected 'wav' for {channels} channels, got 'mp3', which holds 2"


@_rule(ACTION_RULES, "input")
def _settings(action: Values) -> Found:
    """``dtmf`` needs ``"dtmf"`` in ``type``, and ``speech`` needs ``"speech"``."""
    for kind in ("dtmf", "speech"):
        if kind in action and kind not in _list(action.get("type")):
            yield f".{kind}", f"expected {kind!r} in type beside it, got {shown(action.get('type'))}"


@_rule(ACTION_RULES, "input", source=OPENAPI)
def _asynchronous(action: Values) -> Found:
    """``mode: "asynchronous"`` takes digits only, without ``dtmf`` settings."""
    if action.get("mode") not in ("asynchronous", "asyncronous"):
        return
    if "speech" in _list(action.get("type")):
        yield ".type", "expected only 'dtmf', because mode is asynchronous; got 'speech'"
    if action.get("dtmf", {}) != {}:
        yield ".dtmf", f"expected none, because mode is asynchronous; got {shown(action['dtmf'])}"


@_rule(ACTION_RULES, "conversation", "transfer")
def _mute(action: Values) -> Found:
    """``mute: true`` excludes ``canSpeak``, but for an empty one."""
    if _is_on(action.get("mute")) and action.get("canSpeak", []) != []:
        yield ".mute", "expected mute or canSpeak, got both: leave one of them out"


@_rule(ACTION_RULES, "conversation", source=SDK)
def _transcription(conversation: Values) -> Found:
    """``transcription`` needs ``record: true``."""
    if "transcription" in conversation and not _is_on(conversation.get("record")):
        yield ".transcription", f"expected record: true beside it, got {shown(conversation.get('record'))}"


@_rule(ACTION_RULES, "transfer", severity="warning")
def _conversation_id(transfer: Values) -> Found:
    """``conversationId`` begins with ``CON-``."""
    name = transfer.get("conversationId")
    if isinstance(name, str) and name.strip() and not name.startswith("CON-"):
        yield ".conversationId", f"expected a conversation's id such as CON-..., got {shown(name)}"


@_rule(ACTION_RULES, "connect")
def _random_number(connect: Values) -> Found:
    """``randomFromNumber: true`` excludes ``from``."""
    if _is_on(connect.get("randomFromNumber")) and "from" in connect:
        yield ".randomFromNumber", f"expected it or from, got both (from is {shown(connect['from'])}): leave one out"


_E164 = r"[1-9][0-9]{6,14}"
# In North America the digits after the area code begin with 2 to 9.
_NO_NUMBER = r"1[0-9]{3}[01][0-9]{6}|1[01][0-9]{9}"
_UNKNOWN = "the callee sees an unknown caller"


@_rule(ACTION_RULES, "connect", severity="warning")
def _caller(connect: Values) -> Found:
    """``from`` is one of the account's numbers, and is there when a phone is called."""
    if "from" not in connect:
        if _kinds(connect) == ["phone"] and not _is_on(connect.get("randomFromNumber")):
            yield ".from", f"expected a number of the account's, got none; {_UNKNOWN}, and one of the SDKs demands it"
    elif isinstance(number := connect["from"], str) and _kinds(connect) == ["websocket"]:
        if not re.fullmatch(_E164, number):
            yield ".from", f"expected a number such as 442079460000, got {shown(number)}; a WebSocket does not see it"
    elif isinstance(number, str) and _shows_a_number(connect):
        if not re.fullmatch(_E164, number):
            yield ".from", f"expected a number such as 442079460000, got {shown(number)}; {_UNKNOWN}"
        elif re.fullmatch(_NO_NUMBER, number):
            yield ".from", f"expected a number of the account's, got {number}, which cannot be one; {_UNKNOWN}"


def _shows_a_number(connect: Values) -> bool:
    """Whether the callee is shown a number of the account's: SIP gets what is given, and a WebSocket sees none."""
    return any(kind not in ("sip", "websocket") for kind in _kinds(connect))


def _foreign(number: object, path: str, own: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for a number that could be one of the account's, and is none."""
    possible = isinstance(number, str) and re.fullmatch(_E164, number) and not re.fullmatch(_NO_NUMBER, number)
    if possible and number not in own:
        message = f"expected a number of the account's, got {number}; {_UNKNOWN}"
        yield Problem(f"{path}.from", "warning", message, REFERENCE)


@_rule(ACTION_RULES, "connect", severity="warning", source=OPENAPI)
def _detection(connect: Values) -> Found:
    """``advancedMachineDetection`` counts instead of ``machineDetection``."""
    if "machineDetection" in connect and "advancedMachineDetection" in connect:
        yield ".machineDetection", "expected it or advancedMachineDetection, got both: only the advanced one counts"


@_rule(ACTION_RULES, "connect", severity="warning", source=SDK)
def _snake(connect: Values) -> Found:
    """``advanced_machine_detection`` is what two of Vonage's SDKs write for ``advancedMachineDetection``."""
    if "advanced_machine_detection" in connect:
        yield ".advanced_machine_detection", "expected advancedMachineDetection, its name in the reference, got this"


@_rule(ACTION_RULES, "connect", severity="warning")
def _ringback(connect: Values) -> Found:
    """``ringbackTone`` is not for phones, which have one of their own."""
    if "ringbackTone" in connect and _kinds(connect) == ["phone"]:
        yield ".ringbackTone", "expected none for a phone, whose own tone callers hear; Vonage advises against it"


# Endpoints


@_rule(ENDPOINT_RULES, "websocket", severity="warning", source=OPENAPI)
def _content_type(socket: Values) -> Found:
    """``content-type`` is given: what Vonage does without is not documented."""
    if "content-type" not in socket:
        yield ".content-type", "expected 'audio/l16;rate=16000' or another rate, got none: what Vonage does is unknown"


@_rule(ENDPOINT_RULES, "websocket", severity="warning", source="Vonage's bridge of 2022")
def _reserved(socket: Values) -> Found:
    """``headers`` have no ``content-type`` and no ``event``: Vonage overwrites them with members of its own."""
    for name in reserved(socket["headers"] if isinstance(socket.get("headers"), dict) else {}):
        yield member(".headers", name), "expected another name: Vonage overwrites it with a member of its own"


@_rule(ENDPOINT_RULES, "websocket", source=OPENAPI)
def _custom_value(socket: Values) -> Found:
    """``authorization`` of type ``custom`` needs a ``value``."""
    authorization = socket.get("authorization")
    if isinstance(authorization, dict) and authorization.get("type") == "custom":
        # An empty value, or one of control characters, is an error already by what a value looks like.
        value = authorization.get("value")
        if "value" not in authorization or (isinstance(value, str) and value and not value.strip(" ")):
            yield ".authorization.value", f"is required with type 'custom', got {shown(value) if value else 'none'}"


@_rule(ENDPOINT_RULES, "websocket", severity="warning", source=OPENAPI)
def _ignored_value(socket: Values) -> Found:
    """A ``value`` without ``type`` is ignored: the type is then ``vonage``."""
    authorization = socket.get("authorization")
    if isinstance(authorization, dict) and "value" in authorization and "type" not in authorization:
        yield ".authorization.type", "expected 'custom' for a value, got none: Vonage then ignores the value"


@_rule(ENDPOINT_RULES, "sip", severity="warning", source=OPENAPI)
def _sip_length(sip: Values) -> Found:
    """``uri`` has at most 50 characters, by a schema that live calls with 60 did not meet."""
    uri = sip.get("uri")
    if isinstance(uri, str) and len(uri) > 50:
        yield ".uri", f"expected at most 50 characters, as a schema of Vonage's has it, got {len(uri)}: 60 worked"


@_rule(ENDPOINT_RULES, "sip", severity="warning", source=SDK)
def _user_to_user(sip: Values) -> Found:
    """``standardHeaders.User-to-User`` has at most 256 characters."""
    headers = sip.get("standardHeaders")
    value = headers.get("User-to-User") if isinstance(headers, dict) else None
    if isinstance(value, str) and len(value) > 256:
        yield ".standardHeaders.User-to-User", f"expected at most 256 characters, got {len(value)}"


@_rule(ENDPOINT_RULES, "sip", source=SDK)
def _sip_address(sip: Values) -> Found:
    """Either ``uri``, or both ``domain`` and ``user``."""
    got = [name for name in ("uri", "domain", "user") if name in sip]
    match got:
        case [] | ["uri", _, *_]:
            yield "", f"expected uri, or domain and user; got {', '.join(got) or 'none of them'}"
        case ["domain"]:
            yield ".user", "is required with domain"
        case ["user"]:
            yield ".domain", "is required with user"


# Between actions

BARGE_IN = (
    "After ``bargeIn: true``, also of an earlier talk or stream, only talk and stream come before the next input."
)
SOCKET = "Nothing follows a connect to a websocket: it starts while the socket is open, over its sound."
TRANSFER = "Nothing follows a transfer: the call has left the document."


def across(document: list[object]) -> Iterator[Problem]:
    """Yield what is wrong between the actions of a document."""
    actions = [each if isinstance(each, dict) else {} for each in document]
    yield from _barge_in(actions)
    yield from _last(actions)


def is_socket_connect(action: Values) -> bool:
    """Return whether an action connects the call to an audio socket."""
    return action.get("action") == "connect" and "websocket" in _kinds(action)


def _last(actions: list[Values]) -> Iterator[Problem]:
    """Warn of what stands after an action that should be the last: once, there is one thing to do about it."""
    for place, action in enumerate(actions[:-1]):
        if is_socket_connect(action):
            message = "starts while the socket is still open, over its sound: put nothing after a socket connect"
            yield Problem(f"$[{place + 1}]", "warning", message, LIVE_TESTS)
            return
        if action.get("action") == "transfer":
            message = "never starts: a transfer takes the call out of the document; put nothing after it"
            yield Problem(f"$[{place + 1}]", "warning", message, REFERENCE)
            return


def _barge_in(actions: list[Values]) -> Iterator[Problem]:
    """A talk or stream that a key may stop needs an input after it, with only talks and streams between."""
    waiting: int | None = None
    for place, action in enumerate(actions):
        name = action.get("action")
        if name == "input":
            waiting = None
        elif name in ("talk", "stream"):
            waiting = place if waiting is None and _is_on(action.get("bargeIn")) else waiting
        elif waiting is not None:
            # What is no action is an error of its own, and may be meant to be the input.
            if isinstance(name, str) and name in ACTIONS:
                yield Problem(f"$[{place}].action", "error", _no_input(waiting, name), REFERENCE)
            waiting = None
    if waiting is not None:
        yield Problem(f"$[{waiting}].bargeIn", "error", "expected an input after it, got the end", REFERENCE)


def _no_input(waiting: int, name: object) -> str:
    return f"expected talk, stream or input, because bargeIn of $[{waiting}] waits for an input; got {shown(name)}"


def _kinds(action: Values) -> list[object]:
    return [endpoint.get("type") for endpoint in _objects(action.get("endpoint"))]


def _is_on(value: object) -> bool:
    """Whether a flag is on; "true" is tolerated, with a warning of its own."""
    return value is True or value == "true"


def _objects(value: object) -> list[Values]:
    return [each if isinstance(each, dict) else {} for each in _list(value)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
