"""`manage.py vonage create-application` and `update-urls`, and what becomes of a private key."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from callflows.management.setup import keyfile
from callflows.management.setup.application import api_host
from callflows.models import Application
from callflows.vonage.applications import voice, webhooks
from tests.vonage.setup_account import KEY, Account, Reply, key_pair, payload, refused
from tests.vonage.setup_desk import BASE, Vonage
from tests.vonage.setup_rows import application_in

pytestmark = pytest.mark.django_db
CREATE = ("create-application", "Front desk")
PATH = "/v2/applications"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No home and no temporary folder but ours."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))


def test_application_is_made_with_our_addresses(vonage: Vonage, account: Account) -> None:
    outcome = vonage.succeeds(*CREATE, "--region", "eu-west")
    (made,) = account.applications.values()
    assert [each["address"] for each in webhooks(made).values()] == [
        f"{BASE}/webhooks/answer",
        f"{BASE}/webhooks/fallback",
        f"{BASE}/webhooks/events",
    ]
    assert (voice(made)["signed_callbacks"], voice(made)["region"]) == (True, "eu-west")
    assert f"Made the application Front desk: {made['id']}" in outcome.out


def test_private_key_goes_into_a_file_of_mode_0600_and_nowhere_else(
    vonage: Vonage, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = vonage.succeeds(*CREATE)
    path = settings.DATA_DIR / "keys" / "front-desk.pem"
    assert path.read_text() == key_pair()[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert str(path) in outcome.out
    assert f"export VONAGE_PRIVATE_KEY_FILE={path}" in outcome.out
    assert not outcome.shows_key(caplog.text)


def test_made_application_stands_in_the_admin(vonage: Vonage, account: Account) -> None:
    vonage.succeeds(*CREATE)
    row = Application.objects.get()
    assert (row.name, row.application_id) == ("Front desk", *account.applications)
    assert (row.api_key, row.api_host, row.private_key_variable) == (KEY, account.url, "VONAGE_PRIVATE_KEY")


def test_application_with_a_region_is_controlled_at_its_host(vonage: Vonage, account: Account, settings: Any) -> None:
    settings.VONAGE_API_URL = "https://api.nexmo.com"
    assert api_host("eu-west") == "https://api-eu-3.vonage.com"
    assert api_host() == "https://api.nexmo.com"


def test_second_application_gets_a_variable_of_its_own(vonage: Vonage) -> None:
    vonage.succeeds(*CREATE)
    outcome = vonage.succeeds("create-application", "Back door", "--json")
    assert outcome.json["variable"] == "VONAGE_PRIVATE_KEY_BACK_DOOR"
    assert vonage.succeeds("create-application", "Side", "--variable", "SIDE", "--json").json["variable"] == "SIDE"


def test_json_of_a_made_application_names_the_keys_file(vonage: Vonage, account: Account, tmp_path: Path) -> None:
    path = tmp_path / "front.pem"
    outcome = vonage.succeeds(*CREATE, "--key-file", str(path), "--json")
    (application_id,) = account.applications
    assert outcome.json == {
        "ok": True,
        "application": {"id": application_id, "name": "Front desk"},
        "variable": "VONAGE_PRIVATE_KEY",
        "region": "",
        "key_file": str(path),
    }
    assert not outcome.shows_key()


def test_file_that_exists_is_not_overwritten_and_nothing_is_made(
    vonage: Vonage, account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "front.pem"
    path.write_text("another key")
    outcome = vonage(*CREATE, "--key-file", str(path))
    assert "exists, and may hold a key that is needed" in outcome.error
    assert path.read_text() == "another key"
    assert not account.applications
    assert not Application.objects.exists()


def test_folder_that_cannot_be_made_is_told_before_anything_is_made(
    vonage: Vonage, account: Account, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in vonage(*CREATE, "--key-file", str(tmp_path / "file" / "front.pem")).error
    assert not account.applications


def fails_to_write(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the disk be full for so many files."""
    left, real = [OSError(28, "No space left on device")] * times, os.fsync

    def fsync(handle: int) -> None:
        if left:
            raise left.pop()
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize(("times", "folder"), [(1, "home"), (2, "temporary")])
def test_key_that_does_not_fit_on_the_disk_goes_elsewhere(
    vonage: Vonage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any, times: int, folder: str
) -> None:
    fails_to_write(monkeypatch, times)
    outcome = vonage.succeeds(*CREATE, "--json")
    path = Path(outcome.json["key_file"])
    assert path.parent == tmp_path / folder
    assert path.read_text() == key_pair()[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*(settings.DATA_DIR / "keys").iterdir()] == []


