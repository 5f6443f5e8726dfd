"""`manage.py fake_vonage` as a process of its own: our server, our commands and a person's terminal use it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from callflows.simulator.account import Account as FakeAccount
from callflows.simulator.rest.store import Store
from callflows.vonage import calls as rest
from callflows.vonage.account import Account
from callflows.vonage.client import Client
from tests.services import BASE_DIR, Deployment, Process, wait_until

pytestmark = pytest.mark.process

APPLICATION = "00000000-0000-4000-8000-000000000000"
BUSY, FREE = "447700900333", "447700900222"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Deployment]:
    found = Deployment(tmp_path)
    yield found
    found.close()


def test_no_key_of_it_can_be_committed(tmp_path: Path) -> None:
    """DATA_DIR is the project's folder unless told otherwise; the vendor's CLIs write private.key where they run."""
    shutil.copy(BASE_DIR / ".gitignore", tmp_path)
    store = Store(tmp_path / "fake-vonage")
    store.public_key()
    store.save(FakeAccount())
    (tmp_path / "private.key").write_text("a key")
    assert {file.name for file in (tmp_path / "fake-vonage").iterdir()} == {"private-key.pem", "account.json"}
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.check_output(status, text=True) == "?? .gitignore\n"


def fake_vonage(home: Deployment, *arguments: str) -> Process:
    """Start it at a free port, and take over the environment that it tells of."""
    process = home.start(["fake_vonage", "--port", "0", *arguments], {}, stdin=subprocess.PIPE)
    process.wait_until_it_says("Then, for example")
    home.environment |= dict(re.findall(r"export (\w+)=(\S+)", process.said()))
    process.port = int(home.environment["VONAGE_API_URL"].rpartition(":")[2])
    return process


def query(home: Deployment, text: str) -> Any:
    with closing(sqlite3.connect(home.home / "db.sqlite3")) as lite, lite:
        return lite.execute(text).fetchall()


def typed(fake: Process, line: str) -> None:
    """Type a line at its terminal."""
    assert fake.popen.stdin is not None
    fake.popen.stdin.write(f"{line}\n".encode())
    fake.popen.stdin.flush()


def client_of(home: Deployment) -> Client:
    """Return what asks the fake by REST, as our server does."""
    url, key = home.environment["VONAGE_API_URL"], Path(home.environment["FAKE_VONAGE_KEY_FILE"]).read_text()
    return Client(Account(APPLICATION, key, url, (url,)))


def served(home: Deployment, *arguments: str) -> Process:
    """Start a server with the demo's content, and the fake beside it, known to each other."""
    home.environment |= {"SIGNATURE_SECRETS": "abcd1234:not-a-secret-but-long-enough-for-a-check"}
    assert home.manage("migrate").returncode == 0
    assert home.manage("demo_content").returncode == 0
    # Its port is known only once it serves; the fake's, and so its own environment, only after that.
    server = home.serve()
    fake_vonage(home, "--server", server.url, *arguments)
    server.stop()
    again = home.start(["serve", "--port", str(server.port)], {}, server.port)
    again.wait_until_it_answers()
    query(
        home,
        f"UPDATE callflows_application SET api_host = '{home.environment['VONAGE_API_URL']}', "
        "private_key_variable = 'FAKE_VONAGE_KEY', api_key = 'abcd1234'",
    )
    return again


def test_calls_are_placed_steered_and_ended_through_it(home: Deployment) -> None:
    server = served(home, "--party", f"{BUSY}=busy")
    busy = home.manage("place_call", "--flow", "Echo", "--to", BUSY, "--watch")
    assert busy.stdout.splitlines()[-1] == "The call has ended: busy."
    placed = json.loads(home.manage("place_call", "--flow", "Echo", "--to", FREE, "--json").stdout)
    wait_until(lambda: "socket /socket/" in server.said(), "the echo app's socket opens", server)
    client = client_of(home)
    listed = list(rest.listed(client, conversation_uuid=placed["conversation_uuid"]))
    assert {each["to"]["type"] for each in listed} == {"phone", "websocket"}
    rest.talk(client, placed["uuid"], "Hello")
    rest.hang_up(client, placed["uuid"])
    ended = "SELECT 1 FROM callflows_call WHERE id = %s AND status = 'completed'"
    wait_until(lambda: bool(query(home, ended % placed["call"])), "the call ends", server)
    # Signed, and believed.
    assert " 401 " not in server.said()


