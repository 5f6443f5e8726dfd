"""Knows that whole calls work: real processes, real HTTP, real sockets, and what the caller heard measured as sound."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
import wave
from pathlib import Path

import numpy as np
import pytest

from callflows.audio.format import Format
from callflows.audio.tones import melody, spectrum_peak
from callflows.simulator.caller import Caller, Press
from callflows.simulator.driver import Watch
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.result import Result
from callflows.simulator.sound import sample_voice
from tests.placing import place
from tests.services import BASE_DIR, Deployment, Process, free_port, redis_server, rows, wait_until

CALLER = "447700900123"
VOICE = sample_voice(10.0)


async def call(
    server: Process, number: int, *press: str, seconds: float = 2.0, at: str = "", watch: Watch | None = None
) -> Result:
    presses = tuple(key for each in press for key in Press.parse(each))
    caller = Caller(f"44770090000{number}", CALLER, VOICE, presses, seconds)
    return await place(caller, server.url, sockets=at, watch=watch)


async def call_until_heard(server: Process, number: int, seconds: float, *press: str, at: str = "") -> Result:
    """Place a call whose caller hangs up when he has heard so much of the socket, however long a busy machine takes."""
    enough, heard = asyncio.Event(), 0.0

    def listen(what: Note | Heard | Said) -> None:
        nonlocal heard
        if isinstance(what, Heard) and what.source == "socket":
            heard += len(what.pcm) / 2 / what.rate
            if heard >= seconds:
                enough.set()

    presses = tuple(key for each in press for key in Press.parse(each))
    caller = Caller(f"44770090000{number}", CALLER, VOICE, presses, 60.0)
    return await place(caller, server.url, sockets=at, watch=listen, hang_up=enough)


def is_echo(result: Result, rate: int) -> bool:
    """Whether the caller heard himself, sample for sample, for at least a second."""
    heard, fmt = result.sound.of("socket"), Format(rate)
    said = b"".join(VOICE.frames(fmt))
    return len(heard) >= 50 * fmt.frame_bytes and said.startswith(heard)


def melody_at(result: Result) -> bool:
    """Whether the socket's sound is the demo's melody: the same strongest tone in each tenth of a second."""
    heard = np.frombuffer(result.sound.of("socket"), "<i2")
    made = melody(32.0, 16000)
    steps = range(1600, min(heard.size, 32000) - 1600, 1600)
    return all(
        abs(spectrum_peak(heard[at : at + 1600], 16000) - spectrum_peak(made[at : at + 1600], 16000)) < 15
        for at in steps
    )


async def check_all_numbers(first: Process, second: str, deployment: Deployment) -> None:
    """Call each demo number at once; webhooks go to one process, sockets to the other where there are two."""
    echo, sound, menu, message, old = await asyncio.gather(
        call_until_heard(first, 1, 1.5, at=second),
        call_until_heard(first, 2, 2.5, at=second),
        call_until_heard(first, 3, 2.0, "1@0.5", at=second),
        call(first, 4, "#@5.5", seconds=12.0, at=second),
        call_until_heard(first, 5, 1.5, at=second),
    )
    for result in (echo, sound, menu, message, old):
        assert result.ok, result.refusals
        assert (result.status, result.bad) == ("completed", 0)
    assert sound.lost == 0
    assert is_echo(echo, 16000)
    assert is_echo(old, 8000)
    assert is_from_the_menu(menu)
    assert len(sound.sound.of("socket")) / 32000 >= 2.5
    assert melody_at(sound)
    assert spectrum_peak(np.frombuffer(message.sound.of("socket"), "<i2")[-9600:-3200], 16000) == pytest.approx(1000, 5)
    assert [note.text for note in message.timeline if note.kind == "talk"] == ["Thank you. Goodbye."]
    assert rows(deployment, "SELECT count(*) FROM callflows_call WHERE status = 'completed'") == [(5,)]
    wait_until(lambda: bool(rows(deployment, "SELECT file FROM callflows_recording")), "the message is kept")


def is_from_the_menu(result: Result) -> bool:
    """Whether the caller heard himself from somewhere in what he said: he began before the socket opened."""
    heard, said = result.sound.of("socket"), b"".join(VOICE.frames(Format(16000)))
    return len(heard) > 32000 and heard[:32000] in said


async def test_all_numbers_on_sqlite_and_the_memory_layer(on_sqlite: Deployment) -> None:
    server = on_sqlite.serve()
    on_sqlite.work()
    await check_all_numbers(server, "", on_sqlite)


async def test_all_numbers_on_postgres_and_redis_with_two_servers(on_postgres: Deployment) -> None:
    first, second = on_postgres.serve(), on_postgres.serve()
    on_postgres.work()
    await check_all_numbers(first, second.url, on_postgres)


async def test_worker_that_is_killed_leaves_its_caller_to_the_other(on_postgres: Deployment) -> None:
    first, second = on_postgres.serve(), on_postgres.serve()
    calling = asyncio.create_task(call(first, 5, seconds=20.0, at=second.url))
    await asyncio.to_thread(until_open, on_postgres)
    second.kill()
    result = await calling
    assert [note.text for note in result.timeline if note.kind == "talk"] == [
        "Sorry, the service is away. Please call again later."
    ]
    assert rows(on_postgres, "SELECT state FROM callflows_line") == [("lost",)]


def until_open(deployment: Deployment) -> None:
    is_open = "SELECT 1 FROM callflows_timelineentry WHERE name = 'open'"
    wait_until(lambda: bool(rows(deployment, is_open)), "a socket is open")


async def test_token_is_used_up_at_every_worker(on_postgres: Deployment) -> None:
    first, second = on_postgres.serve(), on_postgres.serve()
    calling = asyncio.create_task(call_until_heard(first, 1, 2.0, at=second.url))
    await asyncio.to_thread(until_open, on_postgres)
    (reply,) = rows(on_postgres, "SELECT reply FROM callflows_timelineentry WHERE name = 'answer'")
    uri = json.loads(reply[0])[-1]["endpoint"][0]["uri"]
    for server in (first, second):
        assert await handshake(f"ws://127.0.0.1:{server.port}/{uri.split('/', 3)[3]}") == 403
    assert is_echo(await calling, 16000)


async def handshake(url: str) -> int:
    """Return the HTTP status that a handshake is refused with, or 101."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    try:
        async with connect(url):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


