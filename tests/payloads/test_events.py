"""The event webhook: what each event that we know of means, in both forms, and what no event can break."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.calls.progress import later
from callflows.payloads.body import BadPayload, from_query
from callflows.payloads.events import OUTCOMES, PROGRESS, CallEvent, moment
from callflows.payloads.telling import sentence
from tests import dates

FOLDER = Path(__file__).parent
EVENTS = sorted(FOLDER.glob("events/*.json"))
GET_EVENTS = sorted(FOLDER.glob("events_get/*.json"))
CALLER_LEG = "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
DIALLED_LEG = "7d3c5a10-2b4e-4f6a-9c8d-0e1f2a3b4c5d"
SOCKET_LEG = "b2a41c7e-90d3-4e55-8f17-6c2d9a0b3e41"
ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
OTHER_ROOM = "CON-8e0b7d62-3c1f-4a95-b7d8-51f0c2a9e364"


def load(name: str, folder: str = "events") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / folder / f"{name}.json").read_text())
    return found


def event(**members: Any) -> CallEvent:
    return CallEvent.parse({"uuid": CALLER_LEG, "conversation_uuid": ROOM, **members})


# name of the file: kind, status, outcome, outcomes for branches, sentence
MEANING: dict[str, tuple[str, str, str, tuple[str, ...], str]] = {
    "answered_outbound": ("status", "answered", "", (), "Answered"),
    "busy": ("status", "completed", "busy", ("busy",), "Busy"),
    "cancelled": ("status", "completed", "cancelled", (), "Cancelled before it was answered"),
    "completed": ("status", "completed", "", (), "Ended after 39 s, 0.002925 EUR"),
    "completed_2026": ("status", "completed", "", (), "Ended after 39 s, 0.002925 EUR, disconnected_by: user"),
    "completed_by_platform_2026": (
        "status",
        "completed",
        "",
        (),
        "Ended after 27 s, 0.002025 EUR, disconnected_by: platform",
    ),
    "error_invalid_ncco": ("error", "", "", (), "Vonage: Syntax error in NCCO. Invalid value type or action."),
    "failed_cannot_route": (
        "status",
        "completed",
        "failed",
        ("failed",),
        "Failed: the destination is not supported, or blocked for the account",
    ),
    "failed_number_out_of_service_2026": (
        "status",
        "completed",
        "failed",
        ("failed",),
        "Failed: the number is out of service, SIP 404",
    ),
    "future_unknown_status": ("status", "", "", (), "parked"),
    "input_async_single_digit": ("input", "", "", ("7", "wrong"), "Caller pressed 7"),
    "input_dtmf_docs_form": ("input", "", "", ("1234", "wrong"), "Caller pressed 1234"),
    "input_dtmf_nothing_pressed": ("input", "", "", ("nothing",), "Caller pressed nothing"),
    "input_speech": ("input", "", "", ("wrong",), 'Caller said "book a table" (91 % sure)'),
    "input_speech_start_timeout": ("input", "", "", ("nothing",), "Caller said nothing"),
    "machine": ("status", "", "machine", ("machine",), "Answered by a machine"),
    "machine_beep_start": ("status", "", "machine", ("beep", "machine"), "Beep of an answering machine"),
    "machine_beep_timeout": ("status", "", "machine", ("machine",), "Answering machine without a beep in time"),
    "notify": ("notify", "", "", ("notified",), 'Notified by the NCCO: {"step": "greeting_done", "ref": 20931}'),
    "payment_legacy": ("payment", "", "", (), "Payment made"),
    "record": ("record", "", "", (), "Vonage recorded 19 s, 78,336 bytes"),
    "record_empty": ("record", "", "", (), "Vonage recorded nothing"),
    "rejected_declined_2026": (
        "status",
        "completed",
        "rejected",
        ("rejected",),
        "Rejected: the called party declined it, SIP 603",
    ),
    "ringing_outbound": ("status", "ringing", "", (), "Ringing"),
    "started": ("status", "started", "", (), "Started"),
    "timeout": ("status", "completed", "timeout", ("timeout",), "Rang too long without an answer"),
    "transcribed": ("transcribed", "", "", (), "Vonage transcribed a recording"),
    "transfer": ("transfer", "", "", (), "Moved to conversation CON-8e0b7d62-3c1f-4a95-b7d8-51f0c2a9e364"),
    "unanswered_carrier_timeout_2026": (
        "status",
        "completed",
        "unanswered",
        ("unanswered",),
        "Not answered: the carrier gave no answer in time, SIP 480",
    ),
    "unanswered_timeout": (
        "status",
        "completed",
        "unanswered",
        ("unanswered",),
        "Not answered: the carrier gave no answer in time",
    ),
    "websocket_answered": ("status", "answered", "", (), "Answered"),
    "websocket_completed": ("status", "completed", "", (), "Ended after 38 s, 0.00025333 EUR"),
    "websocket_disconnected": ("status", "completed", "disconnected", ("disconnected",), "Audio socket disconnected"),
    "websocket_started": ("status", "started", "", (), "Started"),
    "websocket_unanswered": ("status", "completed", "unanswered", ("unanswered",), "Not answered"),
}


@pytest.mark.parametrize("name", MEANING)
def test_event_means_what_its_documentation_says(name: str) -> None:
    found = CallEvent.parse(load(name))
    assert (found.kind, found.status, found.outcome, found.outcomes, sentence(found)) == MEANING[name]


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_every_event_names_a_leg_or_a_room_and_keeps_all_its_members(file: Path) -> None:
    raw = json.loads(file.read_text())
    found = CallEvent.parse(raw)
    assert found.raw == raw
    assert found.uuid in ("", CALLER_LEG, DIALLED_LEG, SOCKET_LEG)
    assert found.conversation_uuid in (ROOM, OTHER_ROOM)
    assert (found.caller, found.to) == (raw.get("from", ""), raw.get("to", ""))
    assert (found.at is None) == ("timestamp" not in raw)


def test_there_are_events_of_all_kinds() -> None:
    assert len(EVENTS) >= 35
    assert {CallEvent.parse(load(file.stem)).kind for file in EVENTS} == {
        "status",
        "input",
        "record",
        "transcribed",
        "transfer",
        "notify",
        "error",
        "payment",
    }


def test_human_or_machine_names_its_leg_by_another_member() -> None:
    assert CallEvent.parse(load("machine")).uuid == DIALLED_LEG


def test_transfer_is_in_the_room_that_the_leg_went_to() -> None:
    assert CallEvent.parse(load("transfer")).conversation_uuid == OTHER_ROOM


def test_time_of_an_event_is_utc() -> None:
    assert CallEvent.parse(load("started")).at == dates.example(1.104)


# GET


@pytest.mark.parametrize(
    "name", ["error_invalid_ncco", "notify", "record", "started", "transfer", "websocket_disconnected"]
)
def test_event_by_get_means_the_same_as_by_post(name: str) -> None:
    got, posted = CallEvent.parse(from_query(load(name, "events_get"))), CallEvent.parse(load(name))
    assert sentence(got) == sentence(posted)
    for member in (
        "kind",
        "uuid",
        "conversation_uuid",
        "caller",
        "to",
        "direction",
        "status",
        "outcome",
        "at",
        "outcomes",
    ):
        assert getattr(got, member) == getattr(posted, member), member


def test_digits_by_get_are_read() -> None:
    assert CallEvent.parse(from_query(load("input_dtmf", "events_get"))).outcomes == ("42", "wrong")


@pytest.mark.parametrize("file", GET_EVENTS, ids=lambda file: file.stem)
def test_every_event_by_get_is_read(file: Path) -> None:
    assert CallEvent.parse(from_query(json.loads(file.read_text()))).kind != "unknown"


# Forms


def test_unknown_event_is_no_error() -> None:
    found = event(brand_new=1)
    assert (found.kind, found.name, found.status, found.outcomes, sentence(found)) == (
        "unknown",
        "unknown",
        "",
        (),
        "Event of a kind that is not known",
    )


def test_status_is_read_whatever_its_case_and_shown_as_it_came() -> None:
    assert (event(status="Busy").outcome, event(status="Busy").name) == ("busy", "Busy")


def test_digits_of_before_2020_are_read() -> None:
    assert event(dtmf="42", timed_out=False).digits == "42"


@pytest.mark.parametrize("dtmf", ["", None, {}, {"digits": None}, {"digits": ""}, {"digits": 5}, [], 5])
def test_digits_that_are_none_are_nothing(dtmf: object) -> None:
    assert (event(dtmf=dtmf).digits, event(dtmf=dtmf).outcomes) == (None, ("nothing",))


@pytest.mark.parametrize("key", ["0", "*", "#"])
def test_every_key_is_a_digit(key: str) -> None:
    assert event(dtmf={"digits": key}).outcomes == (key, "wrong")


@pytest.mark.parametrize("raw", [{}, {"status": "started", "uuid": None, "conversation_uuid": ""}])
def test_event_that_names_no_leg_and_no_room_is_unattached(raw: dict[str, Any]) -> None:
    assert CallEvent.parse(raw).unattached


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"uuid": "a" * 10_000}, "uuid: expected a text of at most 255 characters"),
        ({"uuid": 5}, "uuid: expected a text of at most 255 characters"),
        ({"call_uuid": ["a"]}, "uuid: expected a text of at most 255 characters"),
        ({"uuid": "a", "conversation_uuid": {"a": 1}}, "conversation_uuid: expected a text of at most 255 characters"),
        ({"conversation_uuid_to": "a" * 256}, "conversation_uuid: expected a text of at most 255 characters"),
    ],
)
def test_event_whose_id_is_none_is_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadPayload) as refused:
        CallEvent.parse(raw)
    assert str(refused.value) == sentence


def test_ids_are_kept_byte_for_byte() -> None:
    assert event(uuid="A-b_C" * 51).uuid == "A-b_C" * 51


# Times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T09:15:01.104Z", dates.example(1.104)),
        ("2026-03-02T09:15:01Z", dates.example(1)),
        ("2026-03-02 09:15:01", dates.example(1)),
        (" 2026-03-02T11:15:01+02:00 ", dates.example(1)),
        ("2026-03-02T09:15:01.123456789Z", dates.example(1.123456)),
    ],
)
def test_time_is_read_in_every_form_of_vonages(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "value",
    [None, 5, "", "yesterday", "1999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", ["2026"]],
)
def test_time_that_no_call_can_have_is_none(value: object) -> None:
    assert moment(value) is None


@given(st.text() | st.datetimes().map(str))
def test_time_is_aware_or_none_whatever_came(text: str) -> None:
    found = moment(text)
    assert found is None or found.astimezone(UTC).tzinfo is UTC


# Progress

STATUSES = st.sampled_from(["", *PROGRESS])


@given(STATUSES, STATUSES)
def test_status_never_goes_back(now: str, then: str) -> None:
    order = ["", *PROGRESS]
    assert order.index(later(now, then)) == max(order.index(now), order.index(then))


@given(st.permutations(["started", "ringing", "answered", "completed"]))
def test_order_of_events_makes_no_difference(statuses: list[str]) -> None:
    status = ""
    for each in statuses:
        status = later(status, each)
    assert status == "completed"


@pytest.mark.parametrize("now", PROGRESS)
def test_unknown_status_changes_nothing(now: str) -> None:
    assert later(now, "parked") == now


# Anything at all

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = [
    "uuid", "call_uuid", "conversation_uuid", "conversation_uuid_to", "status", "timestamp", "dtmf", "speech",
    "payload", "reason", "detail", "sub_state", "recording_url", "transcription_url", "size", "from", "to",
    "direction", "type",
]  # fmt: skip
STRANGE = st.dictionaries(st.sampled_from(MEMBERS), ANYTHING | st.sampled_from([*PROGRESS, *OUTCOMES]))


@given(STRANGE)
def test_no_event_raises_anything_but_bad_payload(raw: dict[str, Any]) -> None:
    try:
        found = CallEvent.parse(raw)
    except BadPayload:
        return
    assert str(found)
    assert found.name
    assert found.status in ("", *PROGRESS)
    assert found.outcome in ("", *OUTCOMES)
    assert all(found.outcomes)
    assert len(found.uuid) <= 255
