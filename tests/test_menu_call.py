"""A whole call of the demo's menu in the socket: real processes, a fake caller who presses keys."""

from __future__ import annotations

from callflows.audio.format import Format
from tests.services import Deployment, rows
from tests.test_a_call import VOICE, call


async def test_caller_of_the_menu_in_the_socket_gets_what_is_chosen(on_sqlite: Deployment) -> None:
    server = on_sqlite.serve()
    # A wrong key while the question plays, then a choice while it is asked again.
    result = await call(server, 6, "9@0.5", "1@1.5", seconds=8.0)
    assert result.ok, result.refusals
    assert (result.status, result.bad) == ("completed", 0)
    notes = [text for (text,) in rows(on_sqlite, "SELECT text FROM callflows_timelineentry ORDER BY at, key")]
    assert [each for each in notes if each.startswith(("Asking", "No choice", "Chosen"))] == [
        "Asking: Demo question",
        "No choice: 9",
        "Asking: Demo refusal, Demo question",
        "Chosen: echo",
    ]
    assert rows(on_sqlite, "SELECT outcome FROM callflows_line ORDER BY used LIMIT 1") == [("echo",)]
    # Then the caller hears himself.
    assert result.sound.of("socket")[-32000:] in b"".join(VOICE.frames(Format(16000)))
