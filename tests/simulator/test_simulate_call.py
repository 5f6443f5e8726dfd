"""Knows the command `simulate_call`: what it prints, saves and returns."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import wave
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from callflows.management.commands.simulate_call import Command, _described, server_of
from callflows.simulator.party import Keys, Say
from tests.simulator.test_driver import HOST, Site, connect, serving
from tests.simulator.tones import loudness

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent


async def simulate(home: Path, url: str, *options: str) -> Process:
    """Start the command in a folder without a database."""
    return await simulate_only(home, "--to", "447700900001", "--server", f"http://{url}", *options)


async def simulate_only(home: Path, *options: str) -> Process:
    words = ["manage.py", "simulate_call", *options]
    environment = os.environ | {"DATA_DIR": str(home)}
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )


async def test_json_goes_to_stdout_and_the_timeline_to_stderr(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    async with serving(Site(connect)) as site:
        process = await simulate(
            tmp_path, site.url, "--json", "--save", str(heard), "--seconds", "1", "--press", "1#@0.2"
        )
        out, err = await process.communicate()
    result = json.loads(out)
    assert process.returncode == 0
    assert (result["ok"], result["reason"], result["call"]["status"]) == (True, "", "completed")
    assert [entry["text"] for entry in result["timeline"] if entry["kind"] == "key"] == ["1", "#"]
    assert b"first sound from the application" in err
    assert b"httpx" not in err
    with wave.open(str(heard)) as wav:
        assert (wav.getframerate(), wav.getnchannels()) == (16000, 1)
        # From the answer to the end, whatever was heard of it.
        assert wav.getnframes() >= result["heard"]["frames"] * 320
        duration = int(site.bodies[-1]["duration"])
        assert wav.getnframes() / 16000 == pytest.approx(duration, abs=1.0)
    legs = {entry["leg"]: entry["data"]["body"]["uuid"] for entry in result["timeline"] if entry["kind"] == "event"}
    files = {legs["phone"]: str(heard), legs["websocket"]: str(tmp_path / "heard.websocket.wav")}
    assert result["saved"] == files


async def test_a_refused_socket_is_exit_1_with_the_reason(tmp_path: Path) -> None:
    site = Site(connect)
    site.refused = True
    async with serving(site):
        process = await simulate(tmp_path, site.url)
        out, err = await process.communicate()
    assert process.returncode == 1
    assert b"HTTP 403" in err
    assert b"answer webhook: HTTP 200" in out


async def test_no_server_is_exit_1_and_says_what_to_do(tmp_path: Path, unused_tcp_port: int) -> None:
    process = await simulate(tmp_path, f"{HOST}:{unused_tcp_port}", "--json")
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["reason"] == (
        f"no server at http://{HOST}:{unused_tcp_port}: start one with make demo or make run, "
        "or name another with --server"
    )


@pytest.mark.parametrize(
    ("answer_url", "server"),
    [
        ("http://127.0.0.1:3000/ncco", "http://127.0.0.1:3000"),
        ("https://calls.example.com/ncco?a=1", "https://calls.example.com"),
        ("/ncco", f"http://127.0.0.1:{settings.PORT}"),
        ("", f"http://127.0.0.1:{settings.PORT}"),
    ],
)
def test_server_is_that_of_the_answer_url(answer_url: str, server: str) -> None:
    assert server_of(answer_url) == server


async def test_ctrl_c_hangs_up(tmp_path: Path) -> None:
    async with serving(Site(connect)) as site:
        process = await simulate(tmp_path, site.url, "--seconds", "600")
        assert process.stdout
        while b"first sound" not in await process.stdout.readline():
            assert not process.stdout.at_eof()
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert b"the caller hung up" in out
    assert [body["disconnected_by"] for body in site.bodies[-2:]] == ["user", "platform"]


def scenario(folder: Path, text: str) -> str:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return str(path)


async def test_each_party_gets_a_file_of_what_it_heard(tmp_path: Path) -> None:
    async with serving(Site(lambda url: [{"action": "conversation", "name": "room"}])) as site:
        process = await simulate(
            tmp_path, site.url, "--seconds", "2", "--also", "447700900124@0.2", "--save", str(tmp_path / "heard.wav")
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert len({line.split()[1] for line in out.splitlines() if b"room" in line}) == 2
    # The second caller speaks a fifth higher: 660 to 990 Hz, the first one 440 to 660.
    for name, there, absent in (("heard.wav", 990, 440), ("heard.447700900124.wav", 440, 990)):
        with wave.open(str(tmp_path / name)) as wav:
            pcm = wav.readframes(wav.getnframes())
            assert loudness(pcm, wav.getframerate(), there) > loudness(pcm, wav.getframerate(), absent) + 20


async def test_a_reader_that_goes_away_ends_the_call_in_order(tmp_path: Path) -> None:
    async with serving(Site(connect)) as site:
        process = await simulate(tmp_path, site.url, "--seconds", "600")
        assert process.stdout
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as head does
        assert process.stderr
        err = await process.stderr.read()
        assert await process.wait() == 0
    assert err == b""
    assert site.bodies[-1]["status"] == "completed"
    assert [body["disconnected_by"] for body in site.bodies[-2:]] == ["user", "platform"]


async def test_a_scenario_that_is_not_met_is_exit_1_with_its_step(tmp_path: Path) -> None:
    file = scenario(
        tmp_path,
        "calls: [{to: 447700900001, stays: 1, do: [{press: 42, at: 0.2}]}]\n"
        "faults: [event-twice]\n"
        "expect: [{event: ringing}, {talk: Good morning}, {ended by: user}]\n",
    )
    async with serving(Site(connect)) as site:
        process = await simulate_only(tmp_path, "--server", f"http://{site.url}", "--scenario", file, "--json")
        out, _ = await process.communicate()
    result = json.loads(out)
    assert process.returncode == 1
    expected = {"step": "step 2 of expect (talk)", "expected": "talk 'Good morning'", "came": "nothing"}
    assert (result["ok"], result["failures"]) == (False, [expected])
    assert [entry["text"] for entry in result["timeline"] if entry["kind"] == "key"] == ["4", "2"]
    assert [body["status"] for body in site.bodies].count("answered") == 4


async def test_a_socket_that_dies_reaches_the_server_as_a_broken_connection(tmp_path: Path) -> None:
    sorry = [{"action": "talk", "text": "Sorry."}]
    async with serving(Site(connect, {"disconnected": sorry})) as site:
        process = await simulate(tmp_path, site.url, "--fault", "socket-dies@0.4", "--seconds", "3")
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"closed by the application with 1006 fault: the connection broke" in out
    assert b"talk     Sorry." in out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "expected --to NUMBER or --scenario FILE"),
        (("--rehearse", "--to", "1"), "--rehearse: expected a --scenario"),
        (("--scenario", "x.yaml", "--to", "1"), "leave out --to"),
        (("--to", "1", "--say", "none.wav"), "say: none.wav:"),
        (("--to", "1", "--fault", "rain"), "expected one of answer-fails"),
        (("--to", "1", "--digits", "12a"), "expected keys of 0123456789*#, got '12a'"),
        (("--scenario", "none.yaml"), "none.yaml: cannot be read"),
        (("--to", "1", "--save", "none/heard.wav"), "--save: there is no folder"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("simulate_call", *options)
    assert problem in str(caught.value)


def test_a_rehearsal_needs_no_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    call_command("simulate_call", "--rehearse", "--scenario", str(ROOT / "docs/scenarios/room.yaml"), "--save", heard)
    assert "all 4 expectations were met" in capsys.readouterr().out
    assert heard.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_the_options_say_is_what_the_caller_does() -> None:
    command = Command()
    options = vars(
        command.create_parser("manage.py", "simulate_call").parse_args(
            ["--to", "1", "--digits", "12", "--digits", "3#", "--say", "Book a table@2.5", "--press", "5@1"]
        )
    )
    described = _described(options).calls[0].behaviour
    keys = [(each.do.keys, each.after, each.nth) for each in described.steps if isinstance(each.do, Keys)]
    assert keys == [("12", "input", 1), ("3#", "input", 2)]
    (said,) = [each for each in described.steps if isinstance(each.do, Say)]
    assert isinstance(said.do, Say)
    assert (said.at, said.do.text) == (2.5, "Book a table")
    assert described.voice is None
    assert [(each.key, each.at) for each in described.presses] == [("5", 1.0)]
