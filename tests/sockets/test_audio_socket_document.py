"""The document's app is true: it runs as it is printed, and every method of a line that it names is there."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from callflows.sockets.app import SocketApp
from tests.services import BASE_DIR
from tests.sockets.far import Far, in_virtual_time, numbered

TEXT = (BASE_DIR / "docs" / "audio-socket.md").read_text()
QUESTION = numbered(100)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[SocketApp]:
    """The app of the document, imported as the module that it says."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "vote.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("callflows.sockets.vote", file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.APP
    del sys.modules[spec.name]


async def sound(version: int) -> memoryview:
    return memoryview(b"".join(QUESTION))


@pytest.mark.parametrize(("pressed", "outcome"), [("1", "yes"), ("2", "no"), ("7", "nothing"), ("", "nothing")])
def test_app_of_the_document_runs_as_it_is_printed(app: SocketApp, pressed: str, outcome: str) -> None:
    @in_virtual_time
    async def call() -> None:
        far = Far(sound=sound, settings={"prompt": {"version": 1}, "seconds": 3})
        running = asyncio.create_task(app.run(far.line))
        await far.run(1)
        if pressed:
            far.press(pressed)
        await far.until(running, 10)
        assert running.result() == outcome
        assert (far.heard == QUESTION) is not bool(pressed)

    call()


@in_virtual_time
async def test_all_that_the_document_says_of_a_line_is_there() -> None:
    line = Far().line
    named = set(re.findall(r"line\.(\w+)", TEXT)) - {"md"}
    assert {"play", "mark", "clear", "key", "forget", "on_audio", "fmt", "headers", "note"} <= named
    assert [name for name in named if not hasattr(line, name)] == []


def test_document_stays_short() -> None:
    assert len(TEXT.splitlines()) <= 50
