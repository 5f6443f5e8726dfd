"""Knows that every document of the contract's fixtures is run, or refused as Vonage refuses it."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.audio.files import wav_bytes
from callflows.simulator.party import Behaviour
from tests.simulator.tones import voice
from tests.simulator.world import PAYLOADS, World, payload

FALLBACK = [{"action": "talk", "text": "This is the fallback."}]
WHISPER = [{"action": "talk", "text": "A call for you."}]
VALID, INVALID, LENIENT = (
    sorted(path.stem for path in (PAYLOADS / "ncco" / kind).glob("*.json")) for kind in ("valid", "invalid", "lenient")
)
SOUND = wav_bytes(voice(440.0, 1.0).pcm[16000], 16000)


class Files(dict[str, bytes]):
    """Every sound file there is."""

    def __contains__(self, url: object) -> bool:
        return str(url).endswith((".mp3", ".wav"))

    def __missing__(self, url: str) -> bytes:
        return SOUND


def run(document: Any) -> World:
    world = World(document, fallback=FALLBACK, files=Files(), pages={"whisper": WHISPER, "w": WHISPER})
    world.platform.make_room("", "CON-8e0b7d62-3c1f-4a95-b7d8-51f0c2a9e364")
    world.platform.stranger = Behaviour(rings=0.5, seconds=2.0, voice=voice(440.0, 1.0))
    world.call_in(Behaviour(seconds=6.0, voice=voice(440.0, 1.0), text="one"))
    world.go()
    return world


@pytest.mark.parametrize("name", VALID)
def test_a_valid_document_is_run_to_its_end(name: str) -> None:
    world = run(payload(f"ncco/valid/{name}"))
    assert world.platform.refusals == []
    assert "error" not in world.names()
    assert "This is the fallback." not in world.noted("talk")
    assert world.names()[-1] == "completed"


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_document_is_an_error_event_and_the_fallback(name: str) -> None:
    world = run(payload(f"ncco/invalid/{name}"))
    assert "Syntax error" in world.event("error")["reason"]
    assert world.noted("talk") == ["This is the fallback."]


@pytest.mark.parametrize("name", LENIENT)
def test_a_doubtful_document_is_run_with_a_warning(name: str) -> None:
    world = run(payload(f"ncco/lenient/{name}"))
    assert "This is the fallback." not in world.noted("talk")
    assert "error" not in world.names()
    assert world.noted("warning") or name == "from_not_owned"


def test_a_document_that_is_no_json_is_an_error_event_and_the_fallback() -> None:
    world = run((200, "application/json", (PAYLOADS / "ncco" / "invalid" / "not_json.txt").read_bytes()))
    assert "Syntax error" in world.event("error")["reason"]
    assert world.noted("talk") == ["This is the fallback."]
