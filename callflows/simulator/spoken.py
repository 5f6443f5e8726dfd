"""Knows how a text becomes speech: by eSpeak NG where it is installed, else as a murmur of the same length."""

from __future__ import annotations

import ctypes
import importlib
import io
import re
import shutil
import subprocess
import threading
from functools import cache

import numpy as np

from callflows.audio.files import read_prompt
from callflows.audio.format import AudioError
from callflows.audio.pcm import FULL_SCALE, samples
from callflows.simulator.sound import Voice, speaking_seconds

PROGRAMS = ("espeak-ng", "espeak")
NO_VOICE = (
    "There is no voice on this machine, so a murmur of the same length is said instead. "
    "Install the package espeakng-loader, or the program espeak-ng, to hear words."
)
_SECONDS = 30.0
_RATE = 24000
# Of eSpeak's C interface: give the samples to us (2), flush at the end, text is UTF-8, no error is fatal (1 << 15).
_RETRIEVAL, _NO_EXIT, _UTF8 = 2, 1 << 15, 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Library:
    """eSpeak NG as a library: the package espeakng-loader brings it with its voices, for most machines."""

    def __init__(self) -> None:
        loader = importlib.import_module("espeakng_loader")
        self._espeak = ctypes.CDLL(loader.get_library_path())
        folder = str(loader.get_data_path()).encode()
        self._rate = self._espeak.espeak_Initialize(_RETRIEVAL, 0, folder, _NO_EXIT)
        if self._rate <= 0:
            raise OSError("eSpeak NG does not start")
        self._pieces: list[bytes] = []
        # The library keeps what it speaks in variables of its own: two threads in it at once would end the process.
        self._one_at_a_time = threading.Lock()
        # Kept, or it would be freed while the library still calls it.
        self._callback = _Callback(self._take)
        self._espeak.espeak_SetSynthCallback(self._callback)

    def _take(self, heard: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if count > 0:
            self._pieces.append(ctypes.string_at(heard, 2 * count))
        return 0

    def speak(self, text: str) -> Voice:
        data = text.encode() + b"\0"
        with self._one_at_a_time:
            self._pieces.clear()
            self._espeak.espeak_SetVoiceByName(b"en")
            self._espeak.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, _UTF8, None, None)
            self._espeak.espeak_Synchronize()
            heard = b"".join(self._pieces)
        wave = np.divide(samples(heard), FULL_SCALE, dtype=np.float32)
        return Voice.of(wave, self._rate)


@cache
def _library() -> _Library | None:
    try:
        return _Library()
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None


def speak(text: str) -> tuple[Voice, str]:
    """Return a text as a voice, and what to tell the user about it; "" for nothing."""
    words = " ".join(re.sub(r"<[^<>]*>", " ", text).split())
    if (library := _library()) is not None:
        return library.speak(words), ""
    if (program := next(filter(None, map(shutil.which, PROGRAMS)), None)) is not None:
        try:
            return _by_program(program, words), ""
        except (OSError, subprocess.SubprocessError, AudioError) as error:
            return murmur(words), f"{program} does not speak: {error}. {NO_VOICE}"
    return murmur(words), NO_VOICE


def _by_program(program: str, words: str) -> Voice:
    # The text comes by stdin: one that begins with a dash would be an option.
    done = subprocess.run(
        [program, "--stdout", "--stdin"], input=words.encode(), capture_output=True, check=True, timeout=_SECONDS
    )
    return Voice(read_prompt(io.BytesIO(done.stdout), 3600.0).pcm)


def murmur(text: str) -> Voice:
    """Return a sound like speech behind a wall, as long as the text takes: syllables of a low voice at -20 dBFS.

    The same text sounds the same each time.
    """
    time = np.arange(round(speaking_seconds(text) * _RATE)) / _RATE
    pitch = 120 + 15 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / _RATE
    # Harmonics fall by 6 dB an octave, but for two humps, as vowels have them.
    strengths = [(n, (1 / n) * (1 + 3 * np.exp(-(((120 * n - 600) / 250) ** 2)))) for n in range(1, 25)]
    voice = np.zeros(time.size)
    for harmonic, strength in strengths:
        voice += strength * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * time) + 0.4, 0, None)
    wave = voice * syllables
    loudness = float(np.sqrt(np.mean(wave**2))) or 1.0
    return Voice.of((wave * (10 ** (-20 / 20) / loudness)).astype(np.float32), _RATE)
