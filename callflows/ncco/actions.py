"""Knows the actions of an NCCO and their options: each option is one line, from which everything else is drawn."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from callflows.ncco.option import Options, option, shape
from callflows.ncco.problems import OPENAPI, SDK

TALK_CHARACTERS = 1500


def _each_once(entries: list[str]) -> list[str]:
    if not entries or len(set(entries)) < len(entries):
        got = "one twice" if entries else "none"
        raise PydanticCustomError("each_once", "expected one or two entries, each once, got {got}", {"got": got})
    return entries


_TAG = re.compile(r"</?[A-Za-z?!][^<>]*>")
_SSML = re.compile(
    r"</?(audio|break|emphasis|lang|mark|p|phoneme|prosody|s|say-as|speak|sub|voice|w|(amazon|google):[a-z-]+)"
    r"(\s[^<>]*)?/?>",
    re.IGNORECASE,
)
WRAPPED = re.compile(r"\s*(<\?xml[^<>]*\?>\s*)?<speak(\s[^<>]*)?>.*</speak>\s*", re.DOTALL)


def _speech(text: str) -> str:
    """Check what a talk says: at most 1500 characters, SSML tags not counted and only inside <speak>."""
    spoken = _TAG.sub("", text)
    if not spoken.strip() and not re.search(r"<(audio|break)\b", text):
        raise PydanticCustomError("talk_empty", "expected words to speak, got an empty text")
    if len(spoken) > TALK_CHARACTERS:
        raise PydanticCustomError(
            "talk_long", "expected at most 1500 characters besides SSML tags, got {length}", {"length": len(spoken)}
        )
    if _SSML.search(text) and not WRAPPED.fullmatch(text):
        raise PydanticCustomError("talk_ssml", "expected SSML inside <speak>...</speak>, got tags without it")
    return text


Url = Annotated[str, shape(r"^(?i:https?)://[^\s/?#]\S*$", "an address that begins with https:// or http://")]
ONE = Field(min_length=1, max_length=1)
OneUrl = Annotated[list[Url], ONE]
# An empty list is none: Vonage's builder for Node writes it for an input without an address.
ONE_OR_NONE = Field(max_length=1)
OneUrlOrNone = Annotated[list[Url], ONE_OR_NONE]
Method = Literal["GET", "POST"]
Level = Annotated[float, Field(ge=-1, le=1)]
Filled = Annotated[str, shape(r"\S", "text that is not blank")]
Language = Annotated[str, shape(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", "a language code such as en-GB")]
Legs = list[Filled]


class Action(Options):
    """What all actions have in common."""

    action: str = option("The name of the action.", ..., form=False)


class Talk(Action):
    """Speaks a text to the call."""

    text: Annotated[str, AfterValidator(_speech)] = option(
        "What is said, at most 1500 characters; SSML inside <speak>.", ..., label="Text"
    )
    language: Language = option("Language of the voice, such as en-GB.", "en-US")
    style: int = option("Which of the language's voices.", 0, ge=0)
    premium: bool = option("Use the better voice where there is one.", False)
    barge_in: bool = option("A key or speech stops it; an input must follow.", False, label="Key stops it")
    loop: int = option("How often it is said; 0: until the call ends.", 1, ge=0)
    level: Level = option("Volume, from -1 to 1.", 0, step=0.1)
    provider: Filled = option("Voice provider.", form=False, source=SDK, known=("ElevenLabs", "Google", "Polly"))
    provider_options: dict[str, Any] = option("Options of the provider.", form=False, source=SDK)
    voice_name: Filled = option("Old name of a voice.", form=False, old="expected language and style instead")
    event_url: OneUrlOrNone = option(
        "Was of SDKs in 2024.", form=False, source=SDK, old="Vonage took it out again in 2025"
    )
    event_method: Method = option("As eventUrl.", form=False, source=SDK, old="Vonage took it out again in 2025")
    event_on_completion: bool = option("As eventUrl.", form=False, source=SDK, old="Vonage took it out again in 2025")


class Stream(Action):
    """Plays a sound file to the call."""

    stream_url: OneUrl = option("Address of an MP3 or 16-bit WAV file.", ..., label="Address elsewhere")
    barge_in: bool = option("A key or speech stops it; an input must follow.", False, label="Key stops it")
    loop: int = option("How often it is played; 0: until the call ends.", 1, ge=0)
    level: Level = option("Volume, from -1 to 1.", 0, step=0.1)


class Dtmf(Options):
    """How digits are collected."""

    time_out: int = option(
        "How long to wait after the last key.", 3, ge=0, le=10, usual=(1, 10), unit="s", label="Wait for a key"
    )
    max_digits: int = option("How many digits at most.", 4, ge=1, le=22, usual=(1, 20))
    submit_on_hash: bool = option("The # key ends the input.", False, label="# ends it")


class Speech(Options):
    """How speech is recognized."""

    uuid: Annotated[Legs, ONE_OR_NONE] = option(
        "The leg that is listened to: the first one.", form=False, tolerated="entry"
    )
    end_on_silence: float = option(
        "So much silence ends it.", 2.0, ge=0.4, le=10, unit="s", label="Silence ends it", tolerated="flag"
    )
    language: Language = option("Language that is spoken, such as en-GB.", "en-US", label="Spoken language")
    context: list[Filled] = option("Words that are likely to be said.", label="Likely words")
    start_timeout: int = option(
        "How long to wait for the first word.", 10, ge=1, le=60, usual=(1, 10), unit="s", label="Wait for speech"
    )
    max_duration: int = option("How long it may last.", 60, ge=1, le=60, unit="s", label="Longest speech")
    save_audio: bool = option("Keep a recording of what was said.", False)
    sensitivity: int = option("How soft speech may be.", 90, ge=0, le=100, usual=(10, 100), source=SDK)
    provider: Filled = option("Who recognizes it.", "Google", form=False, source=SDK, known=("Deepgram", "Google"))
    provider_options: dict[str, Any] = option("Options of the provider.", form=False, source=SDK)


class Input(Action):
    """Collects digits or speech from the caller."""

    type: Annotated[list[Literal["dtmf", "speech"]], AfterValidator(_each_once)] = option(
        "What is collected: digits (dtmf), speech, or whichever comes first.", ..., label="Collects"
    )
    dtmf: Dtmf = option("How digits are collected.")
    speech: Speech = option("How speech is recognized.")
    mode: Literal["synchronous", "asynchronous"] = option(
        "asynchronous: each digit is reported while the flow goes on; only for digits, without settings of theirs.",
        "synchronous",
        source=OPENAPI,
        doubtful={"asyncronous": "one of Vonage's SDKs misspells asynchronous so"},
    )
    event_url: OneUrlOrNone = option("Where the result is sent.", form=False)
    event_method: Method = option("How the result is sent.", "POST", form=False)


# Objects that switch something on by being there have no defaults: without them there is nothing.


class Transcription(Options):
    """How a recording is turned into text; the empty object takes Vonage's defaults."""

    language: Language = option(
        "Language that is spoken, such as en-GB; en-US with an empty object.", label="Transcribe in"
    )
    sentiment_analysis: bool = option("Also tell the mood of what was said.", False, source=SDK, label="Moods too")
    event_url: OneUrlOrNone = option("Where the transcript is announced.", form=False)
    event_method: Method = option("How it is announced.", "POST", form=False)


