"""Who ended a call is told by the first leg that ended, whatever the others say and in whatever order they come."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from callflows.calls.ending import End, who_ended
from tests import dates


def end(
    at: float, by: str, *, own: bool = False, kind: str = "phone", direction: str = "", answered: bool = True
) -> End:
    """The end of a leg, by default of a call in, or of one that was connected to it."""
    found = direction or ("inbound" if own else "outbound")
    return End(dates.EXAMPLE + timedelta(seconds=at), by, kind, found, answered, own)


CALLER = end(40.0, "user", own=True)
CASES = {
    "nobody ended yet": ([], ""),
    "the caller, and the other leg says so too": ([CALLER, end(40.014, "user")], "the caller"),
    "the caller, and the other leg says platform": ([CALLER, end(40.014, "platform")], "the caller"),
    "the called party": ([end(39.9, "user"), end(40.0, "platform", own=True)], "the called party"),
    "the called party, and the caller's leg says user": ([end(39.9, "user"), CALLER], "the called party"),
    "the flow": ([end(40.0, "platform", own=True), end(40.1, "user")], "Vonage"),
    "a server": (
        [end(39.9, "user", kind="websocket"), end(40.0, "platform", own=True)],
        "the server at its audio socket",
    ),
    "who was called out": ([end(9.0, "user", own=True, direction="outbound")], "the called party"),
    "an agent who left long before": ([end(12.0, "user"), CALLER], "the caller"),
    "an agent who was not reached": (
        [end(40.0, "user", answered=False), end(40.014, "platform", own=True)],
        "Vonage",
    ),
    "a caller whom nobody answered": ([end(4.0, "user", own=True, answered=False)], "the caller"),
    "both in one millisecond, one of them hung up": (
        [end(40.0, "user"), end(40.0, "platform", own=True)],
        "the called party",
    ),
    "both in one millisecond, both say so": ([CALLER, end(40.0, "user")], "the caller"),
    "a later leg, after the call": ([CALLER, end(75.0, "user")], "the caller"),
    "a call whose own end was not told": ([end(30.0, "user"), end(40.0, "platform")], "Vonage"),
    "payloads of 2020": ([end(40.0, "", own=True), end(40.1, "")], ""),
    "a word of tomorrow": ([end(40.0, "carrier", own=True)], "carrier"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_leg_to_end_tells(case: str) -> None:
    ends, told = CASES[case]
    assert {who_ended(order) for order in permutations(ends)} == {told}
