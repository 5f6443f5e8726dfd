"""What webhooks bring besides who and where: words, files and headers, in all their forms."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.payloads.answer import AnswerRequest, values
from callflows.payloads.events import CallEvent, Sound
from callflows.payloads.telling import sentence
from tests.payloads.test_answer import ask
from tests.payloads.test_events import event, load

FILE = "https://api-us.nexmo.com/v1/files/"
RECORDING = "3f6a8d20-7c45-4b19-a0e2-9d1b5c8f7e06"


# What was said


def test_what_the_caller_said_comes_best_reading_first() -> None:
    heard = CallEvent.parse(load("input_speech")).heard
    assert [(each.text, each.sure) for each in heard] == [("book a table", 0.9127331), ("look at table", 0.6802514)]


@pytest.mark.parametrize(
    ("confidence", "sure"),
    [("0.5", 0.5), (1, 1.0), (0.25, 0.25), ("1.5", None), (-0.1, None), ("high", None), (10**400, None), (None, None)],
    ids=range(8),
)
def test_confidence_is_a_share_or_none(confidence: object, sure: float | None) -> None:
    (heard,) = event(speech={"results": [{"text": "yes", "confidence": confidence}]}).heard
    assert heard.sure == sure


@pytest.mark.parametrize("results", [None, "yes", {}, [], ["yes"], [{"text": " "}], [{"text": 5}], [{}]])
def test_reading_without_words_is_none(results: object) -> None:
    found = event(speech={"results": results})
    assert (found.words, found.outcomes) == ((), ("nothing",))


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"speech": {"results": [{"text": "yes"}]}}, 'Caller said "yes"'),
        (
            {"dtmf": {"digits": "1"}, "speech": {"results": [{"text": "yes", "confidence": "1"}]}},
            'Caller pressed 1 and said "yes" (100 % sure)',
        ),
        (
            {"dtmf": {"digits": None}, "speech": {"error": "ERR1: Failed to analyze audio"}},
            "Caller said nothing; speech: ERR1: Failed to analyze audio",
        ),
        ({"dtmf": {"digits": ""}, "speech": {"results": []}}, "Caller pressed nothing"),
        ({"dtmf": "", "timed_out": True}, "Caller pressed nothing"),
    ],
    ids=range(5),
)
def test_answer_of_a_caller_is_told_as_far_as_known(members: dict[str, Any], text: str) -> None:
    assert sentence(event(**members)) == text


# Files


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("record", Sound("recording", f"{FILE}c5d80e1f-6b27-4930-8f4a-2e7d1a9b0c38", RECORDING, "vonage")),
        ("transcribed", Sound("transcript", f"{FILE}0b9a4e77-1d35-4c82-9f60-7a8e3c2b5d14", RECORDING, "vonage")),
        ("record_empty", None),
        ("input_speech", None),
        ("started", None),
    ],
)
def test_file_that_an_event_names_is_found(name: str, sound: Sound | None) -> None:
    assert CallEvent.parse(load(name)).sound == sound


def test_audio_of_what_was_said_has_no_id_of_its_own() -> None:
    assert event(speech={"recording_url": f"{FILE}x"}).sound == Sound("recording", f"{FILE}x", "", "speech")


def test_recording_without_size_and_times_is_told_all_the_same() -> None:
    assert sentence(event(recording_url=f"{FILE}x")) == "Vonage made a recording"


# Headers and custom data


def test_headers_of_an_event_are_values_by_their_names() -> None:
    found = CallEvent.parse(load("websocket_disconnected"))
    assert found.values == {"headers.call_ref": "ref-20931", "headers.caller-id": "447700900111"}


@pytest.mark.parametrize("headers", [None, "x", [], {}])
def test_headers_that_are_none_are_no_values(headers: object) -> None:
    assert event(headers=headers).values == {}


def test_headers_of_sip_come_with_the_caller() -> None:
    brought = ask("post_inbound_sip").brought
    assert brought == {"SipHeader_X-UserId": "1938ND9", "SipHeader_User-to-User": "342342ef34;encoding=hex"}
    assert values(brought) == brought


def test_custom_data_comes_with_the_caller_and_nested_ones_are_json() -> None:
    custom = {"plan": "gold", "visits": 3, "tags": ["a", "ü"], "none": None}
    brought = AnswerRequest.parse({"custom_data": custom, "colour": "green"}).brought
    assert brought == {"custom_data": custom}
    assert values(brought) == {
        "custom_data.plan": "gold",
        "custom_data.visits": "3",
        "custom_data.tags": '["a","ü"]',
        "custom_data.none": "",
    }


@pytest.mark.parametrize("custom", [None, ""])
def test_custom_data_that_is_none_is_not_kept(custom: object) -> None:
    assert AnswerRequest.parse({"custom_data": custom}).brought == {}


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"from": "447700900111"}, "phone"),
        ({"from_user": "Anna"}, "app"),
        ({"from": "anonymous"}, "phone"),
        ({"from": "sips:alice@pbx.example.com"}, "sip"),
        ({"from": "tel:447700900111"}, "phone"),
        ({"from_user": "Anna", "endpoint_type": "vbc"}, "vbc"),
    ],
)
def test_kind_of_a_caller_is_told_or_read_from_the_address(members: dict[str, str], kind: str) -> None:
    assert AnswerRequest.parse(members).endpoint_type == kind


# Transfers and notices


def test_transfer_without_rooms_is_still_one() -> None:
    found = event(conversation_uuid="", type="transfer")
    assert (found.kind, sentence(found)) == ("transfer", "Moved to conversation of an unknown name")


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (None, "Notified by the NCCO"),
        ({}, "Notified by the NCCO"),
        ("done", "Notified by the NCCO: done"),
        ("a" * 201, f"Notified by the NCCO: {'a' * 200}..."),
    ],
)
def test_notice_is_told_with_the_beginning_of_its_payload(payload: object, text: str) -> None:
    assert sentence(event(payload=payload)) == text


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"reason": ""}, "Vonage: an error without a reason"),
        ({"status": "failure"}, "Payment failed"),
        ({"status": "completed", "disconnected_by": "user", "direction": "outbound"}, "Ended, disconnected_by: user"),
        ({"status": "completed", "disconnected_by": "x", "duration": "0"}, "Ended after 0 s, disconnected_by: x"),
        ({"status": "completed", "duration": "7", "sip_code": 480, "price": "2"}, "Ended after 7 s, 2 EUR, SIP 480"),
        ({"status": "rejected", "detail": "no_such_detail"}, "Rejected: no_such_detail"),
        ({"status": "human"}, "Answered by a human"),
    ],
    ids=range(7),
)
def test_other_forms_are_told_in_words(members: dict[str, Any], text: str) -> None:
    assert sentence(event(**members)) == text