class Record(Action):
    """Records the call at Vonage."""

    format: Literal["mp3", "wav", "ogg"] = option("Kind of file; wav by default with more than 2 channels.", "mp3")
    split: Literal["conversation"] = option("Caller and others on channels of their own.")
    channels: int = option("How many channels; needs split.", ge=1, le=32)
    end_on_silence: int = option("Ends after so much silence.", ge=3, le=10, unit="s")
    end_on_key: Annotated[str, shape(r"^[0-9*#]$", "one of the keys 0 to 9, * and #")] = option(
        "Ends at this key.", doubtful={"0": "one of Vonage's SDKs refuses 0"}
    )
    time_out: int = option("Ends after so long.", ge=3, le=7200, unit="s", label="At most")
    beep_start: bool = option("A beep tells when to speak.", False, label="Beep first")
    transcription: Transcription = option("How the recording is turned into text.")
    event_url: OneUrlOrNone = option("Where the recording is announced.", form=False)
    event_method: Method = option("How it is announced.", "POST", form=False)


class Conversation(Action):
    """Puts the call into a room that it shares with others; at most 50 can be in it."""

    name: Filled = option("Name of the room: calls that name the same one meet.", ..., label="Room")
    music_on_hold_url: OneUrlOrNone = option("What plays until the room is opened.", label="Music on hold")
    start_on_enter: bool = option("The room opens when this call enters.", True, label="Opens the room")
    end_on_exit: bool = option("The room ends when this call leaves.", False, label="Ends the room")
    record: bool = option("Record the room.", False)
    can_speak: Legs = option("Legs that hear this call: all; an empty list: none.", label="Heard by")
    can_hear: Legs = option("Legs that this call hears: all; an empty list: none.", label="Hears")
    mute: bool = option("Nobody hears this call.", False)
    transcription: Transcription = option("How the room's recording is turned into text; needs record.", source=SDK)
    event_url: OneUrlOrNone = option("Where the recording is announced.", form=False)
    event_method: Method = option("How it is announced.", "POST", form=False)


