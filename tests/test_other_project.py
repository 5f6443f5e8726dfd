"""The wheel in somebody else's project: a call is answered below its path, and `check` says what it lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID
from tests.services import BASE_DIR, Process, free_port

pytestmark = pytest.mark.process

ECHO_NUMBER = "447700900002"
HOST = "https://shop.example.com"
CONTENT = f"""
from django.contrib.auth.models import User
from callflows.models import Application, CallFlow, PhoneNumber
from callflows.sockets.registry import outcomes
User.objects.create_superuser("admin", "", "admin")
application = Application.objects.create(name="Shop", application_id="test")
ECHO = {ECHO!r}
for digits, steps in (("{NUMBER}", [("keys", "input", {{"type": ["dtmf"]}}), ECHO]), ("{ECHO_NUMBER}", [ECHO])):
    flow = CallFlow.objects.create(name=digits)
    for position, (name, action, options) in enumerate(steps):
        flow.steps.create(position=position, name=name, action=action, options=options)
    flow.publish(outcomes())
    PhoneNumber.objects.create(digits=digits, flow=flow, application=application)
"""
PAGES = f"""
from django.contrib.auth.models import User
from django.template.loader import get_template
from django.test import Client
from django.urls import reverse
from callflows.models import Call
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.get())
call = Call.objects.get(number_text="{NUMBER}")
for name, args in (("index", ()), ("callflows_callflow_add", ()), ("callflows_call_changelist", ()),
                   ("callflows_call_change", (call.pk,)), ("callflows_headerset_add", ())):
    page = client.get(reverse("admin:" + name, args=args))
    print(name, page.status_code, "callflows/admin.css" in page.content.decode())
print(get_template("admin/callflows/call/page.html").origin.name)
print([each.text for each in call.timeline.all()])
"""


# A project that has added callflows to its apps, and nothing else.
BARE = """
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles", "callflows"]
ROOT_URLCONF = __name__
urlpatterns = []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "bare.sqlite3"}}
"""
LINES = """
from callflows.models import Line
for line in Line.objects.exclude(opened=None):
    print(line.app)
"""


class Elsewhere:
    """A folder with the wheel's content and a project; Django's commands run in it, and our own folder is not seen."""

    def __init__(self, home: Path, wheel: Path) -> None:
        self.home, self.installed = home, home / "installed"
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(self.installed)
        shutil.copytree(BASE_DIR / "tests" / "other_project", home / "other_project")
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SSL_CERT_FILE", "HOME")}
        self.environment = {
            **kept,
            "PYTHONPATH": f"{self.installed}{os.pathsep}{home}",
            "DJANGO_SETTINGS_MODULE": "other_project.settings",
        }

    def django(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "django", *words],
            cwd=self.home,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def shell(self, code: str) -> str:
        done = self.django("shell", "--verbosity", "0", "--command", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words: str, port: int) -> Process:
        log = self.home / f"{words[0]}.log"
        with log.open("wb") as to:
            command = [sys.executable, "-m", "django", *words]
            popen = subprocess.Popen(command, cwd=self.home, env=self.environment, stdout=to, stderr=to)
        return Process(words[0], popen, log, port)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made of a copy: building leaves files behind. What makes it stands in the lock."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(BASE_DIR / "callflows", source / "callflows", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("project", "tests"):
        (source / name).mkdir()
        (source / name / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(BASE_DIR / name, source)
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(made)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = made.iterdir()
    return found


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    elsewhere = Elsewhere(tmp_path_factory.mktemp("elsewhere"), wheel)
    migrated = elsewhere.django("migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    elsewhere.shell(CONTENT)
    return elsewhere


@pytest.fixture
def server(project: Elsewhere) -> Iterator[Process]:
    port = free_port()
    process = project.start("serve", "--port", str(port), port=port)
    try:
        process.wait_until_it_answers("/voice/healthz")
        yield process
    finally:
        print(process.said())
        if process.popen.poll() is None:
            process.stop()


def post(url: str, body: dict[str, Any]) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Host": "shop.example.com"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=10) as reply:
        return reply.status, reply.read()


def files_of(folder: Path) -> set[str]:
    found = (each for each in folder.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    return {str(each.relative_to(BASE_DIR)) for each in found}


def test_wheel_holds_the_app_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert names == files_of(BASE_DIR / "callflows")


def test_check_is_silent_and_every_setting_has_a_default(project: Elsewhere) -> None:
    done = project.django("check", "--fail-level", "WARNING")
    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n"), done.stderr
    assert project.django("makemigrations", "--check", "--dry-run").returncode == 0


def test_check_names_all_that_is_missing_at_once(project: Elsewhere) -> None:
    (project.home / "bare.py").write_text(BARE)
    done = project.django("check", DJANGO_SETTINGS_MODULE="bare")
    told = set(re.findall(r"callflows\.([EW]\d+)", done.stderr))
    assert told == {"E010", "W010", "E011", "W011", "E012", "E013", "E014", "E017", "E018", "W013"}, done.stderr


def test_call_is_answered_below_the_projects_path(project: Elsewhere, server: Process) -> None:
    asked = {"to": NUMBER, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM}
    status, body = post(f"{server.url}/voice/webhooks/answer", asked)
    keys, connect = json.loads(body)
    assert status == 200
    (url,) = keys["eventUrl"]
    assert url.startswith(f"{HOST}/voice/webhooks/events/")
    assert connect["endpoint"][0]["uri"].startswith("wss://shop.example.com/voice/socket/")
    event = {"uuid": UUID, "conversation_uuid": ROOM, "dtmf": {"digits": "42", "timed_out": False}}
    assert post(url.replace(HOST, server.url), event)[0] == 204
    *pages, template, timeline = project.shell(PAGES).splitlines()
    assert [each.split() for each in pages] == [
        ["index", "200", "False"],
        ["callflows_callflow_add", "200", "True"],
        ["callflows_call_changelist", "200", "True"],
        ["callflows_call_change", "200", "True"],
        ["callflows_headerset_add", "200", "True"],
    ]
    assert template.startswith(str(project.installed))
    assert "42" in timeline


def test_caller_is_echoed_through_a_socket_below_the_projects_path(project: Elsewhere, server: Process) -> None:
    words = ("simulate_call", "--to", ECHO_NUMBER, "--server", server.url, "--seconds", "1", "--json")
    done = project.django(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["heard"]["frames"] > 20
    assert project.shell(LINES) == "echo\n"
