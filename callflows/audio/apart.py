"""Knows how foreign sound is decoded: in a process of its own, that may take only so much time and memory.

A decoder that stands for ever, or dies, takes nobody's calls with it; the file's owner is told so.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO

from callflows.audio.files import Sound, check, convert, seconds_of
from callflows.audio.format import AudioError

log = logging.getLogger(__name__)

# Seconds of processor and of the clock. A check takes 0.4 s, most of it to begin; ten minutes of
# 48 kHz are converted in 6 s.
CHECK_SECONDS, CONVERT_SECONDS = (10, 30), (300, 1200)
# Bytes of addresses: the libraries take 400 MB of them, and sound comes in blocks of 1 MiB.
MEMORY = 2 << 30
# Bytes of any file that it writes: an hour at 24 kHz is 173 MB.
WRITTEN = 1 << 30
# Called by its path, since the process has neither our folder nor our environment.
BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from callflows.audio.apart import main; main(sys.argv[2])"
# Nothing of ours is in it, no secret either; one thread computes.
ENVIRONMENT = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
ROOT = Path(__file__).resolve().parents[2]
BUSY = "The file keeps its decoder busy for too long: it is damaged, or made to do so; export it again."
DIED = "The file breaks its decoder: it is damaged, or made to do so; export it again."

Tell = Callable[[float], object]


def check_apart(source: BinaryIO, max_seconds: float) -> None:
    """Do what ``check`` does, apart. Raises AudioError."""
    _ask({"work": "check", "max_seconds": max_seconds}, source, CHECK_SECONDS)


def convert_apart(
    source: BinaryIO, max_seconds: float, outputs: Mapping[int, BinaryIO], progress: Tell = lambda part: None
) -> Sound:
    """Do what ``convert`` does, apart; ``outputs`` are files of the disk. Raises AudioError."""
    request = {"work": "convert", "max_seconds": max_seconds}
    found = _ask(request, source, CONVERT_SECONDS, outputs, progress)
    pairs = tuple((low, high) for low, high in found["waveform"])
    return Sound(**{**found, "notes": tuple(found["notes"]), "waveform": pairs})


def seconds_apart(path: Path) -> float | None:
    """Do what ``seconds_of`` does, apart; None as well where the decoder took too long."""
    with path.open("rb") as source, suppress(AudioError):
        seconds: float | None = _ask({"work": "seconds"}, source, CHECK_SECONDS)
        return seconds
    return None


def work(request: Mapping[str, Any], source: BinaryIO, outputs: Mapping[int, BinaryIO], tell: Tell) -> Any:
    """Do the work. Raises AudioError."""
    if request["work"] == "seconds":
        return seconds_of(source)
    if request["work"] == "check":
        return check(source, request["max_seconds"])
    return asdict(convert(source, request["max_seconds"], outputs, tell))


def _ask(
    request: dict[str, Any],
    source: BinaryIO,
    seconds: tuple[int, float],
    outputs: Mapping[int, BinaryIO] | None = None,
    tell: Tell = lambda part: None,
) -> Any:
    """Return what the other process found. Raises AudioError."""
    with _on_disk(source) as file:
        written = {rate: output.fileno() for rate, output in (outputs or {}).items()}
        told = json.dumps({**request, "source": file.fileno(), "outputs": written, "seconds": seconds[0]})
        command = [sys.executable, "-Es", "-c", BEGIN, str(ROOT), told]
        kept = [file.fileno(), *written.values()]
        with subprocess.Popen(command, pass_fds=kept, env=ENVIRONMENT, stdout=subprocess.PIPE, **QUIET) as process:
            assert process.stdout is not None, "it is a pipe"
            late = Timer(seconds[1], process.kill)
            late.start()
            try:
                last = _last(process.stdout, tell)
                code = process.wait()
            finally:
                late.cancel()
                process.kill()
    if "failed" in last:
        log.error("a sound file was not decoded: %s", last["failed"])
    if "found" not in last:
        busy = code in (-signal.SIGXCPU, -signal.SIGKILL)
        raise AudioError(last.get("error") or (BUSY if busy else DIED))
    return last["found"]


def _last(lines: Iterable[bytes], tell: Tell) -> dict[str, Any]:
    """Pass on how far the other process is; return its last word, empty when it had none."""
    last: dict[str, Any] = {}
    for line in lines:
        last = json.loads(line)
        if "part" in last:
            tell(last["part"])
    return last


@contextmanager
def _on_disk(source: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a file that another process can read: ``source`` itself, or a copy of what is only in memory."""
    try:
        source.fileno()
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as copy:
            source.seek(0)
            shutil.copyfileobj(source, copy)
            copy.flush()
            yield copy
    else:
        yield source
    source.seek(0)


# The other process.


def main(told: str) -> None:
    request = json.loads(told)
    _limit(request["seconds"])
    outputs = {int(rate): os.fdopen(number, "wb") for rate, number in request["outputs"].items()}
    with os.fdopen(os.dup(1), "w") as out, os.fdopen(request["source"], "rb") as source:

        def say(**word: Any) -> None:
            print(json.dumps(word), file=out, flush=True)

        try:
            found = work(request, source, outputs, lambda part: say(part=part))
            for output in outputs.values():
                output.flush()
        except AudioError as error:
            say(error=str(error))
        except MemoryError:
            say(error=BUSY)
        except Exception:
            say(failed=traceback.format_exc())
        else:
            say(found=found)


def _limit(seconds: int) -> None:
    """Give way to calls, and take no more than is allowed."""
    os.nice(10)
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: WRITTEN,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        # macOS limits no addresses.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
