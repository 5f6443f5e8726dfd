"""Knows that a record comes back as it was written, and that what a crash spoilt spoils nothing else."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.journal.record import Damaged, Record, read
from tests.dates import EXAMPLE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.builds(
    Record,
    st.text(),
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
    st.dictionaries(st.text(), JSON, max_size=4),
    st.floats(0, 1e6),
)


def record(number: int) -> Record:
    return Record(str(number), "event", EXAMPLE, {"text": f"line\n{number} \N{TELEPHONE RECEIVER}"})


@given(st.lists(RECORDS, max_size=4))
def test_records_come_back_as_they_were_written(records: list[Record]) -> None:
    assert read(b"".join(each.line() for each in records)) == (records, [])


def test_wherever_the_last_write_was_torn_the_records_before_it_are_read() -> None:
    written = [record(number) for number in range(3)]
    lines = [each.line() for each in written]
    content = b"".join(lines)
    for length in range(len(content) + 1):
        whole = sum(length >= sum(map(len, lines[: number + 1])) for number in range(3))
        assert read(content[:length]) == (written[:whole], [])


@pytest.mark.parametrize("place", [0, 7, 8, 9, 30, -3])
def test_damaged_line_is_told_and_the_others_are_read(place: int) -> None:
    lines = [record(number).line() for number in range(3)]
    spoilt = bytearray(lines[1])
    spoilt[place] ^= 1
    records, damaged = read(lines[0] + bytes(spoilt) + lines[2])
    assert (records, damaged) == ([record(0), record(2)], [bytes(spoilt).rstrip(b"\n")])


def test_zeros_that_a_loss_of_power_left_are_damaged() -> None:
    records, damaged = read(record(0).line() + bytes(100) + b"\n" + record(1).line())
    assert (records, damaged) == ([record(0), record(1)], [bytes(100)])


def test_line_with_other_members_is_damaged() -> None:
    with pytest.raises(Damaged):
        Record.of(b'00000000 {"id": "a"}')


def test_held_record_is_due_later() -> None:
    assert Record("a", "event", EXAMPLE, {}, 15.0).due == EXAMPLE + timedelta(seconds=15)
