"""`make run` and `make demo`: server and worker started, watched and ended together."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callflows.processes import ChildEnded, Processes
from tests.services import Deployment, Process, free_port

pytestmark = pytest.mark.process

# As is promised.
SOON = 3


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, fork=False)
    yield deployment
    deployment.close()


def test_the_demo_makes_all_places_a_call_and_ends_in_order(fresh: Deployment) -> None:
    port = free_port()
    demo = fresh.start(["demo", "--port", str(port)], {"PYTHONWARNINGS": "default"}, port)
    demo.wait_until_it_says("Callflows is running", 120)
    said = demo.said()
    assert re.search(r"user admin, password \S{12} \(shown only this once\)", said)
    assert "Call completed" in said
    for unwanted in ("failed", "Warning", "Traceback", "ERROR"):
        assert unwanted not in said
    assert demo.seconds_to_stop() < SOON


def test_a_second_start_keeps_the_data_and_the_password(on_sqlite: Deployment) -> None:
    first = start_run(on_sqlite, ADMIN_PASSWORD="known-for-this-test")
    assert "password as ADMIN_PASSWORD says" in first.said()
    assert first.stop() == 0
    before = passwords(on_sqlite.home)
    second = start_run(on_sqlite)
    assert "password as shown at the first start" in second.said()
    assert passwords(on_sqlite.home) == before
    assert second.stop() == 0


def start_run(deployment: Deployment, **environment: str) -> Process:
    port = free_port()
    process = deployment.start(["run", "--port", str(port)], environment, port)
    process.wait_until_it_says("Ctrl-C ends all")
    return process


def passwords(home: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(home / "db.sqlite3")) as database:
        return database.execute("select username, password from auth_user").fetchall()


@pytest.mark.parametrize("name", ["serve", "work"])
def test_a_child_that_dies_is_noticed_and_named(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DATA_DIR", str(shutil.copytree(demo_home, tmp_path / "home")))
    with Processes(free_port(), "WARNING") as processes:
        processes.wait_until_alive()
        processes.children[name].kill()
        with pytest.raises(ChildEnded, match=f"`manage.py {name}` has ended by SIGKILL; what it said stands above"):
            processes.watch()
    assert all(child.poll() is not None for child in processes.children.values())