class AdvancedMachineDetection(Options):
    """How it is told whether a machine answers."""

    behavior: Literal["continue", "hangup"] = option(
        "What to do when a machine answers.", source=OPENAPI, label="When a machine answers"
    )
    mode: Literal["default", "detect", "detect_beep"] = option(
        "detect: tell human from machine; detect_beep: wait for its beep too.",
        source=OPENAPI,
        label="Machine detection",
    )
    beep_timeout: int = option(
        "How long to wait for the beep.",
        ge=30,
        le=120,
        usual=(45, 120),
        unit="s",
        source=OPENAPI,
        alias="beep_timeout",
        label="Wait for the beep",
    )


class Connect(Action):
    """Connects the call to another endpoint."""

    endpoint: Annotated[list[dict[str, Any]], ONE] = option("The one endpoint to connect to.", ..., form=False)
    from_: str = option("The number shown: one of the account's.", alias="from", label="Shown number")
    random_from_number: bool = option("Show any number of the application.", False, label="Show any number")
    event_type: Literal["synchronous"] = option("Events wait for a reply.", form=False)
    timeout: int = option("How long to try.", 60, ge=0, usual=(3, 7200), unit="s", source=SDK)
    limit: int = option("How long it may last.", 7200, ge=0, le=7200, usual=(1, 7200), unit="s")
    machine_detection: Literal["continue", "hangup"] = option("What to do when a machine answers.")
    advanced_machine_detection: AdvancedMachineDetection = option(
        "How it is told whether a machine answers; counts instead of machineDetection.", source=OPENAPI
    )
    snake_machine_detection: AdvancedMachineDetection = option(
        "advancedMachineDetection, as Vonage's .NET and Ruby SDKs write it.",
        form=False,
        source=SDK,
        alias="advanced_machine_detection",
    )
    ringback_tone: Url = option("What the caller hears meanwhile; not for phones.", tolerated="list")
    event_url: OneUrlOrNone = option("Where the endpoint's events are sent.", form=False)
    event_method: Method = option("How they are sent.", "POST", form=False)


class Notify(Action):
    """Sends an event to us, whose answer may replace the document."""

    payload: dict[str, Any] = option("What is sent: a JSON object.", ...)
    event_url: OneUrl = option("Where it is sent.", ..., form=False)
    event_method: Method = option("How it is sent.", "POST", form=False)


class Wait(Action):
    """Waits, in silence."""

    timeout: float = option(
        "How long.", 10, usual=(0.1, 7200), beyond="Vonage takes the nearest that it allows", unit="s", source=SDK
    )


class Transfer(Action):
    """Moves all legs of the call into another conversation; nothing can follow."""

    conversation_id: Filled = option("The conversation, which must be there: CON-...", ..., label="Conversation")
    can_speak: Legs = option("Legs that hear this call: all; an empty list: none.", label="Heard by")
    can_hear: Legs = option("Legs that this call hears: all; an empty list: none.", label="Hears")
    mute: bool = option("Nobody hears this call.", False)


ACTIONS: dict[str, type[Action]] = {
    "talk": Talk,
    "stream": Stream,
    "input": Input,
    "record": Record,
    "conversation": Conversation,
    "connect": Connect,
    "notify": Notify,
    "wait": Wait,
    "transfer": Transfer,
}
