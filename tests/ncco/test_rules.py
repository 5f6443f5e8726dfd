"""The rules between the options of an action or endpoint, and between the actions of a document."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.document import errors, problems
from callflows.ncco.rules import ACTION_RULES, ENDPOINT_RULES
from tests.ncco.documents import Action, connect, only, phone, sip, socket, told

CONVERSATION = {"action": "conversation", "name": "room"}
TRANSFER = {"action": "transfer", "conversationId": "CON-8e0b7d62"}
BARGE = {"action": "talk", "text": "a", "bargeIn": True}
TALK = {"action": "talk", "text": "b"}
KEYS = {"action": "input", "type": ["dtmf"]}
RECORD = {"action": "record"}


@pytest.mark.parametrize("rule", [*ACTION_RULES, *ENDPOINT_RULES], ids=lambda rule: rule.find.__name__)
def test_every_rule_can_be_read_in_the_documents(rule: Any) -> None:
    assert rule.text.endswith(".")
    assert rule.source
    assert rule.of


# Talk


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1500,
        "e\u0301" * 750,
        "😀" * 1500,
        "<speak>" + "x" * 1500 + "<break time='1s'/></speak>",
        "  <speak version='1.0'>a</speak>\n",
        "<?xml version='1.0'?><speak>a</speak>",
        "<speak><break time='1s'/></speak>",
        "<speak><audio src='https://example.com/a.mp3'/></speak>",
        "<speak><amazon:effect name='whispered'>a</amazon:effect> &amp; b</speak>",
        "5 < 6 and 7 > 2",
        "Tom & Jerry <3",
    ],
)
def test_text_that_can_be_spoken_is_taken(text: str) -> None:
    assert problems([{"action": "talk", "text": text}]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected words to speak, got an empty text"),
        (" \n", "expected words to speak, got an empty text"),
        ("<speak></speak>", "expected words to speak, got an empty text"),
        ("x" * 1501, "expected at most 1500 characters besides SSML tags, got 1501"),
        # What looks like one character to people is two to a computer.
        ("e\u0301" * 751, "expected at most 1500 characters besides SSML tags, got 1502"),
        ("<speak>" + "x" * 1501 + "</speak>", "expected at most 1500 characters besides SSML tags, got 1501"),
        ("a < " + "x" * 1500 + " > b", "expected at most 1500 characters besides SSML tags, got 1508"),
        ("a<break time='1s'/>b", "expected SSML inside <speak>...</speak>, got tags without it"),
        ("<prosody rate='slow'>a</prosody>", "expected SSML inside <speak>...</speak>, got tags without it"),
        ("<speak>a</speak> b", "expected SSML inside <speak>...</speak>, got tags without it"),
        ("a <speak>b</speak>", "expected SSML inside <speak>...</speak>, got tags without it"),
        ("<speak>a", "expected SSML inside <speak>...</speak>, got tags without it"),
        ("<SPEAK>a</SPEAK>", "expected SSML inside <speak>...</speak>, got tags without it"),
    ],
)
def test_text_that_cannot_be_spoken_is_refused(text: str, message: str) -> None:
    assert only({"action": "talk", "text": text}) == ("$[0].text", "error", message)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("<speak>Tom & Jerry</speak>", "not well-formed (invalid token), at 12"),
        ("<speak><p>a</speak>", "mismatched tag, at 13"),
        ("<speak>&nbsp;a</speak>", "undefined entity, at 7"),
    ],
)
def test_ssml_that_is_no_xml_is_warned_of(text: str, got: str) -> None:
    message = f"expected SSML that is well-formed XML, got {got}"
    assert only({"action": "talk", "text": text}) == ("$[0].text", "warning", message)


def test_half_of_a_surrogate_pair_in_ssml_is_only_warned_of() -> None:
    assert told({"action": "talk", "text": "<speak>\ud800</speak>"}) == [("$[0].text", "warning")]


def test_ssml_that_declares_something_is_an_error_and_not_expanded() -> None:
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    text = f"<speak><!DOCTYPE speak [<!ENTITY e0 'ha'>{entities}]>&e11;</speak>"
    assert ("$[0].text", "warning") in told({"action": "talk", "text": text})


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ({**TALK, "provider": "Google"}, "$[0].provider"),
        ({"action": "input", "type": ["speech"], "speech": {"provider": "Google"}}, "$[0].speech.provider"),
    ],
)
def test_provider_without_its_options_is_warned_of(action: Action, path: str) -> None:
    assert only(action)[:2] == (path, "warning")


# Record


def test_channels_need_split() -> None:
    assert only({**RECORD, "channels": 2})[:2] == ("$[0].channels", "warning")
    assert told({**RECORD, "channels": 2, "split": "conversation"}) == []


def test_more_channels_than_mp3_holds_are_warned_of() -> None:
    split = {**RECORD, "split": "conversation"}
    assert only({**split, "channels": 3, "format": "mp3"})[:2] == ("$[0].format", "warning")
    assert told({**split, "channels": 2, "format": "mp3"}, {**split, "channels": 3}) == []


# Input


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"type": ["dtmf"], "dtmf": {}}, []),
        ({"type": ["speech"], "speech": {}}, []),
        ({"type": ["speech", "dtmf"], "dtmf": {}, "speech": {}}, []),
        ({"type": ["speech"], "dtmf": {}}, ["$[0].dtmf"]),
        ({"type": ["dtmf"], "speech": {}}, ["$[0].speech"]),
        ({"type": [], "dtmf": {}}, ["$[0].type", "$[0].dtmf"]),
        ({"type": ["dtmf"], "mode": "asynchronous"}, []),
        ({"type": ["dtmf"], "mode": "synchronous", "dtmf": {}}, []),
        ({"type": ["dtmf"], "mode": "asynchronous", "dtmf": {}}, []),
        ({"type": ["dtmf"], "mode": "asynchronous", "dtmf": {"maxDigits": 1}}, ["$[0].dtmf"]),
        ({"type": ["dtmf", "speech"], "mode": "asynchronous"}, ["$[0].type"]),
        ({"type": ["speech"], "mode": "asynchronous", "speech": {}}, ["$[0].type"]),
    ],
)
def test_settings_of_an_input_fit_its_type_and_mode(options: Action, paths: list[str]) -> None:
    assert [each.path for each in errors([{"action": "input", **options}])] == paths


# Conversation and transfer


@pytest.mark.parametrize("action", [CONVERSATION, TRANSFER])
def test_mute_excludes_can_speak(action: Action) -> None:
    for mute in (True, "true"):
        found = [each.path for each in errors([{**action, "mute": mute, "canSpeak": ["a"]}])]
        assert found == ["$[0].mute"]
        # Vonage's builder for Python writes it so.
        assert problems([{**action, "mute": True, "canSpeak": []}]) == []
    assert errors([{**action, "mute": False, "canSpeak": ["a"]}]) == []
    assert errors([{**action, "mute": True, "canHear": []}]) == []


def test_transcription_of_a_room_needs_its_recording() -> None:
    assert only({**CONVERSATION, "transcription": {}})[:2] == ("$[0].transcription", "error")
    assert only({**CONVERSATION, "transcription": {}, "record": False})[:2] == ("$[0].transcription", "error")
    assert told({**CONVERSATION, "transcription": {"language": "en-GB"}, "record": True}) == []


def test_transcription_of_a_call_needs_nothing_else() -> None:
    assert told({**RECORD, "transcription": {"sentimentAnalysis": True, "eventUrl": ["https://a.example"]}}) == []


def test_conversation_that_is_no_conversations_id_is_warned_of() -> None:
    assert only({"action": "transfer", "conversationId": "8e0b7d62"})[:2] == ("$[0].conversationId", "warning")
    assert told(TRANSFER) == []


# Connect


@pytest.mark.parametrize(
    "number", ["EchoTest", "", "+442079460000", "0442079460000", "44 2079 460000", "15550001111", "11235551234"]
)
def test_caller_that_is_no_number_is_warned_of(number: str) -> None:
    path, severity, message = only({**phone(), "from": number})
    assert (path, severity) == ("$[0].from", "warning")
    assert message.endswith("; the callee sees an unknown caller")


@pytest.mark.parametrize("number", ["EchoTest", "442079460000", "15550001111", "", "+442079460000"])
def test_caller_is_as_it_was_given_at_a_sip_address(number: str) -> None:
    assert problems([{**sip(uri="sip:a@example.com"), "from": number}], own={"447700900001"}) == []


@pytest.mark.parametrize(("number", "told"), [("EchoTest", 1), ("", 1), ("442079460000", 0), ("15550001111", 0)])
def test_caller_that_is_no_number_is_warned_of_at_a_socket_which_sees_none(number: str, told: int) -> None:
    found = problems([{**socket(), "from": number}], own={"447700900001"})
    assert [each.severity for each in found] == ["warning"] * told
    assert all("unknown caller" not in each.message for each in found)


@pytest.mark.parametrize("length", [50, 51, 60])
def test_sip_address_that_is_longer_than_a_schema_has_it_is_warned_of(length: int) -> None:
    uri = "sip:a@example.com;x=".ljust(length, "1")
    found = problems([sip(uri=uri)])
    assert [(each.path, each.severity) for each in found] == [("$[0].endpoint[0].uri", "warning")] * (length > 50)


def test_user_to_user_that_is_longer_than_an_sdk_allows_is_warned_of() -> None:
    found = problems([sip(uri="sip:a@example.com", standardHeaders={"User-to-User": "a" * 257})])
    assert [(each.path, each.severity) for each in found] == [
        ("$[0].endpoint[0].standardHeaders.User-to-User", "warning")
    ]


@pytest.mark.parametrize("action", ["input", "record", "conversation", "connect"])
def test_empty_list_of_addresses_is_none(action: str) -> None:
    whole: dict[str, Action] = {
        "input": {"action": "input", "type": ["dtmf"]},
        "record": RECORD,
        "conversation": CONVERSATION,
    }
    assert problems([{**whole.get(action, phone()), "eventUrl": []}]) == []


@pytest.mark.parametrize("number", ["442079460000", "12025550123", "4930123456"])
def test_caller_that_can_be_a_number_is_taken(number: str) -> None:
    assert told({**phone(), "from": number}) == []


def test_call_to_a_phone_needs_a_caller_and_others_do_not() -> None:
    call = phone()
    del call["from"]
    assert only(call)[:2] == ("$[0].from", "warning")
    assert only({**call, "randomFromNumber": False})[:2] == ("$[0].from", "warning")
    assert told({**call, "randomFromNumber": True}, sip(uri="sip:a@example.com"), CONVERSATION) == []


def test_number_that_is_not_the_accounts_is_warned_of_when_the_accounts_are_known() -> None:
    def paths(number: object, own: set[str]) -> list[str]:
        return [each.path for each in problems([TALK, {**phone(), "from": number}], own=own)]

    assert paths("442079460000", {"442079460000"}) == []
    assert paths("442079460000", set()) == ["$[1].from"]
    assert paths("15550001111", set()) == ["$[1].from"]
    assert paths(5, set()) == ["$[1].from"]


def test_any_number_excludes_a_certain_one() -> None:
    for value in (True, "true"):
        assert [each.path for each in errors([{**phone(), "randomFromNumber": value}])] == ["$[0].randomFromNumber"]
    assert told({**phone(), "randomFromNumber": False}) == []


def test_advanced_detection_of_machines_overrides_the_other_one() -> None:
    both = {**phone(), "machineDetection": "continue", "advancedMachineDetection": {}}
    assert only(both)[:2] == ("$[0].machineDetection", "warning")


def test_tone_of_ours_is_not_for_phones() -> None:
    tone = {"ringbackTone": "https://example.com/tone.wav"}
    assert only({**phone(), **tone})[:2] == ("$[0].ringbackTone", "warning")
    assert told({**socket(), **tone}) == []


# Endpoints


def test_socket_without_content_type_is_warned_of() -> None:
    call = connect([{"type": "websocket", "uri": "wss://example.com/s"}])
    assert only(call)[:2] == ("$[0].endpoint[0].content-type", "warning")


@pytest.mark.parametrize("name", ["event", "content-type"])
def test_header_that_vonage_overwrites_is_warned_of(name: str) -> None:
    message = "expected another name: Vonage overwrites it with a member of its own"
    assert only(socket(headers={name: 1})) == (f"$[0].endpoint[0].headers.{name}", "warning", message)


@pytest.mark.parametrize("uri", ["WSS://example.com/s", "ws://[::1]:8000", "wss://example.com?" + "q" * 3000])
def test_address_of_a_socket_may_be_long_and_in_any_case(uri: str) -> None:
    assert told(socket(uri=uri)) == []


@pytest.mark.parametrize("authorization", [{}, {"type": "vonage"}, {"type": "custom", "value": "Bearer x"}])
def test_authorization_of_a_socket_is_taken(authorization: Action) -> None:
    assert told(socket(authorization=authorization)) == []


@pytest.mark.parametrize("value", [{}, {"value": ""}, {"value": " "}, {"value": "\t"}, {"value": None}, {"value": 5}])
def test_custom_authorization_needs_a_value_and_says_so_once(value: Action) -> None:
    path = "$[0].endpoint[0].authorization.value"
    assert told(socket(authorization={"type": "custom", **value})) == [(path, "error")]


def test_value_that_vonage_ignores_is_warned_of_unless_it_says_so() -> None:
    assert only(socket(authorization={"value": "x"}))[:2] == ("$[0].endpoint[0].authorization.type", "warning")
    assert told(socket(authorization={"type": "vonage", "value": "x"})) == []


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ({}, "$[0].endpoint[0]"),
        ({"uri": "sip:a@example.com", "domain": "acme"}, "$[0].endpoint[0]"),
        ({"uri": "sip:a@example.com", "user": "bob"}, "$[0].endpoint[0]"),
        ({"uri": "sip:a@example.com", "domain": "acme", "user": "bob"}, "$[0].endpoint[0]"),
        ({"domain": "acme"}, "$[0].endpoint[0].user"),
        ({"user": "bob"}, "$[0].endpoint[0].domain"),
    ],
)
def test_sip_endpoint_has_one_address(endpoint: Action, path: str) -> None:
    assert only(sip(**endpoint))[:2] == (path, "error")


@pytest.mark.parametrize(
    "endpoint",
    [
        {"uri": "sip:bob@example.com;transport=tls;media=srtp"},
        {"uri": "sips:bob@example.com", "headers": {"X-Place": "London"}},
        {"uri": "sip:b@example.com", "standardHeaders": {"User-to-User": "a" * 256}},
        {"domain": "acme", "user": "bob"},
    ],
)
def test_sip_endpoint_is_taken(endpoint: Action) -> None:
    assert told(sip(**endpoint)) == []


@pytest.mark.parametrize(
    "endpoint",
    [
        {"type": "phone", "number": "1234567", "dtmfAnswer": "1p*#", "shaken": "eyJ"},
        {"type": "phone", "number": "447700900123", "onAnswer": {"url": "https://a.example"}},
        {"type": "app", "user": "alice"},
        {"type": "vbc", "extension": "123"},
    ],
)
def test_endpoint_is_taken(endpoint: Action) -> None:
    assert told(connect([endpoint], {"from": "442079460000"})) == []


# Between actions


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ([BARGE, KEYS], []),
        ([BARGE, TALK, KEYS], []),
        ([BARGE], ["$[0].bargeIn"]),
        ([TALK, BARGE, TALK], ["$[1].bargeIn"]),
        ([BARGE, RECORD, KEYS], ["$[1].action"]),
        ([BARGE, KEYS, BARGE], ["$[2].bargeIn"]),
        ([BARGE, RECORD, BARGE, KEYS], ["$[1].action"]),
        ([{**BARGE, "bargeIn": "true"}], ["$[0].bargeIn"]),
        ([BARGE, {**TALK, "bargeIn": False}, {"action": "wait"}], ["$[2].action"]),
        ([BARGE, {"action": "input", "type": ["speech"]}, RECORD], []),
        ([BARGE, {**KEYS, "mode": "asynchronous"}, RECORD], []),
        # What is no action is told once: it may be meant to be the input.
        ([BARGE, 5, KEYS], ["$[1]"]),
        ([BARGE, {**KEYS, "action": "Input"}], ["$[1].action"]),
        ([BARGE, {"action": ["input"]}], ["$[1].action"]),
        # Of another action it is an option that nobody knows.
        ([{**RECORD, "bargeIn": True}], []),
    ],
)
def test_talk_that_a_key_stops_needs_an_input_after_it(document: list[Any], paths: list[str]) -> None:
    assert [each.path for each in errors(document)] == paths


@pytest.mark.parametrize("last", [socket(), TRANSFER])
def test_what_follows_a_socket_or_a_transfer_is_warned_of_once(last: Action) -> None:
    assert told(TALK, last) == []
    assert told(TALK, last, TALK, TALK) == [("$[2]", "warning")]


def test_what_follows_another_connect_is_fine() -> None:
    assert told(phone(), TALK) == []
