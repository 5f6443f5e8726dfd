from __future__ import annotations

from benchmarks.harness.report import page

MACHINE = {
    "date": "2026-11-21T17:20:47+00:00",
    "cpu": "A processor",
    "cores": 2,
    "load_before": 0.1,
    "system": "Linux",
    "python": "3.11.7",
    "daphne": "4.2.3",
    "node": "",
}
AIMS = [
    {"name": "underruns", "value": 0.0, "unit": "", "most": 0, "met": True},
    {"name": "ratio", "value": 0.756, "unit": "times", "least": 1.0, "met": False},
    {"name": "lateness", "value": 12.0, "unit": "ms", "most": None, "met": None},
    {"name": "lost", "value": None, "unit": "", "most": 0, "met": None},
]


def test_page_tells_the_machine_each_aim_and_what_was_not_measured() -> None:
    text = page({"pace": {"machine": MACHINE, "aims": AIMS}})
    assert "A processor, 2 cores, Linux, Python 3.11.7; load before 0.1; 2026-11-21 17:20 UTC. daphne 4.2.3." in text
    for row in (
        "| underruns | 0 | at most 0 | met |",
        "| ratio | 0.756 times | at least 1 | **missed** |",
        "| lateness | 12 ms |  |  |",
        "| lost | – | at most 0 | not measured |",
    ):
        assert row in text
    assert "## Echo calls on one core\n\nNot measured." in text


def test_page_has_a_row_for_each_server_and_each_way_to_convert() -> None:
    shares = {"together": [0.7, 0.6, 0.8], "together_p99": [4.0, 3.0, 17.0]}
    server = {"label": "Node", "limit": "1200 (tried 1100 to 1300)", "microseconds": 13.6, **shares}
    nothing: dict[str, object] = {"microseconds": None, "together": [], "together_p99": []}
    skipped: dict[str, object] = {"label": "Bare", "limit": "skipped: none", **nothing}
    echo = {"machine": MACHINE, "servers": {"node": server, "bare": skipped}, "aims": []}
    text = page({"echo": echo, "prompts": {"rows": [["", "WAV"], ["ours", "500"]], "ratios": {"sox/ours": 1.5}}})
    assert "| Node | 1200 (tried 1100 to 1300) | 13.6 | 70% of the core, p99 4.0 ms |" in text
    assert "| Bare | skipped: none | – | – |" in text
    assert "| ours | 500 |" in text
    assert "sox/ours 1.50" in text
