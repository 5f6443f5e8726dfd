"""A new app is one command away: its file, its test, and what to do next; nothing else has to be touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from callflows.sockets.registry import APPS
from tests.services import BASE_DIR

NEW = ("vote", "opening-hours-of-the-day-in-x2")
SHOWN = (
    "from callflows.sockets.registry import APPS; from callflows.ncco.check import possible; "
    "from callflows.ncco.flow import Step; from callflows.sockets.registry import outcomes; "
    "print(APPS['vote'].label, possible(Step('s', 'connect', {'app': 'vote'}), outcomes())[-5:])"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, into which the command may write."""
    home = tmp_path_factory.mktemp("project")
    for name in ("callflows", "project", "tests", "templates"):
        shutil.copytree(BASE_DIR / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(BASE_DIR / name, home)
    return home


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # As from a shell: pytest has set the settings' name in ours.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.process
def test_new_app_is_found_and_its_test_passes_as_it_is_written(project: Path) -> None:
    apps, tests = [], []
    for name in NEW:
        begun = run(project, "manage.py", "startsocketapp", name)
        assert begun.returncode == 0, begun.stderr
        module = name.replace("-", "_")
        assert f"Wrote callflows/sockets/{module}.py and tests/sockets/test_{module}.py." in begun.stdout
        assert f".venv/bin/python -m pytest tests/sockets/test_{module}.py" in begun.stdout
        apps.append(f"callflows/sockets/{module}.py")
        tests.append(f"tests/sockets/test_{module}.py")
    tested = run(project, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *tests)
    assert "4 passed" in tested.stdout, tested.stdout
    found = run(project, "manage.py", "shell", "--verbosity", "0", "--command", SHOWN)
    assert found.stdout == "Vote: say here what it is for ['pressed', 'nothing', 'drained', 'error', 'hung-up']\n"
    for check in (["check"], ["format", "--check"]):
        styled = run(project, "-m", "ruff", *check, *apps, *tests)
        assert styled.returncode == 0, styled.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Vote", "Expected a name of small letters"),
        ("2fast", "that begins with a letter"),
        ("a--b", "single dashes"),
        ("../../etc", "Expected a name"),
        ("x" * 31, "at most 30 characters"),
        ("import", "'import' is a word of Python"),
        ("echo", "There is a socket app 'echo' already (Echo: callers hear themselves)"),
        ("line", "callflows/sockets/line.py is there already"),
    ],
)
def test_bad_and_taken_names_are_refused_with_a_sentence(name: str, told: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("startsocketapp", name)
    assert told in str(refused.value)
    assert set(APPS) >= {"echo", "menu", "play", "record"}
