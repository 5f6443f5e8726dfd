"""What a test of the core may not do fails it, whatever it wanted with that."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kinds import Forbidden, is_core

HERE = Path(__file__).parent.parent


def test_the_core_starts_no_process() -> None:
    with pytest.raises(Forbidden, match=r"starts no process .*: subprocess.Popen"):
        subprocess.run([sys.executable, "--version"], check=False)
    with pytest.raises(Forbidden, match=r"os\.fork"):
        os.fork()


def test_the_core_opens_no_database_and_no_connection(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match=r"opens no database .*: sqlite3.connect"):
        sqlite3.connect(tmp_path / "db.sqlite3")
    with socket.socket() as one, pytest.raises(Forbidden, match=r"no connection: socket.connect"):
        one.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("path", "so"),
    [
        ("audio/test_pacer.py", True),
        ("simulator/test_call.py", True),
        ("simulator/test_rest_server.py", False),
        ("webhooks/test_events.py", False),
        ("test_layers.py", False),
    ],
)
def test_a_test_is_of_the_core_by_its_folder(path: str, so: bool) -> None:
    assert (HERE / path).exists()
    assert is_core(HERE / path) is so
