"""Knows the actions of an NCCO and their options: each option is one line, from which everything else is drawn."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from callflows.ncco.option import Options, option

TALK_CHARACTERS = 1500

Url = Annotated[str, Field(pattern=r"^https?://\S+$")]
OneUrl = Annotated[list[Url], Field(min_length=1, max_length=1)]
Method = Literal["GET", "POST"]
Level = Annotated[float, Field(ge=-1, le=1)]


def _speech(text: str) -> str:
    """Check what a talk says: at most 1500 characters, SSML tags not counted and only inside <speak>."""
    spoken = re.sub(r"<[^<>]*>", "", text)
    if not spoken.strip() and "<audio" not in text:
        raise PydanticCustomError("talk_empty", "expected words to speak, got an empty text")
    if len(spoken) > TALK_CHARACTERS:
        raise PydanticCustomError(
            "talk_long",
            "expected at most 1500 characters besides SSML tags, got {length}",
            {"length": len(spoken)},
        )
    if re.search(r"<(break|prosody|say-as|emphasis|phoneme|sub|p|s)\b[^<>]*/?>", text) and "<speak" not in text:
        raise PydanticCustomError("talk_ssml", "expected SSML inside <speak>...</speak>, got tags without it")
    return text


class Action(Options):
    """What all actions have in common."""

    action: str = option("The name of the action.", ..., form=False)


class Talk(Action):
    """Speaks a text to the call."""

    text: Annotated[str, AfterValidator(_speech)] = option(
        "What is said, at most 1500 characters; SSML inside <speak>.", ..., label="Text"
    )
    language: str = option("Language of the voice, such as en-GB.", "en-US", min_length=2)
    style: int = option("Which of the language's voices.", 0, ge=0)
    premium: bool = option("Use the better voice where there is one.", False)
    barge_in: bool = option("A key stops it; an input must follow.", False, label="Key stops it")
    loop: int = option("How often it is said; 0: until the call ends.", 1, ge=0)
    level: Level = option("Volume, from -1 to 1.", 0)
    provider: str | None = option("Voice provider.", form=False)
    provider_options: dict[str, Any] | None = option("Options of the provider.", form=False)
    voice_name: str | None = option("Old name of a voice; use language and style.", form=False)


class Stream(Action):
    """Plays a sound file to the call."""

    stream_url: OneUrl = option("Address of an MP3 or 16-bit WAV file.", ..., label="Address elsewhere")
    barge_in: bool = option("A key stops it; an input must follow.", False, label="Key stops it")
    loop: int = option("How often it is played; 0: until the call ends.", 1, ge=0)
    level: Level = option("Volume, from -1 to 1.", 0)


class Dtmf(Options):
    """How digits are collected."""

    time_out: int = option(
        "How long to wait after the last key.",
        3,
        ge=0,
        le=10,
        unit="s",
        label="Wait for a key",
    )
    max_digits: int = option("How many digits at most.", 4, ge=1, le=22)
    submit_on_hash: bool = option("The # key ends the input.", False, label="# ends it")


class Input(Action):
    """Collects digits from the caller."""

    type: Annotated[list[Literal["dtmf"]], Field(min_length=1, max_length=1)] = option(
        "What is collected.", ..., form=False
    )
    dtmf: Dtmf | None = option("How digits are collected.")
    event_url: OneUrl | None = option("Where the result is sent.", form=False)
    event_method: Method = option("How the result is sent.", "POST", form=False)


class Record(Action):
    """Records the call at Vonage."""

    format: Literal["mp3", "wav", "ogg"] = option("Kind of file.", "mp3")
    split: Literal["conversation"] | None = option("Caller and others on channels of their own.")
    channels: int | None = option("How many channels; needs split.", ge=1, le=32)
    end_on_silence: int | None = option("Ends after so much silence.", ge=3, le=10, unit="s")
    end_on_key: Annotated[str, Field(pattern=r"^[0-9*#]$")] | None = option("Ends at this key.")
    time_out: int | None = option("Ends after so long.", ge=3, le=7200, unit="s", label="At most")
    beep_start: bool = option("A beep tells when to speak.", False, label="Beep first")
    event_url: OneUrl | None = option("Where the recording is announced.", form=False)
    event_method: Method = option("How it is announced.", "POST", form=False)


class Connect(Action):
    """Connects the call to another endpoint."""

    endpoint: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1)] = option(
        "The one endpoint to connect to.", ..., form=False
    )
    from_: str | None = option("The number shown to the endpoint.", alias="from", form=False)
    random_from_number: bool = option("Show any number of the application.", False, form=False)
    event_type: Literal["synchronous"] | None = option("Events wait for a reply.", form=False)
    timeout: int = option("How long to try.", 60, ge=1, unit="s")
    limit: int = option("How long it may last.", 7200, ge=0, le=7200, unit="s")
    event_url: OneUrl | None = option("Where the endpoint's events are sent.", form=False)
    event_method: Method = option("How they are sent.", "POST", form=False)


ACTIONS: dict[str, type[Action]] = {
    "talk": Talk,
    "stream": Stream,
    "input": Input,
    "record": Record,
    "connect": Connect,
}