COMMAND = """
import django; django.setup()
from asgiref.sync import async_to_sync
from callflows import live
from callflows.models import Line, PromptVersion
line = Line.objects.get(state="open")
version = PromptVersion.objects.filter(prompt__name="Demo sound").first()
async_to_sync(live.command)(line.pk, {name!r}, version=version.pk if {name!r} == "play" else 0, by="another process")
"""


def command(deployment: Deployment, name: str) -> None:
    """Send a command to the open line from a process of its own, and wait until the worker that holds it noted it."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(name=name)],
        cwd=BASE_DIR,
        env=deployment.variables(DJANGO_SETTINGS_MODULE="project.settings"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def commanded(deployment: Deployment, name: str) -> bool:
    return bool(rows(deployment, f"SELECT 1 FROM callflows_timelineentry WHERE kind = 'command' AND name = '{name}'"))


async def test_commands_reach_a_line_of_another_process_and_outlive_a_redis_restart(on_postgres: Deployment) -> None:
    port = free_port()
    with redis_server(port) as url:
        on_postgres.environment["REDIS_URL"] = url
        first, second = on_postgres.serve(), on_postgres.serve()
        heard = list[Heard]()
        calling = asyncio.create_task(
            call(
                first,
                1,
                seconds=40.0,
                at=second.url,
                watch=lambda seen: heard.append(seen) if isinstance(seen, Heard) and seen.source == "socket" else None,
            )
        )
        await asyncio.to_thread(until_open, on_postgres)
        await asyncio.to_thread(command, on_postgres, "stop")
        await asyncio.to_thread(wait_until, lambda: commanded(on_postgres, "stop"), "the line was stopped")
    # Redis is gone now; the call goes on, and hears commands again when there is a new one at the same place.
    before = len(heard)
    await asyncio.to_thread(wait_until, lambda: len(heard) > before + 50, "a second was heard without Redis")
    with redis_server(port):
        await asyncio.to_thread(play_until_heard, on_postgres)
        await asyncio.to_thread(command, on_postgres, "hang_up")
        result = await calling
    assert (result.ok, result.bad) == (True, 0)
    assert b"".join(each.pcm for each in heard[before : before + 50]) in b"".join(VOICE.frames(Format(16000)))
    assert rows(on_postgres, "SELECT outcome FROM callflows_line") == [("hung-up",)]


def play_until_heard(deployment: Deployment) -> None:
    """News is lost while Redis is away, so it is told again until it is heard."""

    def told() -> bool:
        command(deployment, "play")
        return commanded(deployment, "play")

    wait_until(told, "a prompt plays")


async def test_kill_in_mid_recording_leaves_a_wav_and_the_next_start_links_it(on_sqlite: Deployment) -> None:
    server = on_sqlite.serve()
    calling = asyncio.create_task(call(server, 4, seconds=30.0))
    folder = on_sqlite.home / "media" / "recordings" / "open"
    await asyncio.to_thread(wait_until, lambda: recorded(folder) > 1.0, "a second is recorded")
    server.kill()
    seconds = recorded(folder)
    calling.cancel()
    on_sqlite.serve()
    wait_until(lambda: bool(rows(on_sqlite, "SELECT 1 FROM callflows_recording")), "the recording is linked")
    ((kept, uuid),) = rows(
        on_sqlite,
        "SELECT r.seconds, c.uuid FROM callflows_recording r JOIN callflows_call c ON c.id = r.call_id",
    )
    assert kept >= seconds > 1.0
    assert uuid
    assert rows(on_sqlite, "SELECT state FROM callflows_line") == [("lost",)]


def recorded(folder: Path) -> float:
    """Return the seconds of sound in the one recording, as the standard library's own reader sees them."""
    for path in folder.glob("*.wav"):
        with wave.open(str(path)) as file:
            assert file.getnchannels() == 2
            return float(file.getnframes() / file.getframerate())
    return 0.0


