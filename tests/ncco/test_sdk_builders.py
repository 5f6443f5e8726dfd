"""Knows that no document which an SDK's builder can write is an error, but for those that Vonage itself refuses."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.document import errors, problems
from tests.ncco.documents import Action, connect, phone, sip, socket
from tests.ncco.sdk_builders import BUILDERS, LEG, NUMBER, PYTHON_4, URL, Builder

EACH_KIND = [pytest.param(each, kind, id=f"{each.name} {kind}") for each in BUILDERS for kind in each.kinds]


@pytest.mark.parametrize(("builder", "kind"), EACH_KIND)
def test_nothing_that_a_builder_writes_is_an_error(builder: Builder, kind: str) -> None:
    documents = list(builder.documents(kind))
    found = [(document, told) for document in documents if (told := errors(document))]
    assert documents
    assert found[:3] == []


def test_the_builders_write_more_than_a_thousand_documents() -> None:
    assert sum(len(list(each.documents(kind))) for each in BUILDERS for kind in each.kinds) > 1000


# What is doubtful of it is told


@pytest.mark.parametrize(
    ("action", "path", "message"),
    [
        ({"action": "record", "eventMethod": "post"}, "eventMethod", "expected 'GET' or 'POST', got 'post'"),
        ({**phone(), "eventMethod": "Get"}, "eventMethod", "expected 'GET' or 'POST', got 'Get'"),
        (
            {"action": "input", "type": ["speech"], "speech": {"uuid": LEG}},
            "speech.uuid",
            f"expected a list, got {LEG!r}",
        ),
        (
            {"action": "input", "type": ["speech"], "speech": {"endOnSilence": True}},
            "speech.endOnSilence",
            "expected a number, got True",
        ),
        (sip(uri="sip:a@example.com", headers={"Room": 7}), "endpoint[0].headers.Room", "expected text, got 7"),
        (sip(uri="sip:a@example.com", headers={"Vip": True}), "endpoint[0].headers.Vip", "expected text, got True"),
        (
            connect([{"type": "app", "user": "alice"}], {"ringbackTone": []}),
            "ringbackTone",
            "expected text, got []",
        ),
    ],
)
def test_what_a_builder_writes_otherwise_than_documented_is_warned_of(action: Action, path: str, message: str) -> None:
    (found,) = problems([action])
    assert (found.path, found.severity, found.message) == (f"$[0].{path}", "warning", message)


@pytest.mark.parametrize(
    "action",
    [
        {"action": "record", "eventMethod": "put"},
        {"action": "record", "eventMethod": ""},
        {"action": "record", "format": "MP3"},
        {"action": "input", "type": ["speech"], "speech": {"uuid": ""}},
        {"action": "input", "type": ["speech"], "speech": {"uuid": [LEG, LEG]}},
        {"action": "input", "type": ["dtmf"], "dtmf": {"timeOut": True}},
        sip(uri="sip:a@example.com", headers={"Room": None}),
        sip(uri="sip:a@example.com", headers={"Room": ["a"]}),
        {"action": "stream", "streamUrl": []},
    ],
)
def test_what_is_nearly_so_stays_an_error(action: Action) -> None:
    assert len(errors([action])) == 1


def test_an_asynchronous_input_of_node_has_settings_that_are_empty() -> None:
    action = {"action": "input", "type": ["dtmf"], "dtmf": {}, "eventUrl": [], "mode": "asynchronous"}
    assert problems([action]) == []


# What stays an error, because Vonage refuses it

KEYS_ONLY = {"action": "input", "type": ["dtmf"]}
EXCEPTIONS = {
    "the pay action of vonage 3: Vonage has taken it back": [{"action": "pay", "amount": 9.99}],
    "no action at all, from the classes of @vonage/voice 1.0: one is required": [{"streamUrl": [URL]}],
    "two addresses, or none where one is needed: the reference wants exactly one": [
        {"action": "notify", "payload": {}, "eventUrl": [URL, URL]},
    ],
    "two endpoints of vonage 4: the reference wants exactly one": [
        connect([{"type": "app", "user": "a"}, {"type": "app", "user": "b"}]),
    ],
    "mute beside canSpeak, which Node's does not look at: the reference excludes it": [
        {"action": "conversation", "name": "room", "mute": True, "canSpeak": [LEG]},
    ],
    "from beside randomFromNumber, which Node's does not look at: the reference excludes it": [
        {**phone(), "from": NUMBER, "randomFromNumber": True},
    ],
    "settings of a type that is not asked for: the reference excludes them": [{**KEYS_ONLY, "speech": {}}],
    "no type, or one twice: the reference wants one or two": [{**KEYS_ONLY, "type": ["dtmf", "dtmf"]}],
    "a custom authorization without its value: the schema demands it": [socket(authorization={"type": "custom"})],
    "bargeIn without an input after it: the reference demands one": [
        {"action": "talk", "text": "Hello.", "bargeIn": True},
    ],
    "half seconds, which JavaScript's numbers allow: the reference wants whole numbers": [
        {"action": "record", "timeOut": 4.5},
    ],
    "headers in a list, from the classes of @vonage/voice 1.0: the reference wants an object, as later ones write": [
        sip(uri="sip:a@example.com", headers=[{"Room": "a"}]),
    ],
}


@pytest.mark.parametrize("document", EXCEPTIONS.values(), ids=list(EXCEPTIONS))
def test_what_vonage_refuses_stays_an_error(document: list[Action]) -> None:
    assert len(errors(document)) == 1


# The table against the SDK that is here

_NAMES = {"from": "from_", "content-type": "contentType"}


def _given(value: Any) -> Any:
    """Return what is given to the SDK to make it write a value."""
    if isinstance(value, dict):
        return {_NAMES.get(name, name): _given(inner) for name, inner in value.items()}
    return [_given(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", PYTHON_4.kinds)
def test_the_table_is_what_the_sdk_for_python_writes(kind: str) -> None:
    models = pytest.importorskip("vonage_voice.models")
    for document in PYTHON_4.documents(kind):
        for action in document:
            model = getattr(models, action["action"].title())
            written = model.model_validate(_given(action)).model_dump(by_alias=True, exclude_none=True, mode="json")
            assert written == action
