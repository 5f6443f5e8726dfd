"""An NCCO that was written elsewhere: the steps it becomes, what is told of it, and that it comes out unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.flow import END, NEXT, Branch, Flow, Step, Target, Version
from callflows.ncco.imported import along, exported, imported, left_behind
from callflows.ncco.problems import InvalidNcco
from callflows.ncco.served import FOREIGN

SOCKET = {"type": "websocket", "uri": "wss://bot.example.com/ws", "content-type": "audio/l16;rate=16000"}
PHONE = {"type": "phone", "number": "447700900222"}
BASE = "https://example.com"


def connect(endpoint: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"action": "connect", "endpoint": [endpoint], "from": "442079460000", **options}


def names(document: list[dict[str, Any]]) -> list[str]:
    return [step.name for step in imported(document).steps]


def told(*document: dict[str, Any]) -> dict[str, str]:
    return {each.path: each.message for each in imported([*document]).warnings}


def again(document: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what comes out of a document that went in."""
    version = Version(1, 1, Flow(imported(document).steps))
    return exported(along(version, lambda flow: None), BASE, lambda prompt: f"{BASE}/{prompt}.wav")


# In


def test_steps_are_named_for_their_actions() -> None:
    talk, keys = {"action": "talk", "text": "Hello"}, {"action": "input", "type": ["dtmf"]}
    assert names([talk, keys, talk, talk, keys]) == ["talk", "input", "talk-2", "talk-3", "input-2"]
    assert names([]) == []


def test_endpoint_becomes_an_object() -> None:
    (step,) = imported([connect(PHONE, timeout="45")]).steps
    assert step == Step("connect", "connect", {"endpoint": PHONE, "from": "442079460000", "timeout": "45"})


def test_ncco_with_errors_is_refused_with_all_of_them() -> None:
    with pytest.raises(InvalidNcco) as refused:
        imported([{"action": "talk"}, {"action": "fly"}])
    assert {each.path for each in refused.value.problems} == {"$[0].text", "$[1].action"}
    with pytest.raises(InvalidNcco):
        imported({"action": "talk"})


def test_options_that_are_called_like_ours_are_kept_apart() -> None:
    (step,) = imported([connect(SOCKET, app="bot", foreign=1)]).steps
    assert step.options[FOREIGN] == {"app": "bot", "foreign": 1}
    assert step.options.keys() == {"endpoint", "from", FOREIGN}


def test_what_is_as_the_forms_have_it_is_not_worth_a_word() -> None:
    assert told({"action": "talk", "text": "Hello"}, {"action": "record", "format": "wav"}, connect(PHONE)) == {}


def test_what_the_forms_do_not_know_is_told() -> None:
    found = told(
        {"action": "talk", "text": "Hello {{ from }}", "colour": "red", "voiceName": "Amy"},
        {"action": "input", "type": ["dtmf"], "eventUrl": ["https://other.example/in"], "eventMethod": "GET"},
        {"action": "record", "transcription": {"eventUrl": ["https://other.example/text"]}},
        connect(SOCKET, timeout="45"),
        connect({**PHONE, "onAnswer": {"url": "https://other.example/whisper"}}),
        connect({"type": "sip", "uri": "sip:bob@pbx.example.com", "headers": {"A": "b"}}),
    )
    assert "colour" in found["talk.colour"] or "document" in found["talk.colour"]
    assert found["talk"] == "{{ from }} is a variable here: each call gets a value in its place"
    assert "forms do not show it" in found["input.eventMethod"]
    elsewhere = "results go to https://other.example/in and not to us: no branch of this step is ever taken"
    assert found["input.eventUrl"] == elsewhere
    assert found["record.transcription.eventUrl"] == "results go to https://other.example/text and not to us"
    assert found["connect.endpoint.uri"] == "the socket is wss://bot.example.com/ws, none of our apps"
    assert "'45'" in found["connect.timeout"]
    assert "connect.endpoint.colour" in told(connect({**SOCKET, "colour": 1}))
    whisper = "what the callee hears first comes from https://other.example/whisper and not from us"
    assert found["connect-2.endpoint.onAnswer.url"] == whisper
    assert found["connect-3.endpoint.headers"] == "kept with this step; no header set holds them"
    assert "connect-3.endpoint.uri" not in found


