"""Measures how fast an uploaded prompt is converted to all rates, against ffmpeg and sox where one is installed."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from callflows.audio.files import BLOCK_VALUES, convert
from callflows.audio.format import RATES
from callflows.audio.pcm import to_int16
from callflows.audio.resample import Resampler

SOURCE_RATE = 44100
SECONDS, RUNS = 180.0, 5
# A tone above half the new rate must come out so much quieter, in dB; nobody is compared with who lets more through.
REJECTION_DB = 80.0
# Where the tones stand, as a multiple of half the new rate: filters are given a tenth to fall.
ABOVE = (1.1, 1.25, 1.5, 1.75, 2.1, 2.6)
TONE_SECONDS = 0.5
KINDS = {"WAV": "PCM_16", "FLAC": "PCM_16", "MP3": None}

Files = dict[int, Path]


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that writes a file's sound as mono L16 at all rates; a program's start is taken off its time."""

    name: str
    label: str
    convert: Callable[[Path, Files], None]
    starts: bool
    reads: tuple[str, ...] = ("WAV", "FLAC", "MP3")


def ours(source: Path, targets: Files) -> None:
    """Everything that an upload goes through: checks, levels, loudness and waveform too."""
    with source.open("rb") as file:
        outputs = {rate: target.open("w+b") for rate, target in targets.items()}
        convert(file, 2 * SECONDS, outputs)
        for output in outputs.values():
            output.close()