def test_key_that_fits_nowhere_is_never_shown(vonage: Vonage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fails_to_write(monkeypatch, 9)
    outcome = vonage(*CREATE)
    assert outcome.error.startswith("The private key could not be kept")
    assert outcome.error.endswith("the key is not shown twice.")
    assert not outcome.shows_key()
    assert not [*(tmp_path / "home").iterdir(), *(tmp_path / "temporary").iterdir()]


def test_person_is_asked_for_a_place_until_one_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fails_to_write(monkeypatch, 4)
    paths = iter([str(tmp_path / "full"), str(tmp_path / "missing" / "x"), str(tmp_path / "good")])
    kept = keyfile.keep("PEM", keyfile.KeyFile(tmp_path / "first.pem"), lambda question: next(paths))
    assert kept == tmp_path / "good"
    assert kept.read_text() == "PEM"


def test_person_may_give_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fails_to_write(monkeypatch, 9)
    with pytest.raises(keyfile.NotKept, match="No space left"):
        keyfile.keep("PEM", keyfile.inside(tmp_path / "new"), lambda question: "")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (refused("no", invalid_parameters=[{"name": "name", "reason": "is odd"}]), "Bad Request: no: name: is odd"),
        (Reply(401, payload("applications/error_401")), "check VONAGE_API_KEY and VONAGE_API_SECRET"),
        (Reply(500, b""), "It is not known whether the application was made."),
        (Reply(201, b""), "It is not known whether the application was made."),
        (Reply(201, b"<html>", "text/html"), "expected a JSON object, got 6 bytes of text/html"),
    ],
)
def test_refused_application_leaves_no_file_and_no_row(
    vonage: Vonage, account: Account, settings: Any, reply: Reply, text: str
) -> None:
    account.next("POST", PATH, reply)
    assert text in vonage(*CREATE).error
    assert [*(settings.DATA_DIR / "keys").iterdir()] == []
    assert not Application.objects.exists()
    assert len(account.asked("POST")) == 1


def test_application_without_a_private_key_is_told(vonage: Vonage, account: Account) -> None:
    account.next("POST", PATH, Reply(201, payload("applications/create_201_voice_own_key")))
    outcome = vonage(*CREATE)
    assert outcome.error.startswith("Vonage gave no private key with the application")
    assert Application.objects.get().application_id in outcome.out


def test_own_public_key_is_sent_and_no_file_is_written(
    vonage: Vonage, account: Account, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "public.pem").write_text(key_pair(1)[1])
    outcome = vonage.succeeds(*CREATE, "--public-key", str(tmp_path / "public.pem"), "--json")
    assert account.asked("POST")[0].json["keys"] == {"public_key": key_pair(1)[1]}
    assert outcome.json["key_file"] is None
    assert not (settings.DATA_DIR / "keys").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (key_pair(1)[0], "holds a private key"),
        ("nonsense", "expected PEM"),
        ("\xff", "cannot read"),
        (None, "cannot read"),
    ],
)
def test_file_that_holds_no_public_key_is_not_sent(
    vonage: Vonage, account: Account, tmp_path: Path, content: str | None, text: str
) -> None:
    if content is not None:
        (tmp_path / "public.pem").write_text(content, encoding="latin-1")
    assert text in vonage(*CREATE, "--public-key", str(tmp_path / "public.pem")).error
    assert not account.seen


def test_second_application_of_a_name_is_refused(vonage: Vonage, account: Account) -> None:
    there = application_in(account)
    error = vonage(*CREATE).error
    assert f"The application Front desk is there already: {there['id']}" in error
    assert "Vonage shows a private key only once: if it is lost, make an application of another name" in error
    error = vonage("create-application", there["name"]).error
    assert f"To use it: python manage.py vonage update-urls --application {there['id']}" in error
    assert not account.asked("POST")


def test_row_whose_application_is_gone_is_used_again(vonage: Vonage, account: Account) -> None:
    Application.objects.create(name="Front desk", application_id="00000000-0000-4000-8000-000000000000")
    vonage.succeeds(*CREATE)
    assert Application.objects.get().application_id in account.applications


@pytest.mark.parametrize("name", ["x" * 101, " "])
def test_name_must_fit_the_admin(vonage: Vonage, name: str) -> None:
    assert "expected 1 to 100" in vonage("create-application", name).error


def test_missing_signature_secret_is_told_at_once(vonage: Vonage, settings: Any) -> None:
    settings.SIGNATURE_SECRETS = {}
    assert f"Set SIGNATURE_SECRETS={KEY}:SECRET" in vonage.succeeds(*CREATE).out


def test_made_application_is_told_even_when_the_database_fails(
    vonage: Vonage, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(type(Application.objects), "update_or_create", fail)
    outcome = vonage(*CREATE)
    (application_id,) = account.applications
    assert outcome.error.startswith("The admin could not be told: the disk is full. Add the application there by hand")
    assert application_id in outcome.out
    assert "front-desk.pem" in outcome.out