def test_long_address_is_told_in_short() -> None:
    found = told(connect({**SOCKET, "uri": f"wss://bot.example.com/{'x' * 200}"}))
    assert len(found["connect.endpoint.uri"]) < 120


def test_address_of_an_action_without_results_is_no_matter_of_branches() -> None:
    found = told({"action": "conversation", "name": "room", "eventUrl": ["https://other.example/"]})
    assert found["conversation.eventUrl"] == "results go to https://other.example/ and not to us"


# Out again


@pytest.mark.parametrize(
    "document",
    [
        [],
        [{"action": "talk", "text": "Hello {{ from }}", "loop": "2", "prompt": "x", "foreign": {"a": 1}}],
        [connect(SOCKET), {"action": "talk", "text": "After it"}, connect(PHONE, app="x"), {"action": "wait"}],
        [{"action": "transfer", "conversationId": "CON-1"}, {"action": "talk", "text": "Never"}],
        [{"action": "notify", "payload": {"a": [1, None]}, "eventUrl": ["https://other.example/"]}],
    ],
)
def test_what_goes_in_comes_out(document: list[dict[str, Any]]) -> None:
    assert again(document) == document


def test_what_was_made_here_is_an_ncco_with_stand_ins() -> None:
    steps = (
        Step("tune", "stream", {"prompt": {"id": 1, "version": 7, "seconds": 3}}),
        Step("keys", "input", {"dtmf": {"maxDigits": 1}}),
        Step("tell", "notify", {"payload": {}}),
        Step("echo", "connect", {"app": "echo", "settings": {}, "endpoint": {"type": "websocket"}}),
    )
    version = Version(1, 1, Flow(steps, (Branch("keys", "1", Target("step", "echo")),)))
    places = along(version, lambda flow: None)
    assert exported(places, BASE, lambda prompt: f"{BASE}/{prompt}.wav") == [
        {"action": "stream", "streamUrl": ["https://example.com/7.wav"]},
        {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}},
        {"action": "notify", "payload": {}, "eventUrl": ["https://example.com/webhooks/events"]},
        {
            "action": "connect",
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": "wss://example.com/socket/LINE/TOKEN",
                    "content-type": "audio/l16;rate=16000",
                }
            ],
        },
    ]
    assert left_behind(version, places) == [
        "1 branch is not part of an NCCO, and left out",
        "the socket of echo has another address in each call: LINE and TOKEN stand for it",
        "the address of the prompt of tune is good for a day",
    ]


def walked(*steps: Step, branches: tuple[Branch, ...] = (), joinable: bool = False) -> list[str]:
    version = Version(1, 1, Flow(steps, branches, joinable))
    return [place.step.name for place in along(version, lambda flow: None)]


def talk(name: str, then: Target = NEXT) -> Step:
    return Step(name, "talk", {"text": name}, then)


def test_what_only_branches_lead_to_is_no_part_of_the_document() -> None:
    echo = Step("echo", "connect", {"app": "echo"})
    branch = (Branch("echo", "failed", Target("step", "sorry")),)
    assert walked(talk("a"), echo, talk("sorry"), branches=branch) == ["a", "echo"]
    assert walked(Step("echo", "connect", {}, END), talk("b")) == ["echo"]
    version = Version(1, 1, Flow((talk("a", END), talk("b"))))
    places = along(version, lambda flow: None)
    assert left_behind(version, places) == ["only branches lead to b: left out"]


def test_joinable_flow_goes_on_after_its_connect() -> None:
    call = Step("call", "connect", {"endpoint": PHONE}, Target("step", "c"))
    assert walked(call, talk("b"), talk("c"), joinable=True) == ["call", "c"]


def test_document_that_goes_round_ends() -> None:
    call = Step("call", "connect", {"endpoint": PHONE}, Target("step", "a"))
    assert walked(talk("a"), call, joinable=True) == ["a", "call"]


def test_another_flow_is_followed() -> None:
    other = Version(2, 2, Flow((talk("x"),)))
    start = Version(1, 1, Flow((talk("a", Target("flow", flow=2)),)))
    assert [place.step.name for place in along(start, {2: other}.get)] == ["a", "x"]
    assert left_behind(start, along(start, {2: other}.get)) == []


def test_flow_without_steps_is_an_empty_document() -> None:
    assert along(Version(1, 1, Flow()), lambda flow: None) == []