def ours_bare(source: Path, targets: Files) -> None:
    """What the others do, and no more: decode, mix to mono, resample, 16 bits."""
    outputs = {rate: target.open("wb") for rate, target in targets.items()}
    with soundfile.SoundFile(source) as stream:
        resamplers = {rate: Resampler(stream.samplerate, rate) for rate in targets}
        last = False
        while not last:
            block = stream.read(BLOCK_VALUES // stream.channels, dtype="float32", always_2d=True)
            last = not len(block)
            mono = (block[:, 0] + block[:, -1]) * np.float32(0.5)
            for rate, resampler in resamplers.items():
                outputs[rate].write(to_int16(resampler.push(mono, last=last)).data)
    for output in outputs.values():
        output.close()


def ffmpeg(resampler: str) -> Callable[[Path, Files], None]:
    def run(source: Path, targets: Files) -> None:
        outputs: list[str] = []
        for rate, target in targets.items():
            sound = ["-af", f"aresample=resampler={resampler}", "-ac", "1", "-ar", str(rate), "-f", "s16le"]
            outputs += [*sound, str(target)]
        _run("ffmpeg", "-loglevel", "error", "-nostdin", "-y", "-i", str(source), *outputs)

    return run


def sox(source: Path, targets: Files) -> None:
    """One process for each rate, since sox writes one file; ``-m``, its fastest that rejects 80 dB and more."""
    for rate, target in targets.items():
        form = ["-D", "-t", "raw", "-e", "signed", "-b", "16", str(target)]
        _run("sox", "-V1", str(source), *form, "remix", "-", "rate", "-m", str(rate))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def contenders() -> list[Contender]:
    found = [
        Contender("callflows", "Callflows, all of it", ours, False),
        Contender("callflows_bare", "Callflows, only what the others do", ours_bare, False),
    ]
    if shutil.which("ffmpeg"):
        found.append(Contender("ffmpeg_swr", "ffmpeg, its own resampler", ffmpeg("swr"), True))
        found.append(Contender("ffmpeg_soxr", "ffmpeg with soxr", ffmpeg("soxr"), True))
    if shutil.which("sox"):
        found.append(Contender("sox", "sox, three times", sox, True, ("WAV", "FLAC")))
    return found


def rejection(contender: Contender, folder: Path) -> float:
    """Return by how many dB the loudest alias of any tone is below its tone, over all rates."""
    loudest = 0.0
    for rate in RATES:
        tones = [hz for above in ABOVE if (hz := above * rate / 2) < SOURCE_RATE / 2 * 0.98]
        times = np.arange(round(TONE_SECONDS * SOURCE_RATE)) / SOURCE_RATE
        wave = np.concatenate([0.9 * np.sin(2 * np.pi * hz * times) for hz in tones])
        source, targets = folder / "tones.wav", _targets(folder)
        soundfile.write(source, wave, SOURCE_RATE, subtype="FLOAT")
        contender.convert(source, targets)
        heard = np.fromfile(targets[rate], "<i2") / 32768
        size = round(TONE_SECONDS * rate)
        for place in range(len(tones)):
            # Not where one tone follows another: a sudden end has every frequency.
            inner = heard[place * size + size // 5 : (place + 1) * size - size // 5]
            lines = np.abs(np.fft.rfft(inner * np.hanning(inner.size))) * 4 / inner.size
            loudest = max(loudest, float(lines.max()) / 0.9)
    return -20 * float(np.log10(max(loudest, 1e-7)))


def _targets(folder: Path) -> Files:
    return {rate: folder / f"{rate}.raw" for rate in RATES}


def _music(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Stereo noise that comes and goes: no codec makes it small, no part of it is silent."""
    chance = np.random.default_rng(4)
    times = np.arange(round(seconds * SOURCE_RATE)) / SOURCE_RATE
    swell = (0.05 + 0.05 * np.sin(times)).astype(np.float32)[:, None]
    return chance.standard_normal((times.size, 2), dtype=np.float32) * swell


def _encoded(folder: Path, seconds: float) -> dict[str, Path]:
    found = {}
    for kind, subtype in KINDS.items():
        found[kind] = folder / f"{seconds:g}.{kind.lower()}"
        soundfile.write(found[kind], _music(seconds), SOURCE_RATE, format=kind, subtype=subtype)
    return found


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process, and those that it starts, on one core: ours has no second thread, ffmpeg would."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _timed(contender: Contender, source: Path, folder: Path) -> float:
    """Return the processor time that it took, ours and that of programs: others on the machine cost none of it."""
    before = _used()
    contender.convert(source, _targets(folder))
    return _used() - before


def _used() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(seconds: float = SECONDS, runs: int = RUNS) -> tuple[list[list[str]], dict[str, Any]]:
    """Return a table, its head first, and all figures: processor seconds of each run by contender and kind of file.

    Runs are interleaved; ``ratios`` are medians over the runs, of a program's time to that of all of ours: 1 and more
    means that we are no slower.
    """
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="callflows-bench-") as name, _one_core():
        folder = Path(name)
        sources, tiny = _encoded(folder, seconds), _encoded(folder, 0.05)
        rivals = contenders()
        rejected = {each.name: rejection(each, folder) for each in rivals}
        # What a program needs before its first sample; imports of ours are done by now.
        begin = {each.name: min(_timed(each, tiny["WAV"], folder) for _ in range(3)) * each.starts for each in rivals}
        for _ in range(runs):
            for each in rivals:
                for kind in each.reads:
                    took = _timed(each, sources[kind], folder) - begin[each.name]
                    times.setdefault(each.name, {}).setdefault(kind, []).append(took)
    figures = {"seconds_of_sound": seconds, "rejection_db": rejected, "start_seconds": begin, "run_seconds": times}
    return _table(rivals, times, rejected, seconds), {**figures, "ratios": _ratios(times, rejected)}


def _ratios(times: dict[str, dict[str, list[float]]], rejected: dict[str, float]) -> dict[str, float]:
    return {
        f"{name}/{mine} {kind}": median(a / b for a, b in zip(found, times[mine][kind], strict=True))
        for name, kinds in times.items()
        if not name.startswith("callflows") and rejected[name] >= REJECTION_DB
        for kind, found in kinds.items()
        for mine in ("callflows", "callflows_bare")
    }


def _table(
    rivals: list[Contender], times: dict[str, dict[str, list[float]]], rejected: dict[str, float], seconds: float
) -> list[list[str]]:
    rows = [["seconds of sound in one of a core", *KINDS, "alias"]]
    for each in rivals:
        speeds = [f"{seconds / median(times[each.name][kind]):,.0f}" if kind in each.reads else "–" for kind in KINDS]
        rows.append([each.label, *speeds, f"−{rejected[each.name]:.0f} dB"])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-prompts.json")
    path = parser.parse_args().json
    rows, figures = measure()
    for row in rows:
        print(f"{row[0]:38}" + "".join(f"{cell:>10}" for cell in row[1:]))
    print(f"\nTheir processor time as a multiple of ours, median of {RUNS} runs; aliases are {REJECTION_DB:g} dB down:")
    for name, ratio in figures["ratios"].items():
        print(f"  {name:38}{ratio:.2f}")
    path.write_text(json.dumps({"rows": rows, **figures}, indent=2) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
