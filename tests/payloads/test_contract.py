"""What Vonage's documentation, old and new, says of events, each sentence with the smallest event that shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callflows.payloads.body import from_query
from callflows.payloads.events import CallEvent
from callflows.payloads.telling import sentence
from callflows.payloads.transcript import Sentence, sentences

LEG = "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
OTHER_ROOM = "CON-8e0b7d62-3c1f-4a95-b7d8-51f0c2a9e364"
NOT_ASKED = {"error": "Speech was not enabled"}
NO_KEYS = {"digits": None, "timed_out": False}


def posted(**members: Any) -> CallEvent:
    return CallEvent.parse({"uuid": LEG, "conversation_uuid": ROOM, **members})


def by_get(**members: Any) -> CallEvent:
    """The same event as a query: all members are texts, objects are JSON, and null is empty."""
    texts = {name: _as_text(value) for name, value in {"uuid": LEG, "conversation_uuid": ROOM, **members}.items()}
    return CallEvent.parse(from_query(texts))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, separators=(",", ":"))


def both(members: dict[str, Any]) -> tuple[CallEvent, CallEvent]:
    return posted(**members), by_get(**members)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"recording_url": "https://api-us.nexmo.com/v1/files/a", "size": 1}, "record"),
        ({"recording_url": None, "size": 0}, "record"),
        ({"type": "record", "status": "transcribed", "recording_uuid": "a"}, "transcribed"),
        ({"type": "record", "transcription_url": "https://api-us.nexmo.com/v1/files/a"}, "transcribed"),
        ({"conversation_uuid_to": OTHER_ROOM}, "transfer"),
        ({"type": "transfer"}, "transfer"),
        ({"dtmf": None}, "input"),
        ({"speech": NOT_ASKED}, "input"),
        ({"payload": {}}, "notify"),
        ({"reason": "Syntax error in NCCO."}, "error"),
        ({"status": "success"}, "payment"),
        ({"status": "failure"}, "payment"),
        ({"status": "parked"}, "status"),
        ({"type": "parked"}, "unknown"),
    ],
)
def test_event_is_told_apart_by_the_member_that_only_it_has(members: dict[str, Any], kind: str) -> None:
    assert [each.kind for each in both(members)] == [kind, kind]


@pytest.mark.parametrize(
    ("members", "digits"),
    [
        ({"dtmf": {"digits": "12", "timed_out": False}, "speech": NOT_ASKED}, "12"),
        ({"dtmf": {"digits": "1234", "timed_out": True}, "speech": {"results": []}}, "1234"),
        ({"dtmf": {"digits": "*0", "timed_out": True}}, "*0"),
        ({"dtmf": "42", "timed_out": False}, "42"),
        ({"dtmf": {"digits": "", "timed_out": True}, "speech": NOT_ASKED}, None),
        ({"dtmf": "", "timed_out": True}, None),
        ({"dtmf": None, "speech": {"results": []}}, None),
        ({"dtmf": NO_KEYS, "speech": {"timeout_reason": "start_timeout"}}, None),
        ({"dtmf": NO_KEYS, "speech": {"error": "ERR1: Failed to analyze audio"}}, None),
    ],
)
def test_keys_are_read_in_every_shape(members: dict[str, Any], digits: str | None) -> None:
    outcomes = (digits, "wrong") if digits else ("nothing",)
    assert [(each.digits, each.outcomes) for each in both(members)] == [(digits, outcomes)] * 2


def test_readings_of_speech_come_best_first_with_their_confidence_as_text_or_number() -> None:
    results = [{"confidence": "0.91", "text": "sales"}, {"confidence": 0.5, "text": "sails"}, {"text": "snails"}]
    said = {"dtmf": NO_KEYS, "speech": {"timeout_reason": "max_duration", "results": results}}
    for event in both(said):
        assert event.words == ("sales", "sails", "snails")
        assert [each.sure for each in event.heard] == [0.91, 0.5, None]
        assert event.outcomes == ("wrong",)


def test_speech_that_was_kept_is_named() -> None:
    url = "https://api.nexmo.com/v1/files/a"
    for event in both({"dtmf": NO_KEYS, "speech": {"results": [], "recording_url": url}}):
        assert event.sound is not None
        assert (event.sound.url, event.sound.source) == (url, "speech")


@pytest.mark.parametrize("member", ["uuid", "call_uuid"])
@pytest.mark.parametrize("status", ["human", "machine"])
def test_leg_of_a_human_or_machine_is_found_under_both_names(member: str, status: str) -> None:
    event = CallEvent.parse({member: LEG, "conversation_uuid": ROOM, "status": status})
    assert (event.uuid, event.outcome, event.status) == (LEG, status, "")


@pytest.mark.parametrize(
    ("sub_state", "outcomes"),
    [("beep_start", ("beep", "machine")), ("beep_timeout", ("machine",)), (None, ("machine",))],
)
def test_beep_is_an_outcome_of_its_own(sub_state: str | None, outcomes: tuple[str, ...]) -> None:
    assert posted(status="machine", sub_state=sub_state).outcomes == outcomes


@pytest.mark.parametrize("room", [{}, {"conversation_uuid": ROOM}])
def test_transfer_leads_to_its_new_room_whatever_room_it_also_names(room: dict[str, str]) -> None:
    moved = {"conversation_uuid_from": ROOM, "conversation_uuid_to": OTHER_ROOM, "type": "transfer"}
    event = CallEvent.parse({"uuid": LEG, **room, **moved})
    assert (event.left, event.conversation_uuid) == (ROOM, OTHER_ROOM)


def test_user_of_an_app_is_the_caller() -> None:
    assert posted(status="started", from_user="alice").caller == "alice"
    assert posted(status="started", **{"from": "447700900111"}).caller == "447700900111"


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        ("unanswered", "unavailable", "Not answered: the called party cannot be reached for now"),
        ("unanswered", "timeout", "Not answered: the carrier gave no answer in time"),
        ("unanswered", "carrier_timeout", "Not answered: the carrier gave no answer in time"),
        ("rejected", "invalid_number", "Rejected: the number is not valid"),
        ("rejected", "restricted", "Rejected: the carrier refused it"),
        ("rejected", "declined", "Rejected: the called party declined it"),
        ("failed", "internal_error", "Failed: an error inside Vonage"),
        ("failed", "not_thought_of_yet", "Failed: not_thought_of_yet"),
        ("failed", None, "Failed"),
    ],
)
def test_reason_of_a_call_that_was_not_made_is_told(status: str, detail: str | None, words: str) -> None:
    assert [sentence(each) for each in both({"status": status, "detail": detail})] == [words, words]


def test_completed_is_told_alike_with_numbers_as_texts_and_as_numbers() -> None:
    told = {"status": "completed", "duration": "7", "rate": "0.00450000", "price": "0.00052500", "sip_code": 486}
    words = "Ended after 7 s, 0.000525 EUR, SIP 486"
    assert [sentence(each) for each in both(told)] == [words, words]
    assert sentence(posted(**{**told, "duration": 7, "price": 0.000525, "sip_code": "486"})) == words


def test_call_that_was_never_answered_ends_without_times() -> None:
    for event in both({"status": "completed", "start_time": None, "duration": "0", "network": None}):
        assert (event.status, sentence(event)) == ("completed", "Ended after 0 s")


def test_headers_of_a_socket_are_values_with_what_is_nested_as_json() -> None:
    for event in both({"status": "disconnected", "headers": {"age": 40, "vip": True, "address": {"city": "Bath"}}}):
        assert event.values == {"headers.age": "40", "headers.vip": "true", "headers.address": '{"city":"Bath"}'}


def test_transcript_is_read_with_and_without_moods_and_words() -> None:
    segment = {"sentence": "Hello there.", "raw_sentence": "hello there", "timestamp": 1250, "duration": 900}
    more = {"sentiment": 0.4, "action_items": [], "words": [{"word": "hello", "start_time": 1250, "end_time": 1600}]}
    channels = [{"transcript": [{**segment, **more}], "duration": 3}, {"transcript": [segment], "duration": 3}]
    read = sentences({"ver": "1.0.0", "request_id": "a", "channels": channels})
    assert read == (Sentence(1, 1.25, "Hello there."), Sentence(2, 1.25, "Hello there."))
