"""The command that checks NCCOs in files: a table for people, JSON for programs, and an exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "payloads" / "ncco"
GOOD = FIXTURES / "valid" / "talk_minimal.json"
BAD = FIXTURES / "invalid" / "talk_missing_text.json"
DOUBTFUL = FIXTURES / "lenient" / "wait_clamped_low.json"


def run(*arguments: object) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = io.StringIO()
    try:
        call_command("check_ncco", *map(str, arguments), stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def found(file: object, *options: str) -> list[dict[str, str]]:
    """Return the problems of one file as the command prints them, whose exit code must fit."""
    code, printed = run(file, "--json", *options)
    ((told),) = json.loads(printed)
    assert told.keys() == {"file", "problems"}
    assert told["file"] == str(file)
    problems: list[dict[str, str]] = told["problems"]
    assert code == any(each["severity"] == "error" for each in problems)
    assert all(each.keys() == {"path", "severity", "message", "source"} and all(each.values()) for each in problems)
    return problems


def written(folder: Path, content: Any) -> Path:
    file = folder / "ncco.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def test_files_in_order_are_one_line_each() -> None:
    assert run(GOOD, GOOD) == (0, f"{GOOD}: no problems\n" * 2)


def test_problems_are_a_table() -> None:
    code, printed = run(DOUBTFUL, GOOD, BAD)
    good, head, doubtful, bad = printed.splitlines()
    assert code == 1
    assert good == f"{GOOD}: no problems"
    assert head.split() == ["FILE", "PATH", "SEVERITY", "MESSAGE", "SOURCE"]
    assert bad.split(maxsplit=3)[:3] == [str(BAD), "$[0].text", "error"]
    assert {line.index(word) for line, word in ((head, "SOURCE"), (bad, "NCCO ref"), (doubtful, "Vonage's S"))} == {
        head.index("SOURCE")
    }


def test_warnings_do_not_fail() -> None:
    assert run(DOUBTFUL)[0] == 0
    assert [each["severity"] for each in found(DOUBTFUL)] == ["warning"]


def test_json_names_every_file_in_the_order_given() -> None:
    code, printed = run("--json", BAD, GOOD)
    assert code == 1
    assert json.loads(printed) == [
        {
            "file": str(BAD),
            "problems": [
                {"path": "$[0].text", "severity": "error", "message": "is required", "source": "NCCO reference"}
            ],
        },
        {"file": str(GOOD), "problems": []},
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"not JSON", b"[NaN]", b"\xff\xfe", b"[" * 200_000, b"[" + b"9" * 5000 + b"]", b'[{"action":"talk"}] x'],
)
def test_file_that_is_no_json_is_one_error(tmp_path: Path, content: bytes) -> None:
    (problem,) = found(written(tmp_path, content))
    assert (problem["path"], problem["severity"]) == ("$", "error")


@pytest.mark.parametrize("levels", [150, 900, 990])
def test_file_that_is_nested_deep_is_one_error(tmp_path: Path, levels: int) -> None:
    (problem,) = found(written(tmp_path, b"[" * levels + b"]" * levels))
    assert (problem["path"], problem["severity"]) == ("$", "error")


def test_file_that_is_not_there_or_a_folder_is_one_error(tmp_path: Path) -> None:
    for file, reason in ((tmp_path / "none.json", "No such file or directory"), (tmp_path, "Is a directory")):
        (problem,) = found(file)
        assert problem["path"] == "$"
        assert problem["message"] == f"expected a file that can be read, got: {reason}"


def test_byte_order_mark_and_name_that_comes_twice_are_warned_of(tmp_path: Path) -> None:
    file = written(tmp_path, b'\xef\xbb\xbf[{"action": "talk", "text": "a", "text": 5}]')
    assert [(each["path"], each["severity"]) for each in found(file)] == [
        ("$", "warning"),
        ("$[0].text", "warning"),
        ("$[0].text", "error"),
    ]


def test_calls_from_numbers_of_others_are_warned_of_when_ours_are_told(tmp_path: Path) -> None:
    file = FIXTURES / "valid" / "connect_phone_dtmf_answer.json"
    assert found(file, "--own", "442079460000", "--own", "442079460001") == []
    assert [each["path"] for each in found(file, "--own", "442079460001")] == ["$[0].from"]


def test_file_whose_name_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    file = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")
    Path(file).write_text("[]")
    assert run(file) == (0, f"{tmp_path}/?.json: no problems\n")


@pytest.mark.process
def test_command_needs_no_database(tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "check_ncco", "--json", str(BAD)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)[0]["problems"][0]["path"] == "$[0].text"