def test_a_caller_whose_keys_are_typed_is_steered_through_it(home: Deployment) -> None:
    server = served(home)
    fake = next(each for each in home.processes if "fake_vonage" in each.name)
    typed(fake, "1")
    fake.wait_until_it_says("nobody is on the phone")
    typed(fake, "+44 7700 900006")
    wait_until(lambda: "Asking: Demo question" in told(home), "the menu asks", server)
    typed(fake, "1")
    wait_until(lambda: "Chosen: echo" in told(home), "the key arrives", server)
    client = client_of(home)
    (leg,) = [each for each in rest.listed(client) if each["to"]["type"] == "phone"]
    assert (leg["to"]["number"], leg["status"], leg["direction"]) == ("447700900006", "answered", "inbound")
    rest.hang_up(client, leg["uuid"])
    fake.wait_until_it_says("completed")
    # Who is on the phone at its end hangs up, and the server hears of it.
    typed(fake, "447700900001")
    live = "SELECT count(*) FROM callflows_call WHERE status = 'answered'"
    wait_until(lambda: query(home, live) == [(1,)], "somebody is on the phone", server)
    assert fake.stop() == 0
    assert query(home, live) == [(0,)]


def told(home: Deployment) -> str:
    return "\n".join(text for (text,) in query(home, "SELECT text FROM callflows_timelineentry"))


def test_an_account_is_set_up_through_it_and_outlives_it(home: Deployment) -> None:
    server = "https://calls.example.com"
    home.environment["PUBLIC_URL"] = server
    assert home.manage("migrate").returncode == 0
    fake = fake_vonage(home)
    made = json.loads(home.manage("vonage", "create-application", "Front desk", "--json").stdout)
    assert made["ok"], made
    for command in (("buy", "447700900205"), ("link", "447700900205")):
        done = json.loads(home.manage("vonage", *command, "--yes", "--json").stdout)
        assert done["ok"], done
    assert fake.stop() == 0
    fake_vonage(home)
    found = json.loads(home.manage("vonage", "numbers", "--application", "Front desk", "--json").stdout)
    assert "447700900205" in json.dumps(found)
    assert (home.home / "fake-vonage").stat().st_mode & 0o077 == 0


def test_it_speaks_tls_with_a_certificate_that_goes_with_it(home: Deployment) -> None:
    fake = fake_vonage(home, "--tls", "--number", "442079460100")
    url, certificate = home.environment["VONAGE_API_URL"], Path(home.environment["REQUESTS_CA_BUNDLE"])
    assert url == f"https://127.0.0.1:{fake.port}"
    assert home.manage("migrate").returncode == 0
    found = home.manage("vonage", "numbers", "--json")
    assert "442079460100" in found.stdout, found.stderr
    assert "CERTIFICATE_VERIFY_FAILED" in home.manage("vonage", "numbers", "--json", SSL_CERT_FILE="").stdout
    assert fake.stop() == 0
    assert fake.said().endswith("Stopped.\n")
    assert not certificate.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--party", f"{BUSY}=bored"), "expected NUMBER=OUTCOME with one of answers, busy"),
        (("--knob", "dtx=perhaps"), "knobs.dtx: Input should be a valid boolean"),
        (("--knob", "volume=11"), "expected one of ncco_after_ws, .*, got 'volume'"),
        (("--number", "me"), "expected a number such as 447700900001, got 'me'"),
    ],
)
def test_mistakes_are_sentences(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("fake_vonage", *arguments)


def test_a_port_that_is_taken_is_told(home: Deployment) -> None:
    fake = fake_vonage(home)
    second = home.manage("fake_vonage", "--port", str(fake.port))
    assert second.returncode == 1
    assert f"cannot listen at 127.0.0.1:{fake.port}" in second.stderr


def test_a_file_that_is_none_of_ours_is_told(home: Deployment) -> None:
    folder = home.home / "fake-vonage"
    folder.mkdir()
    (folder / "account.json").write_text("{}")
    said = home.manage("fake_vonage", "--port", "0")
    assert said.returncode == 1
    assert "account.json is none of ours" in said.stderr
