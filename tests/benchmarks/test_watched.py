from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from benchmarks.harness.bench import Aim, unused
from benchmarks.harness.scenes import Report
from benchmarks.harness.watched import Used, Watch
from benchmarks.recording import stalls
from tests.benchmarks.test_far import until


async def test_loop_that_hangs_is_seen_from_a_thread(tmp_path: Path) -> None:
    path = tmp_path / "stalls.jsonl"
    loop = asyncio.new_event_loop()

    def run() -> None:
        loop.run_forever()
        loop.close()
        # It asks the system about this thread until it knows that the loop is closed.
        watching.join(10)

    thread = threading.Thread(target=run)
    watching = threading.Thread(target=Watch(loop, path, thread).run)
    thread.start()
    watching.start()

    def hang() -> None:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass

    def lines() -> list[dict[str, float]]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    try:
        loop.call_soon_threadsafe(hang)
        await until(lambda: any(each.get("stall", 0) > 0.15 for each in lines()))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
    assert not watching.is_alive()


def test_time_in_which_others_had_the_core_is_no_stall_of_ours() -> None:
    waited = Used(loop=0.0, ours=0.0, waited=0.05, watch=0.0)
    nothing = Used(0.0, 0.0, 0.0, 0.0)
    assert Watch.others(nothing, waited) == 0.05
    # A thread of our own had it.
    assert Watch.others(nothing, waited._replace(ours=0.05)) == 0.0
    lines = [{"stall": 0.06, "others": 0.05, "at": 1.0}, {"stall": 0.06, "others": 0.0, "at": 2.0}, {"worst": 1.0}]
    assert [each["at"] for each in stalls(lines, 0.0, 3.0)] == [2.0]
    assert stalls(lines, 2.5, 3.0) == []


@pytest.mark.parametrize(
    ("report", "met", "why"),
    [
        (Report(load_share=0.95), True, "the load was the limit"),
        (Report(lateness_p99=5.1), True, "the load was late"),
        (Report(others_share=0.06), False, "others had the core"),
        (Report(others_share=0.06), True, ""),
        (Report(), False, ""),
    ],
)
def test_run_says_nothing_of_a_server_that_was_not_the_limit(report: Report, met: bool, why: str) -> None:
    assert unused(report, met=met) == why


def test_aim_is_met_up_to_its_bound_and_not_without_a_figure() -> None:
    assert [Aim("", value, "ms", 20).met for value in (20.0, 20.1, None)] == [True, False, None]
    assert "not measured" in Aim("", None, "ms", 20).row