@pytest.mark.parametrize("name", ["daphne", "uvicorn"])
async def test_sigterm_tells_the_caller_and_ends_in_order(on_sqlite: Deployment, name: str) -> None:
    server = on_sqlite.serve("--with", name)
    calling = asyncio.create_task(call(server, 5, seconds=20.0))
    await asyncio.to_thread(until_open, on_sqlite)
    assert await asyncio.to_thread(server.stop) == 0
    result = await calling
    assert [note.text for note in result.timeline if note.kind == "talk"] == [
        "Sorry, the service is away. Please call again later."
    ]
    assert rows(on_sqlite, "SELECT state, outcome FROM callflows_line") == [("closed", "drained")]


def plain(deployment: Deployment, server: list[str]) -> Process:
    """Start a server by its own command, without our entry point."""
    port, log = free_port(), deployment.home / "plain.log"
    with log.open("wb") as file:
        popen = subprocess.Popen(
            [sys.executable, "-m", *server, str(port), "project.asgi:application"],
            cwd=BASE_DIR,
            env=deployment.variables(),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    process = Process(server[0], popen, log, port)
    deployment.processes.append(process)
    process.wait_until_it_answers()
    return process


@pytest.mark.parametrize(
    "server",
    [
        ["daphne", "--bind", "127.0.0.1", "--port"],
        ["uvicorn", "--host", "127.0.0.1", "--lifespan", "off", "--port"],
    ],
    ids=["daphne", "uvicorn"],
)
async def test_application_runs_under_plain_servers(on_sqlite: Deployment, server: list[str]) -> None:
    process = plain(on_sqlite, server)
    result = await call_until_heard(process, 1, 1.5)
    assert (result.ok, result.bad) == (True, 0), process.said()
    assert is_echo(result, 16000)


def socket_of(server: Process) -> str:
    """Ask for an answer; return the address of the socket in it."""
    with urllib.request.urlopen(f"{server.url}/webhooks/answer?to=447700900001&from=1&uuid=big") as response:
        return str(json.loads(response.read())[-1]["endpoint"][0]["uri"])


async def test_two_megabytes_in_a_message_harm_no_other_call(on_sqlite: Deployment) -> None:
    from websockets.asyncio.client import connect

    server = on_sqlite.serve()
    calling = asyncio.create_task(call(server, 1, seconds=3.0))
    await asyncio.to_thread(until_open, on_sqlite)
    async with connect(await asyncio.to_thread(socket_of, server)) as socket:
        await socket.send(json.dumps({"content-type": "audio/l16;rate=16000"}))
        await socket.send(bytes(2_000_000))
        await asyncio.wait_for(socket.wait_closed(), 10)
    result = await calling
    assert (result.ok, result.bad) == (True, 0)
    assert is_echo(result, 16000)
