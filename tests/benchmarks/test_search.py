from __future__ import annotations

import pytest

from benchmarks.harness.search import Tried, limits, next_calls

MOST = 1000


@pytest.mark.parametrize("capacity", [1, 7, 63, 64, 65, 150, 247, 999])
@pytest.mark.parametrize("first", [1, 50, 150, 1000])
def test_limit_is_found_to_eight_percent_in_few_runs(capacity: int, first: int) -> None:
    runs: list[Tried] = []
    while (calls := next_calls(runs, first, MOST)) is not None:
        runs.append(Tried(calls, calls <= capacity, min(1.0, calls / capacity)))
        assert len(runs) <= 12
    low, high = limits(runs)
    assert low <= capacity
    assert high is not None
    assert capacity < high <= max(low + 2, low * 1.08)


def test_search_ends_at_the_most_that_may_be_tried() -> None:
    runs: list[Tried] = []
    while (calls := next_calls(runs, 150, MOST)) is not None:
        runs.append(Tried(calls, True, calls / 5000))
    assert [run.calls for run in runs] == [150, 301, 603, 1000]
    assert limits(runs) == (1000, None)


def test_what_was_held_above_a_count_that_was_not_does_not_count() -> None:
    runs = [Tried(100, True, 0.5), Tried(200, True, 0.9), Tried(150, False, 0.8)]
    assert limits(runs) == (100, 150)
