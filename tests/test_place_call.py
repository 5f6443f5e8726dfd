"""`place_call` against the fake Vonage, with real processes: who answers, and what they hear of our socket apps."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callflows.simulator.account import Application, Number
from callflows.simulator.dial import Dial
from callflows.simulator.ears import Ears, Wave, tone_level
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.knobs import Knobs
from callflows.simulator.legs import Leg
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from callflows.simulator.rest.fake import Fake
from callflows.simulator.rest.keys import new_pair
from tests.services import Deployment, free_port, wait_until
from tests.test_fake_vonage import APPLICATION, query

OURS, PERSON, MACHINE, BUSY = "447700900001", "447700900222", "447700900223", "447700900333"
BEEP = 0.8
# Of the tones that the apps play, by the step that does; each lasts a second, and its peaks are at -12 dBFS.
TONES, LEVEL = {"person": 440.0, "message": 880.0, "sorry": 660.0}, -12.0

# One process does all that is Django's: it makes two flows, and calls four times.
CALLS = f"""
import io
from django.core.management import call_command
from callflows.audio.files import wav_bytes
from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone
from callflows.models import Application, AudioPrompt, CallFlow, PhoneNumber
from callflows.sockets.registry import outcomes

def play(name):
    prompt = AudioPrompt.objects.create(name=name)
    wave = to_int16(tone({TONES}[name], 1.0, 16000, {LEVEL})).tobytes()
    prompt.add_version(io.BytesIO(wav_bytes(wave, 16000)), name + ".wav")
    endpoint = {{"type": "websocket", "content-type": "audio/l16;rate=16000"}}
    return name, "connect", {{"app": "play", "settings": {{"prompt": prompt.pk}}, "endpoint": endpoint}}

def flow(name, steps, branches):
    found = CallFlow.objects.create(name=name)
    for position, (step, action, options) in enumerate(steps):
        found.steps.create(position=position, name=step, action=action, then="end", options=options)
    for position, (step, outcome, to) in enumerate(branches):
        found.branches.create(position=position, step=step, outcome=outcome, to_step=to)
    found.publish(outcomes())

# So long a text that whoever answers is known before its end.
hello = "hello", "talk", {{"text": "This is a call from us. " * 10}}
flow("Reminder", [hello, play("person"), play("message")], [("hello", "human", "person"), ("hello", "beep", "message")])
second = "second", "connect", {{"endpoint": {{"type": "phone", "number": "{BUSY}"}}}}
flow("Forward", [second, play("sorry")], [("second", "busy", "sorry")])
Application.objects.update(api_host="{{url}}", private_key_variable="TEST_KEY", api_key="abcd1234")
for flow, to in ("Reminder", "{PERSON}"), ("Reminder", "{MACHINE}"), ("Reminder", "{BUSY}"), ("Forward", "{PERSON}"):
    call_command("place_call", "--flow", flow, "--to", to, "--from", "{OURS}", "--json")
