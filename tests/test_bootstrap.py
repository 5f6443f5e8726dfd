"""From a fresh clone to a running command: what is in the way is said in one sentence."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from project import bootstrap

ROOT = Path(bootstrap.ROOT)


def test_an_old_python_can_read_the_file_that_refuses_it() -> None:
    ast.parse((ROOT / "project" / "bootstrap.py").read_text(), feature_version=(3, 6))


def test_an_old_python_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"needs Python 3.11 or newer, and .* is 3.9; .* PYTHON=python3.11 make demo"):
        bootstrap.check_python((3, 9, 2), "demo")


def test_a_python_without_venv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match=r"without venv; on Debian or Ubuntu run: apt-get install python3-venv"):
        bootstrap.check_python((3, 11, 0), "demo")


def test_a_folder_that_cannot_be_written_to_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"cannot write to /proc/nowhere .*; make it yours"):
        bootstrap.check_folder("/proc/nowhere")


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"cannot use port {port} \(.*\); choose another: PORT=8080 make run"):
            bootstrap.check_port(str(port), "run")


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match=f"PORT is '{text}', expected a number from 1 to 65535"):
        bootstrap.check_port(text, "demo")


@pytest.mark.process
def test_make_without_the_named_python_says_so_in_one_sentence() -> None:
    done = subprocess.run(
        ["make", "demo", "PYTHON=python-of-nobody"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "callflows: there is no python-of-nobody here; install Python 3.11 or newer" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in listed for target in bootstrap.TARGETS)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-deploy.lock", "requirements-dev.lock"])
def test_lock_files_name_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert " /" not in text
    assert text.count("--hash=sha256:") > 500
