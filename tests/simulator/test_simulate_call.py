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

from tests.simulator.test_driver import HOST, Site, connect, serving

ROOT = Path(__file__).parent.parent.parent


async def simulate(home: Path, url: str, *options: str) -> Process:
    """Start the command in a folder without a database."""
    words = ["manage.py", "simulate_call", "--to", "447700900001", "--server", f"http://{url}", *options]
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
        assert wav.getnframes() == result["heard"]["frames"] * 320


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
    assert site.bodies[-1]["disconnected_by"] == "user"