"""


@dataclass(eq=False)
class World:
    """A fake Vonage in a thread of this process, which can measure what its parties hear, and who they were."""

    server: str
    public_key: str
    home: Deployment
    ears: Ears = field(default_factory=Ears)
    placed: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Four calls in one second, and one that is connected: the limit of 3 is tested elsewhere.
        self.platform = Platform(datetime.now(UTC), Knobs(detection_seconds=0.3, calls_per_second=20))
        self.platform.account.applications[APPLICATION] = Application.at(
            APPLICATION, "Demo", self.server, self.public_key
        )
        self.platform.account.numbers[OURS] = Number(OURS, application=APPLICATION)
        self.platform.parties |= {
            PERSON: Behaviour(rings=0.1),
            MACHINE: Behaviour(rings=0.1, machine=True, beep=BEEP),
            BUSY: Behaviour(outcome="busy", rings=0.1),
        }
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> str:
        """Run it; return where its API is."""
        self._thread.start()
        assert self._ready.wait(10)
        return self.platform.region_url

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await Fake(self.platform, Dial(self.server), self._watch).run(self._stop, 0, lambda _: self._ready.set())

    def _watch(self, seen: Note | Heard | Said) -> None:
        if isinstance(seen, Heard):
            self.ears(seen)

    def ended(self, place: int) -> Leg:
        """Wait until our server knows that a placed call has ended; return its leg."""
        wait_until(lambda: self.ask(place, "status") == "completed", f"call {place} has ended", self.home.processes[0])
        return self.platform.legs[self.placed[place]["uuid"]]

    def ask(self, place: int, column: str) -> str:
        ((found,),) = query(self.home, f"SELECT {column} FROM callflows_call WHERE id = {self.placed[place]['call']}")
        return str(found)

    def branches(self, place: int) -> list[str]:
        where = f"kind = 'branch' AND call_id = {self.placed[place]['call']}"
        return [text for (text,) in query(self.home, f"SELECT text FROM callflows_timelineentry WHERE {where}")]

    def wave(self, leg: Leg, start: float, end: float) -> Wave:
        """Return what a leg heard, in seconds after its answer."""
        assert leg.answered is not None
        answered = (leg.answered - self.platform.began).total_seconds()
        return self.ears.wave(leg.uuid, answered + start, answered + end)

    def heard(self, leg: Leg) -> set[str]:
        """Return which of the apps' tones a leg heard for 0.3 s, undisturbed."""
        assert leg.answered is not None
        assert leg.ended is not None
        lasted = (leg.ended - leg.answered).total_seconds()
        waves = [self.wave(leg, at / 10, at / 10 + 0.3) for at in range(int(lasted * 10))]
        return {name for name, hz in TONES.items() if any(abs(tone_level(each, hz) - LEVEL) < 1 for each in waves)}


@pytest.fixture(scope="module")
def world(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Our server, the fake, and four calls that are under way."""
    home = Deployment(shutil.copytree(demo_home, tmp_path_factory.mktemp("calls") / "home"))
    port, (private, public) = free_port(), new_pair()
    found = World(f"http://127.0.0.1:{port}", public, home)
    url = found.start()
    try:
        account = found.platform.account
        home.environment |= {
            "PUBLIC_URL": found.server,
            "TRUSTED_ORIGINS": url,
            "TEST_KEY": private,
            "SIGNATURE_SECRETS": f"{account.api_key}:{account.signature_secret}",
        }
        home.start(["serve", "--port", str(port)], {}, port).wait_until_it_answers()
        done = home.manage("shell", "--verbosity", "0", "-c", CALLS.replace("{url}", url))
        assert done.returncode == 0, done.stderr
        found.placed += [json.loads(line) for line in done.stdout.splitlines()]
        yield found
        # Every webhook was signed, and believed.
        assert " 401 " not in home.processes[0].said()
    finally:
        home.close()
        found.stop()


def test_a_person_who_answers_hears_the_socket_app(world: World) -> None:
    assert world.heard(world.ended(0)) == {"person"}
    assert world.branches(0) == ["Step hello: human, on to person"]


def test_a_machine_hears_the_message_after_its_beep_and_not_before(world: World) -> None:
    leg = world.ended(1)
    assert world.heard(leg) == {"message"}
    assert tone_level(world.wave(leg, 0, BEEP), TONES["message"]) < -60
    assert world.branches(1) == ["Step hello: beep, on to message"]


def test_who_is_busy_ends_the_call_so_and_hears_nothing(world: World) -> None:
    leg = world.ended(2)
    assert world.ask(2, "outcome") == "busy"
    assert (leg.status, leg.answered, world.ears.frames[leg.uuid]) == ("busy", None, [])
    assert world.branches(2) == []


def test_a_connect_to_somebody_busy_takes_its_branch(world: World) -> None:
    assert world.heard(world.ended(3)) == {"sorry"}
    assert world.branches(3) == ["Step second: busy, on to sorry"]
