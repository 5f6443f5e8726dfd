"""Knows scenario files: what they may say, how they are played in no time, and how their failures read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callflows.audio.files import wav_bytes
from callflows.simulator.rehearsal import rehearse
from callflows.simulator.scenario import ScenarioError, load, parse
from callflows.simulator.scenario_play import Play
from callflows.simulator.sound import Voice, sample_voice

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "docs" / "scenarios").glob("*.yaml"))
TO, FROM, FRIEND = "447700900001", "447700900123", "447700900222"
SOCKET = {"type": "websocket", "uri": "ws://callflows.example/s", "content-type": "audio/l16;rate=16000"}
ECHO = [{"action": "connect", "endpoint": [SOCKET]}]
STREAM = [{"action": "stream", "streamUrl": ["https://music.example/a.wav"]}]


def play(folder: Path = Path(), **given: Any) -> Play:
    """Play a scenario of one caller, unless it says otherwise."""
    given.setdefault("calls", [{"to": TO, "stays": 4}])
    given.setdefault("server", {"answer": ECHO})
    return rehearse(parse(given, folder))


def failures(*expect: dict[str, Any], **given: Any) -> list[str]:
    return [str(each) for each in play(expect=list(expect), **given).failures()]


def tone(hz: float, level: float = -20.0, **more: Any) -> dict[str, Any]:
    return {"tone": hz, "level": level, "lasts": 3.0, **more}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_met(path: Path) -> None:
    assert rehearse(load(path)).failures() == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "calls: Field required"),
        ({"calls": []}, "calls: List should have at least 1 item"),
        ({"calls": [{"to": TO, "form": FROM}]}, "calls.1.form: there is no such member, got '447700900123'"),
        ({"calls": [{}]}, "calls.1: expected either `to` or `create`"),
        ({"calls": [{"to": TO, "do": [{"at": 1}]}]}, "calls.1.do.1: expected one of press, say, tone, hang up; got 0"),
        ({"calls": [{"to": TO, "do": [{"press": "x"}]}]}, "calls.1.do.1.press: Value error, expected keys of"),
        ({"calls": [{"to": TO, "do": [{"say": "no.wav"}]}]}, "say: no.wav:"),
        ({"calls": [{"to": TO}], "people": {FRIEND: "asleep"}}, f"people.{FRIEND}: expected one of machine, never"),
        ({"calls": [{"to": TO}], "knobs": {"bufer": 1}}, "knobs: expected one of ncco_after_ws"),
        ({"calls": [{"to": TO}], "knobs": {"buffer": "big"}}, "knobs.buffer: Input should be a valid integer"),
        ({"calls": [{"to": TO}], "faults": ["rain"]}, "expected one of answer-fails"),
        ({"calls": [{"to": TO}], "faults": ["event-twice@2"]}, "expected event-twice without seconds"),
        ({"calls": [{"to": TO}], "expect": [{"rain": 1}]}, "expect.1: expected one of event, never, talk"),
        ({"calls": [{"to": TO}], "expect": [{"heard": "tone"}]}, "expected `hz` with a tone"),
        ({"calls": [{"to": TO}], "expect": [{"heard": "prompt", "file": "no.wav"}]}, "expect.1.file:"),
        ({"calls": [{"to": TO}], "urls": {"https://a.example/b": {"sound": "no.wav"}}}, "urls.https://a.example/b:"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_where(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(given, Path())
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"), [("calls: [", "expected YAML"), ("- a", "expected calls and more, got list")]
)
def test_a_file_that_is_no_scenario_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("expectation", "told"),
    [
        ({"event": "busy"}, "expected an event busy, after those before; came ringing, answered"),
        (
            {"event": "answered", "leg": "phone", "fields": {"direction": "outbound"}},
            "expected an event answered {'direction': 'outbound'} of phone, after those before; "
            "came ringing, answered {'direction': 'inbound'}, completed",
        ),
        ({"never": "answered"}, "expected no event answered; came 2"),
        ({"talk": "Hello"}, "expected talk 'Hello'; came nothing"),
        ({"ncco": "talk"}, "expected ncco 'talk'; came 'connect'"),
        ({"heard": "silence"}, "expected silence from 0 s to the end; came -2"),
        ({"heard": "sound", "to": 0.5}, "expected sound from 0 s to 0.5 s; came silence"),
        ({"heard": "tone", "hz": 660}, "expected a tone of 660 Hz from 0 s to the end; came"),
        ({"heard": "tone", "hz": 440, "from": 1.5, "to": 2, "level": -6}, "at -6 dBFS within 3; came -20.0 dBFS"),
        ({"heard": "sound", "who": 2}, "expected somebody 2 who hears sound; came no such answered leg"),
        ({"ended by": "platform"}, "expected an end by the platform; came user"),
        ({"status": "busy"}, "expected status busy; came completed"),
        ({"seconds": [8, 9]}, "expected a call of 8 to 9 s; came 4."),
        ({"refused": "frame"}, "expected a refusal with 'frame'; came nothing"),
    ],
)
def test_what_is_not_met_is_told_with_its_step(expectation: dict[str, Any], told: str) -> None:
    calls = [{"to": TO, "stays": 4, "do": [tone(440, at=1.0)]}]
    (failure,) = failures({"event": "started"}, {"status": "completed"}, expectation, calls=calls)[-1:]
    kind = next(iter(expectation))
    assert failure.startswith(f"step 3 of expect ({kind}): expected ")
    assert told in failure


def test_what_is_refused_fails_a_scenario_that_does_not_expect_it() -> None:
    odd = [{"action": "stream", "streamUrl": ["https://elsewhere.example/a.wav"]}]
    (failure,) = failures({"status": "completed"}, server={"answer": odd})
    assert failure.startswith("the whole call: expected that nothing is refused; came stream: cannot fetch")
    assert failures({"refused": "cannot fetch"}, server={"answer": odd}) == []


def test_events_come_in_their_order() -> None:
    assert failures({"event": "started"}, {"event": "answered"}, {"event": "completed"}) == []
    (failure,) = failures({"event": "completed", "leg": "websocket"}, {"event": "answered"})
    assert "after those before; came nothing" in failure


def test_two_callers_hear_each_other_and_not_themselves() -> None:
    calls = [
        {"to": TO, "stays": 6, "do": [tone(440, after="answered", lasts=5.0)]},
        {"to": TO, "from": FRIEND, "at": 1, "stays": 4, "do": [tone(660, after="answered")]},
    ]
    absent = {"heard": "no tone", "from": 1, "to": 2}
    found = failures(
        {"heard": "tone", "hz": 660, "level": -20, "from": 2, "to": 3},
        {"heard": "tone", "hz": 440, "level": -20, "from": 1, "to": 2, "who": 2},
        {**absent, "hz": 440},
        {**absent, "hz": 660, "who": 2},
        calls=calls,
        server={"answer": [{"action": "conversation", "name": "room"}]},
    )
    assert found == []


def test_a_prompt_is_found_where_it_is_heard(tmp_path: Path) -> None:
    def write(name: str, voice: Voice) -> None:
        (tmp_path / name).write_bytes(wav_bytes(voice.pcm[16000], 16000))

    write("ours.wav", sample_voice(1.0))
    write("other.wav", sample_voice(1.0, 1.3))
    urls = {"https://music.example/a.wav": {"sound": "ours.wav"}}
    server = {"answer": [{"action": "talk", "text": "Hi"}, *STREAM]}
    expect = [{"heard": "prompt", "file": "ours.wav", "level": -27}, {"heard": "prompt", "file": "other.wav"}]
    (failure,) = play(tmp_path, urls=urls, server=server, expect=expect).failures()
    assert str(failure).startswith("step 2 of expect (heard): expected the prompt other.wav from 0 s to the end; came")


@pytest.mark.parametrize(
    ("answer", "met"),
    [
        ({"tone": 350, "lasts": 1.0}, {"heard": "tone", "hz": 350, "from": 0.2, "to": 0.8}),
        ({"status": 404}, {"refused": "HTTP 404"}),
    ],
)
def test_addresses_of_others_are_answered_by_the_scenario(answer: dict[str, Any], met: dict[str, Any]) -> None:
    assert failures(met, urls={"https://music.example/a.wav": answer}, server={"answer": STREAM}) == []


def test_a_document_of_others_is_answered_by_the_scenario() -> None:
    call = [{"action": "connect", "endpoint": [{"type": "phone", "number": FRIEND,
             "onAnswer": {"url": "https://whisper.example/ncco"}}]}]  # fmt: skip
    found = failures(
        {"talk": "A call for you"},
        calls=[{"to": TO, "stays": 5, "counts": "answered"}],
        urls={"https://whisper.example/ncco": {"document": [{"action": "talk", "text": "A call for you."}]}},
        server={"answer": call},
    )
    assert found == []


@pytest.mark.parametrize(
    ("person", "event"),
    [
        ("busy", "busy"),
        ("declines", "rejected"),
        ("never", "timeout"),
        ("machine", "answered"),
        ({"rings": 2, "stays": 1, "counts": "answered"}, "answered"),
    ],
)
def test_somebody_who_is_called_does_what_the_scenario_says(person: Any, event: str) -> None:
    call = [{"action": "connect", "timeout": 3, "endpoint": [{"type": "phone", "number": FRIEND}]}]
    calls = [{"to": TO, "stays": 8, "counts": "answered"}]
    assert (
        failures({"event": event, "leg": FRIEND}, calls=calls, people={FRIEND: person}, server={"answer": call}) == []
    )


def test_a_call_out_is_placed_as_by_the_api() -> None:
    body = {"to": [{"type": "phone", "number": FRIEND}], "ncco": [{"action": "talk", "text": "Good news."}]}
    found = failures(
        {"event": "answered", "fields": {"direction": "outbound"}},
        {"talk": "Good news"},
        {"ended by": "platform"},
        calls=[{"create": body}],
    )
    assert found == []


def test_texts_are_said_and_understood() -> None:
    asking = [{"action": "input", "type": ["speech"], "speech": {"endOnSilence": 1}}]
    calls = [{"to": TO, "do": [{"say": "book a table", "after": "input"}]}]
    (result,) = [
        note.data["body"]["speech"]
        for note in play(calls=calls, server={"answer": asking}).came.notes
        if note.kind == "event" and "speech" in note.data["body"]
    ]
    assert result["results"][0]["text"] == "book a table"


def test_knobs_and_numbers_are_read_as_yaml_gives_them() -> None:
    found = play(
        calls=[{"to": 447700900001, "from": 447700900123, "stays": 3, "do": [{"press": 5}]}],
        knobs={"payload_generation": "2020", "wait_range": [0.1, 5.0]},
    )
    bodies = [note.data["body"] for note in found.came.notes if note.kind == "event"]
    assert bodies[0]["to"] == TO
    assert "disconnected_by" not in bodies[-1]
    assert found.stage.knobs.wait_range == (0.1, 5.0)


def test_signed_webhooks_carry_a_token() -> None:
    assert play(signed=True).stage.calls[0].signer is not None
    assert play().stage.calls[0].signer is None


def test_a_rehearsal_needs_replies_and_an_end() -> None:
    with pytest.raises(ScenarioError, match="the scenario has no `server`"):
        rehearse(parse({"calls": [{"to": TO}]}, Path()))
    with pytest.raises(ScenarioError, match=r"server\.socket: expected one of echo"):
        play(server={"answer": ECHO, "socket": "sings"})
    with pytest.raises(ScenarioError, match="let somebody hang up"):
        play(calls=[{"to": TO, "stays": None}], server={"answer": [{"action": "conversation", "name": "room"}]})


@pytest.mark.parametrize(
    ("socket", "event"), [("refuses", "failed"), ("never", "unanswered"), ("closes", "disconnected")]
)
def test_the_socket_of_a_rehearsal_can_refuse_or_close(socket: str, event: str) -> None:
    calls = [{"to": TO, "stays": 90, "counts": "answered"}]
    synchronous = [{**ECHO[0], "eventType": "synchronous"}]
    server = {"answer": synchronous, "socket": socket, "events": {event: [[{"action": "talk", "text": "Sorry."}]]}}
    assert failures({"event": event, "leg": "websocket"}, calls=calls, server=server) == []
