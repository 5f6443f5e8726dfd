"""Knows what the builders of Vonage's SDKs for Python and Node write: each field, with the values that it can have.

Read from their sources: vonage-voice 1.0 to 1.5 (vonage 4), vonage 3.3 to 3.18 (`Ncco`), @vonage/voice 1.0 to 1.24.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from typing import Any

Action = dict[str, Any]

URL = "https://example.com/webhook"
LEG = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
NUMBER = "447700900123"
FLAGS = (True, False)
# Builders for Node leave out what is false, 0 or empty.
ON = (True,)


@dataclass(frozen=True)
class Fields:
    """What a builder always writes of one object, and what it can write with it.

    ``never`` are names that the builder itself does not let stand together.
    """

    always: dict[str, Any]
    optional: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    never: tuple[frozenset[str], ...] = ()

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield the least object, each option alone and each two with all their values, and all together."""
        yield dict(self.always)
        for names in (*combinations(self.optional, 1), *combinations(self.optional, 2)):
            yield from (each for each in self._with(names) if self._fits(each))
        longest = [zip_longest([name] * len(values), values) for name, values in self.optional.items()]
        for row in zip_longest(*longest):
            yield self._without_pairs({**self.always, **dict(each for each in row if each)})

    def _with(self, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        chosen: list[dict[str, Any]] = [{}]
        for name in names:
            chosen = [{**each, name: value} for each in chosen for value in self.optional[name]]
        yield from ({**self.always, **each} for each in chosen)

    def _fits(self, found: dict[str, Any]) -> bool:
        return not any(pair <= {name for name, value in found.items() if value} for pair in self.never)

    def _without_pairs(self, found: dict[str, Any]) -> dict[str, Any]:
        left_out = {sorted(pair)[0] for pair in self.never if pair <= found.keys()}
        return {name: value for name, value in found.items() if name not in left_out}


@dataclass(frozen=True)
class Builder:
    """One SDK's builder: its actions (a second word tells two kinds of one apart), its connect, and its endpoints."""

    name: str
    actions: dict[str, Fields]
    endpoints: dict[str, Fields]
    connect: Fields

    def documents(self, kind: str) -> Iterator[list[Action]]:
        """Yield documents with one action, or with a connect to one kind of endpoint."""
        if kind in self.actions:
            action = kind.partition(" ")[0]
            yield from (_whole({"action": action, **found}) for found in self.actions[kind].objects())
        elif kind == "connect":
            for name, endpoint in self.endpoints.items():
                least = {"type": name, **endpoint.always}
                yield from ([{"action": kind, "endpoint": [least], **each}] for each in self.connect.objects())
        else:
            for found in self.endpoints[kind].objects():
                yield [{"action": "connect", "endpoint": [{"type": kind, **found}], **self.connect.always}]

    @property
    def kinds(self) -> list[str]:
        return [*self.actions, "connect", *self.endpoints]


def _whole(action: Action) -> list[Action]:
    """What a key may stop needs an input after it: that is the document's, and no builder's."""
    return [action, {"action": "input", "type": ["dtmf"]}] if action.get("bargeIn") else [action]


def _objects(optional: dict[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(Fields({}, optional).objects())


# A list of one address, and the empty one; methods in either case, where nobody makes them upper.
_LIST: tuple[list[str], ...] = ([URL], [])
_METHODS = ("GET", "POST", "get", "post")
_EVENTS = {"eventUrl": _LIST, "eventMethod": _METHODS}
_LEVELS = (-1.0, 0.0, 0.55, 1.0, 1)
_LANGUAGES = ("en-GB", "ar", "cmn-CN", "en-GB-WLS", "fil-PH", "yue-CN")
_FORMATS = ("mp3", "wav", "ogg")
_MUTED = (frozenset({"mute", "canSpeak"}),)
_EITHER = (frozenset({"content-type", "contentType"}),)
_KEYS = {"timeOut": (0, 10), "maxDigits": (1, 20), "submitOnHash": FLAGS}
_HEARD = {
    "endOnSilence": (0.4, 2, 10.0),
    "language": _LANGUAGES,
    "context": (["yes", "no"], []),
    "startTimeout": (1, 60),
    "maxDuration": (1, 60),
}
_RECORD = {
    "format": _FORMATS,
    "split": ("conversation",),
    "endOnSilence": (3, 10),
    "endOnKey": ("0", "9", "*", "#"),
    "timeOut": (3, 7200),
    "beepStart": FLAGS,
}
_CHANNELS = Fields({"split": "conversation"}, {"channels": (1, 2, 32), "format": _FORMATS})
_ROOM = {"startOnEnter": FLAGS, "endOnExit": FLAGS, "record": FLAGS, "canSpeak": ([LEG], []), "canHear": ([LEG], [])}
_DIALLED = {
    "eventType": ("synchronous",),
    "timeout": (0, 45, 7200),
    "limit": (0, 7200),
    "machineDetection": ("continue", "hangup"),
}
_DETECTION = {
    "behavior": ("continue", "hangup"),
    "mode": ("default", "detect", "detect_beep"),
    "beep_timeout": (45, 120),
}
_TALK = {"bargeIn": FLAGS, "loop": (0, 3), "language": _LANGUAGES, "premium": FLAGS}
_RATES = ("audio/l16;rate=8000", "audio/l16;rate=16000")
_SIP_URIS = ("sip:rebekka@sip.example.com", "sips:+442079460000@sip.example.com;transport=tls;media=srtp")
_HEADERS: tuple[dict[str, Any], ...] = ({}, {"location": "London", "room": 7, "vip": True, "share": 0.5})

PYTHON_4 = Builder(
    "vonage_voice",
    {
        "talk": Fields({"text": "Hello."}, {**_TALK, "level": _LEVELS, "style": (0, 11)}),
        "stream": Fields({"streamUrl": [URL]}, {"level": _LEVELS, "bargeIn": FLAGS, "loop": (0, 3)}),
        "record": Fields({}, {**_RECORD, **_EVENTS}),
        # `channels` brings `split` with it.
        "record channels": _CHANNELS,
        "conversation": Fields(
            {"name": "room"}, {**_ROOM, "musicOnHoldUrl": _LIST, "mute": FLAGS, **_EVENTS}, never=_MUTED
        ),
        "input": Fields(
            {"type": ["dtmf", "speech"]},
            {
                "dtmf": _objects(_KEYS),
                # `saveAudio` is always written.
                "speech": tuple(
                    Fields({"saveAudio": False}, {**_HEARD, "uuid": ([LEG], []), "sensitivity": (0, 100)}).objects()
                ),
                **_EVENTS,
            },
        ),
        "notify": Fields({"payload": {}, "eventUrl": [URL]}, {"eventMethod": _METHODS}),
        "wait": Fields({"timeout": 10.0}),
        "transfer": Fields(
            {"conversationId": "CON-" + LEG},
            {"canSpeak": ([LEG], []), "canHear": ([LEG], []), "mute": FLAGS},
            never=_MUTED,
        ),
    },
    {
        "phone": Fields(
            {"number": NUMBER},
            {
                "dtmfAnswer": ("1p2*#",),
                "onAnswer": ({"url": URL}, {"url": URL, "ringbackTone": URL}),
                "shaken": ("eyJ",),
            },
        ),
        "app": Fields({"user": "alice"}),
        "websocket": Fields(
            {"uri": "wss://example.com/socket"},
            {
                "content-type": (*_RATES, "audio/l16;rate=24000"),
                "headers": _HEADERS,
                "authorization": ({"type": "vonage"}, {"type": "custom", "value": "Bearer a"}),
            },
        ),
        "sip": Fields(
            {"uri": _SIP_URIS[1]},
            {"headers": _HEADERS, "standardHeaders": ({}, {"User-to-User": "342342ef34;encoding=hex"}, {"Other": "a"})},
        ),
        "vbc": Fields({"extension": "4321"}),
    },
    Fields(
        {"from": NUMBER},
        {
            "randomFromNumber": (False,),
            **_DIALLED,
            "advancedMachineDetection": _objects(_DETECTION),
            "ringbackTone": _LIST,
            **_EVENTS,
        },
    ),
)

# It makes lists of single addresses, and methods upper case.
_EVENTS_3 = {"eventUrl": _LIST, "eventMethod": ("GET", "POST")}
PYTHON_3 = Builder(
    "Ncco",
    {
        "talk": Fields({"text": "Hello."}, {**_TALK, "level": _LEVELS, "style": (0, 11)}),
        "stream": Fields({"streamUrl": [URL]}, {"level": _LEVELS, "bargeIn": FLAGS, "loop": (0, 3)}),
        "record": Fields({}, {**_RECORD, **_EVENTS_3}),
        "record channels": _CHANNELS,
        "conversation": Fields(
            {"name": "room"},
            {**_ROOM, "musicOnHoldUrl": _LIST, "mute": FLAGS},
            never=_MUTED,
        ),
        "input": Fields(
            {"type": ["dtmf", "speech"]},
            {
                "dtmf": _objects(_KEYS),
                "speech": _objects({**_HEARD, "uuid": (LEG,), "saveAudio": FLAGS}),
                **_EVENTS_3,
            },
        ),
        "notify": Fields({"payload": {"a": [1]}, "eventUrl": [URL]}, {"eventMethod": ("GET", "POST")}),
    },
    {
        "phone": Fields(
            {"number": NUMBER},
            {"dtmfAnswer": ("1p2*#",), "onAnswer": ({"url": URL}, {"url": URL, "ringback": "https://example.com/"})},
        ),
        "app": Fields({"user": "alice"}),
        # Early versions wrote `contentType` as it is.
        "websocket": Fields(
            {"uri": "wss://example.com/socket"},
            {"content-type": _RATES, "contentType": _RATES, "headers": _HEADERS},
            never=_EITHER,
        ),
        "sip": Fields({"uri": _SIP_URIS[0]}, {"headers": _HEADERS}),
        "vbc": Fields({"extension": "4321"}),
    },
    Fields(
        {},
        {
            "from": (NUMBER,),
            "randomFromNumber": FLAGS,
            **_DIALLED,
            "advancedMachineDetection": _objects({**_DETECTION, "mode": ("detect", "detect_beep")}),
            "ringbackTone": (URL,),
            **_EVENTS_3,
        },
        never=(frozenset({"from", "randomFromNumber"}),),
    ),
)

NODE = Builder(
    "@vonage/voice",
    {
        # Early versions typed `level` as a number, later ones as text.
        "talk": Fields(
            {"text": "Hello."},
            {
                "bargeIn": ON,
                "loop": (3,),
                "level": (-1, 0.5, "-1", "0.4", "0"),
                "language": _LANGUAGES,
                "style": ("0", "11"),
                "premium": ON,
            },
        ),
        "stream": Fields({"streamUrl": [URL]}, {"level": (-1, 0.5), "bargeIn": ON, "loop": (3,)}),
        "record": Fields({}, {**_RECORD, "beepStart": ON, "eventUrl": ([URL],), "eventMethod": _METHODS}),
        "record channels": _CHANNELS,
        "conversation": Fields(
            {"name": "room"},
            {
                "musicOnHoldUrl": ([URL],),
                "startOnEnter": ON,
                "endOnExit": ON,
                "record": ON,
                "canSpeak": ([LEG], []),
                "canHear": ([LEG], []),
                "mute": ON,
            },
            never=_MUTED,
        ),
        # Settings make the type, and a list without an address is written too.
        "input": Fields(
            {"type": ["dtmf", "speech"], "eventUrl": []},
            {
                "eventUrl": _LIST,
                "eventMethod": _METHODS,
                "dtmf": _objects(_KEYS),
                "speech": _objects({**_HEARD, "endOnSilence": (True, False), "uuid": (LEG,), "saveAudio": FLAGS}),
                "mode": ("synchronous",),
            },
        ),
        "notify": Fields({"payload": {"a": "b"}, "eventUrl": [URL]}, {"eventMethod": _METHODS}),
        "wait": Fields({}, {"timeout": (0, 0.1, 2.5, 7200, 9000)}),
    },
    {
        "phone": Fields({"number": NUMBER}, {"dtmfAnswer": ("1p2*#",), "shaken": ("eyJ",)}),
        "app": Fields({"user": "alice"}),
        # Its type has `contentType`, and so had its classes of old.
        "websocket": Fields(
            {"uri": "wss://example.com/socket"},
            {
                "contentType": (*_RATES, "audio/l16;rate=24000"),
                "content-type": _RATES,
                "headers": _HEADERS,
                "authorization": ({"type": "vonage"}, {"type": "custom", "value": "Bearer a"}),
            },
            never=_EITHER,
        ),
        "sip": Fields(
            {"uri": _SIP_URIS[0]},
            {
                "headers": _HEADERS,
                "standardHeaders": ({}, {"User-to-User": "342342ef34;encoding=hex"}, {"userToUser": "342342ef34"}),
            },
        ),
        "vbc": Fields({"extension": "4321"}),
    },
    Fields(
        {},
        {
            "from": (NUMBER, "EchoTest"),
            "randomFromNumber": ON,
            **_DIALLED,
            "eventUrl": ([URL],),
            "eventMethod": _METHODS,
            "ringbackTone": (URL,),
        },
        never=(frozenset({"from", "randomFromNumber"}),),
    ),
)

BUILDERS = (PYTHON_4, PYTHON_3, NODE)
