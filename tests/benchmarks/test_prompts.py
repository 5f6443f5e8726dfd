"""The measurement of prompts compares only what rejects aliases, and finds what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from benchmarks.prompts import REJECTION_DB, Contender, Files, measure, rejection


def test_measurement_has_a_row_for_each_contender_and_ours_rejects_aliases() -> None:
    rows, figures = measure(seconds=1.0, runs=1)
    assert rows[0][-1] == "alias"
    assert len(rows) == 1 + len(figures["rejection_db"])
    assert figures["rejection_db"]["callflows"] > REJECTION_DB
    compared = {name.partition("/")[0] for name in figures["ratios"]}
    assert all(figures["rejection_db"][name] >= REJECTION_DB for name in compared)


def test_alias_is_found(tmp_path: Path) -> None:
    """Every so-manieth sample, without a filter, folds all tones down as loud as they are."""

    def pick(source: Path, targets: Files) -> None:
        wave, source_rate = soundfile.read(source)
        for rate, target in targets.items():
            places = np.arange(wave.size * rate // source_rate) * source_rate // rate
            np.rint(wave[places] * 32767).astype("<i2").tofile(target)

    assert rejection(Contender("pick", "every so-manieth", pick, False), tmp_path) < 3
