"""An existing NCCO becomes a flow and comes out again, with nothing lost on the way."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from callflows.models import CallFlow, HeaderRow, HeaderSet
from callflows.models.prompts import sound_path
from callflows.sockets.registry import outcomes
from tests.make import ECHO, make_flow, make_prompt, talk

pytestmark = pytest.mark.django_db

FOLDER = Path(__file__).parent / "payloads" / "ncco"
FILES = sorted([*FOLDER.glob("valid/*.json"), *FOLDER.glob("lenient/*.json")])
INVALID = sorted(file for file in FOLDER.glob("invalid/*") if file.suffix != ".why")
SOCKET = {"type": "websocket", "uri": "wss://bot.example.com/ws", "content-type": "audio/l16;rate=16000"}


def run(name: str, *arguments: str) -> tuple[str, str]:
    """Run a command; return what it said on stdout and on stderr."""
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def bring(folder: Path, document: Any, flow: str = "Imported") -> tuple[str, str]:
    file = folder / "ncco.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return run("import_ncco", str(file), "--flow", flow)


def export(*arguments: str) -> Any:
    return json.loads(run("export_ncco", "--flow", "Imported", *arguments)[0])


def same(document: Any) -> str:
    """Return a document so that equal ones, down to true and 1, are the same text."""
    return json.dumps(document, sort_keys=True)


def connect(headers: dict[str, Any], **endpoint: Any) -> list[dict[str, Any]]:
    return [{"action": "connect", "endpoint": [{**SOCKET, **endpoint, "headers": headers}]}]


# Round trips


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_goes_in_comes_out(file: Path) -> None:
    run("import_ncco", str(file), "--flow", "Imported")
    assert same(export("--draft")) == same(json.loads(file.read_text()))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("valid/*.json")), ids=lambda file: file.stem)
def test_what_was_published_comes_out_of_the_version(file: Path) -> None:
    run("import_ncco", str(file), "--flow", "Imported")
    flow = CallFlow.objects.get()
    if not [each for each in flow.problems(outcomes()) if each.severity == "error"]:
        flow.publish(outcomes())
        flow.steps.all().delete()
        assert same(export()) == same(json.loads(file.read_text()))


def test_only_an_empty_ncco_cannot_be_published() -> None:
    refused = []
    for number, file in enumerate(sorted(FOLDER.glob("valid/*.json"))):
        run("import_ncco", str(file), "--flow", f"Imported {number}")
        flow = CallFlow.objects.get(name=f"Imported {number}")
        refused += [file.stem for each in flow.problems(outcomes()) if each.severity == "error"]
    assert refused == ["empty"]


# Import


def test_import_tells_what_it_made_and_what_to_do_then(tmp_path: Path) -> None:
    out, err = bring(tmp_path, [{"action": "talk", "text": "Hello"}, {"action": "talk", "text": "Bye"}])
    flow = CallFlow.objects.get()
    assert out.splitlines() == [
        "Flow Imported: a draft with 2 steps",
        "  talk",
        "  talk-2",
        f"Callers get it once it is published: /admin/callflows/callflow/{flow.pk}/change/",
    ]
    assert err == ""
    assert flow.live is None
    assert [(step.name, step.action, step.options) for step in flow.steps.all()] == [
        ("talk", "talk", {"text": "Hello"}),
        ("talk-2", "talk", {"text": "Bye"}),
    ]


def test_import_warns_of_all_that_the_forms_do_not_know(tmp_path: Path) -> None:
    document = [
        {"action": "talk", "text": "Hello", "colour": "red", "loop": "2"},
        {"action": "input", "type": ["dtmf"], "eventUrl": ["https://other.example/in"]},
        {"action": "connect", "endpoint": [SOCKET]},
        {"action": "talk", "text": "After the socket"},
    ]
    _, err = bring(tmp_path, document)
    before, _, after = err.partition("Before it can be published:")
    paths = [line.split(": ")[1] for line in before.splitlines()]
    assert {"talk.colour", "talk.loop", "input.eventUrl", "connect.endpoint.uri"} <= set(paths)
    assert all(line.startswith("warning: ") for line in before.splitlines())
    assert after.startswith("\nerror: talk-2: stands after the socket of 'connect'")


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.name)
def test_ncco_with_errors_is_refused_and_changes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match=r"errors?, so nothing was imported"):
        call_command("import_ncco", str(file), "--flow", "Imported")
    assert "error: $" in capsys.readouterr().err
    assert not CallFlow.objects.exists()


def test_all_errors_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ncco.json"
    file.write_text('[{"action": "talk"}, {"action": "fly"}]')
    with pytest.raises(CommandError, match="2 errors"):
        call_command("import_ncco", str(file), "--flow", "Imported")
    err = capsys.readouterr().err
    assert "$[0].text" in err
    assert "$[1].action" in err


@pytest.mark.parametrize("text", ["", "[", "NaN", '[{"action": "talk", "loop": 1e999}]', "[" * 50_000, "\ufeff{}"])
def test_file_that_is_no_ncco_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="so nothing was imported"):
        bring(tmp_path, text)


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="expected a file that can be read, got: No such file"):
        run("import_ncco", str(tmp_path / "ncco.json"), "--flow", "Imported")


@pytest.mark.parametrize("text", ["a\0b", "half a \ud83d smile"])
@pytest.mark.parametrize("place", ["text", "member", "value"])
def test_text_that_no_database_takes_is_refused(text: str, place: str, tmp_path: Path) -> None:
    action: dict[str, Any] = {"action": "talk", "text": "Hello"}
    added: dict[str, dict[str, Any]] = {"text": {"text": text}, "member": {text: 1}, "value": {"x": {"y": [text]}}}
    action |= added[place]
    with pytest.raises(CommandError, match=r"holds a NUL or half a character|so nothing was imported"):
        bring(tmp_path, [action])
    assert not CallFlow.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_name_of_the_flow_must_be_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--flow: expected a name of 1 to 100 characters"):
        bring(tmp_path, [], name)


def test_flow_that_has_something_is_never_changed(tmp_path: Path) -> None:
    flow = make_flow(talk("hello"), name="Imported")
    with pytest.raises(CommandError, match="flow Imported has 1 step or branch already: choose another name"):
        bring(tmp_path, [{"action": "wait"}])
    assert [step.name for step in flow.steps.all()] == ["hello"]


def test_empty_flow_is_filled_and_whoever_edits_it_is_told(tmp_path: Path) -> None:
    flow = CallFlow.objects.create(name="Imported")
    bring(tmp_path, [{"action": "wait"}])
    flow.refresh_from_db()
    assert (flow.steps.count(), flow.edit) == (1, 1)


# Prompts and header sets


@pytest.mark.parametrize("host", ["https://calls.example", "http://127.0.0.1:8000"])
def test_address_of_a_prompt_of_ours_becomes_the_prompt(host: str, tmp_path: Path) -> None:
    prompt = make_prompt(name="Tune")
    assert prompt.newest is not None
    url = host + sound_path(prompt.newest.pk, timezone.now())
    out, _ = bring(tmp_path, [{"action": "stream", "streamUrl": [url], "loop": 2}])
    assert "stream: plays prompt Tune, the newest version at each publishing" in out
    assert CallFlow.objects.get().steps.get().options == {"prompt": prompt.pk, "loop": 2}
    (action,) = export("--draft")
    assert action["streamUrl"] == ["https://callflows.example" + sound_path(prompt.newest.pk, timezone.now())]


@pytest.mark.parametrize("path", ["/a.mp3", "/sounds/7-20991231.wav", "/sounds/7-20991231:forged.wav", "/sounds/x"])
def test_other_address_of_a_sound_stays(path: str, tmp_path: Path) -> None:
    make_prompt()
    bring(tmp_path, [{"action": "stream", "streamUrl": [f"https://calls.example{path}"]}])
    assert CallFlow.objects.get().steps.get().options == {"streamUrl": [f"https://calls.example{path}"]}


def test_headers_become_a_header_set_named_after_the_flow(tmp_path: Path) -> None:
    headers = {"ref": "20931", "vip": True, "caller": "{{ from }}", "more": {"a": [1, 2.0, None]}}
    HeaderSet.objects.create(name="Imported headers")
    out, err = bring(tmp_path, connect(headers))
    assert "connect: made header set Imported headers 2 of its 4 headers" in out
    made = HeaderSet.objects.get(name="Imported headers 2")
    assert same(made.values()) == same(headers)
    assert made.rows.get(key="vip").kind == HeaderRow.Kind.JSON
    step = CallFlow.objects.get().steps.get()
    assert step.options == {"endpoint": SOCKET, "headerSet": made.pk}
    assert "endpoint.headers" not in err
    assert same(export("--draft")) == same(connect(headers))


def test_header_set_with_the_same_values_is_taken(tmp_path: Path) -> None:
    bring(tmp_path, connect({"a": "1", "b": 1}), "First")
    out, _ = bring(tmp_path, connect({"b": 1, "a": "1"}))
    assert "connect: takes its headers from header set First headers, which has the same" in out
    bring(tmp_path, connect({"a": "1", "b": True}), "Other")
    assert HeaderSet.objects.count() == 2


@pytest.mark.parametrize("headers", [{}, {"event": "mine"}, {"": "x"}, {"k" * 101: "x"}])
def test_headers_that_no_header_set_can_hold_stay_with_the_step(headers: dict[str, str], tmp_path: Path) -> None:
    bring(tmp_path, connect(headers))
    assert not HeaderSet.objects.exists()
    assert CallFlow.objects.get().steps.get().options == {"endpoint": {**SOCKET, "headers": headers}}
    assert same(export("--draft")) == same(connect(headers))


def test_header_sets_go_with_an_import_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **fields: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("callflows.management.commands.import_ncco.HeaderRow.objects.bulk_create", fail)
    with pytest.raises(RuntimeError):
        bring(tmp_path, connect({"a": "b"}))
    assert not HeaderSet.objects.exists()
    assert not CallFlow.objects.exists()


# Export


def test_export_gives_the_published_version_and_the_draft_when_asked() -> None:
    flow = make_flow(talk("hello"), name="Imported")
    flow.steps.update(options={"text": "Changed"})
    assert export() == [{"action": "talk", "text": "Hello"}]
    assert export("--draft") == [{"action": "talk", "text": "Changed"}]


def test_export_tells_what_an_ncco_cannot_hold() -> None:
    make_flow(talk("hello"), ECHO, talk("bye"), name="Imported", branches=(("echo", "failed", "bye"),))
    out, err = run("export_ncco", "--flow", "Imported")
    assert [each["action"] for each in json.loads(out)] == ["talk", "connect"]
    assert err.splitlines() == [
        "warning: 1 branch is not part of an NCCO, and left out",
        "warning: only branches lead to bye: left out",
        "warning: the socket of echo has another address in each call: LINE and TOKEN stand for it",
        "warning: PUBLIC_URL is not set: https://callflows.example stands for it",
    ]


def test_export_names_our_own_address(settings: Any) -> None:
    settings.PUBLIC_URL = "https://calls.example"
    make_flow(ECHO, name="Imported")
    assert export()[0]["endpoint"][0]["uri"] == "wss://calls.example/socket/LINE/TOKEN"


def test_export_follows_to_another_flow() -> None:
    other = make_flow(talk("second", "Second"), name="Other")
    flow = make_flow(talk("first", "First"), name="Imported", publish=False)
    flow.steps.update(then="flow", to_flow=other)
    assert [each["text"] for each in export("--draft")] == ["First", "Second"]
    other.versions.all().delete()
    assert [each["text"] for each in export("--draft")] == ["First"]


def test_export_of_no_flow_or_no_version_says_so() -> None:
    with pytest.raises(CommandError, match="no flow is called 'Imported'; there are: none"):
        export()
    make_flow(talk("hello"), name="Imported", publish=False)
    with pytest.raises(CommandError, match="flow Imported has no published version: publish it, or use --draft"):
        export()
