"""The answer and fallback webhooks: read leniently, because someone is listening."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.payloads.answer import AnswerRequest, Failure
from callflows.payloads.body import from_json, from_query

FOLDER = Path(__file__).parent / "answer"
UUID = "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"


def load(name: str) -> dict[str, Any]:
    text = (FOLDER / f"{name}.json").read_text()
    return from_query(json.loads(text)) if name.startswith("get") else from_json(text.encode())


def ask(name: str) -> AnswerRequest:
    return AnswerRequest.parse(load(name))


@pytest.mark.parametrize(
    "name",
    [
        "get_inbound_phone_2020", "get_inbound_phone_2026", "get_fallback",
        "post_inbound_phone_2020", "post_inbound_phone_2026", "post_fallback",
    ],
)  # fmt: skip
def test_call_from_a_phone_is_read(name: str) -> None:
    asked = ask(name)
    assert (asked.caller, asked.to, asked.digits) == ("447700900111", "442079460000", "442079460000")
    assert (asked.uuid, asked.conversation_uuid, asked.endpoint_type) == (UUID, ROOM, "phone")
    assert asked.recordable
    assert asked.raw == load(name)


@pytest.mark.parametrize("year", ["2020", "2026"])
def test_call_by_get_is_the_same_as_by_post(year: str) -> None:
    assert ask(f"get_inbound_phone_{year}") == ask(f"post_inbound_phone_{year}")


def test_address_of_the_calls_region_is_read() -> None:
    assert ask("get_inbound_phone_2026").region_url == "https://api-eu-3.vonage.com"
    assert ask("get_inbound_phone_2020").region_url == ""


def test_call_from_sip_keeps_all_its_members() -> None:
    asked = ask("post_inbound_sip")
    assert (asked.caller, asked.to) == ("sip:alice@pbx.example.com", "sip:desk@acme.sip-eu.vonage.com")
    assert (asked.endpoint_type, asked.raw["SipHeader_X-UserId"]) == ("sip", "1938ND9")


def test_user_of_an_app_is_the_caller() -> None:
    assert AnswerRequest.parse({"from_user": "Anna", "to": "442079460000"}).caller == "Anna"


@pytest.mark.parametrize("to", ["442079460000", "+442079460000", " 442079460000", " +442079460000 "])
def test_number_that_was_called_is_found_with_and_without_plus(to: str) -> None:
    # A plus sign that was not escaped arrives as a space.
    assert AnswerRequest.parse({"to": to}).digits == "442079460000"


@pytest.mark.parametrize(
    ("raw", "recordable"),
    [
        ({"uuid": UUID}, True),
        ({"uuid": "a" * 255}, True),
        ({"uuid": "a" * 256}, False),
        ({"uuid": ""}, False),
        ({}, False),
        ({"uuid": 5}, False),
        ({"uuid": UUID, "conversation_uuid": "a" * 256}, False),
    ],
)
def test_call_without_a_usable_id_is_answered_but_not_recorded(raw: dict[str, Any], recordable: bool) -> None:
    assert AnswerRequest.parse(raw).recordable is recordable


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("get_fallback", "the answer webhook failed: our server closed the connection"),
        ("post_fallback", "the answer webhook failed: our server did not answer in time"),
        ("post_fallback_invalid_ncco", "the answer webhook failed: Vonage refused the NCCO"),
    ],
)
def test_failure_is_told_in_words(name: str, sentence: str) -> None:
    failure = Failure.parse(load(name))
    assert str(failure) == sentence
    assert failure.url == "https://app.example.com/hooks/answer"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "a webhook failed: Vonage gave no reason"),
        ({"reason": "Because.", "original_request": {"type": "event"}}, "an event webhook failed: Because."),
        (
            {"reason": "Connection reset.", "original_request": "x"},
            "a webhook failed: the connection to our server broke",
        ),
        ({"reason": "Invalid response code."}, "a webhook failed: our server answered with an error"),
    ],
)
def test_failure_without_its_members_is_told_as_far_as_known(raw: dict[str, Any], sentence: str) -> None:
    assert str(Failure.parse(raw)) == sentence


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({"a": 1})
MEMBERS = [
    "to",
    "from",
    "from_user",
    "uuid",
    "conversation_uuid",
    "region_url",
    "endpoint_type",
    "reason",
    "original_request",
]


@given(st.dictionaries(st.sampled_from(MEMBERS), ANYTHING))
def test_no_request_is_refused(raw: dict[str, Any]) -> None:
    asked = AnswerRequest.parse(raw)
    assert asked.endpoint_type
    for text in (asked.to, asked.caller, asked.uuid, asked.conversation_uuid, asked.digits, str(Failure.parse(raw))):
        assert isinstance(text, str)
