"""Knows the demo: six numbers and the flows that answer them, most from one of Vonage's tutorials."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand

from callflows.audio.files import wav_bytes
from callflows.audio.pcm import to_int16
from callflows.audio.tones import melody, tone
from callflows.models import Application, AudioPrompt, CallFlow, HeaderSet, PhoneNumber
from callflows.sockets.registry import outcomes

RATE = 24000
SOUND_SECONDS = 32.0


def chime() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Three rising notes, where a real line would say 'please leave a message'."""
    return np.concatenate([tone(hz, 0.35, RATE) for hz in (523.25, 659.25, 783.99)])


def question() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Two notes that go up, and a third one below: where a real line would ask."""
    return np.concatenate([tone(hz, 0.4, RATE) for hz in (440.0, 587.33, 349.23)])


def refusal() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Two falling notes: that was no choice."""
    return np.concatenate([tone(hz, 0.25, RATE) for hz in (311.13, 233.08)])


def talk(name: str, text: str, then: str = "next", **options: Any) -> dict[str, Any]:
    return {"name": name, "action": "talk", "then": then, "options": {"text": text, "language": "en-GB", **options}}


def socket(name: str, app: str, rate: int = 16000, **options: Any) -> dict[str, Any]:
    endpoint = {"type": "websocket", "content-type": f"audio/l16;rate={rate}"}
    return {
        "name": name,
        "action": "connect",
        "then": "end",
        "options": {"app": app, "endpoint": endpoint, **options},
    }


class Command(BaseCommand):
    help = "Load the demo's numbers, flows, prompts and headers. Safe to repeat: what is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        self.application, _ = Application.objects.get_or_create(
            name="Demo", defaults={"application_id": "00000000-0000-4000-8000-000000000000"}
        )
        echo, sound, message = self.echo(), self.sound(), self.message()
        flows = (
            *(echo, sound, self.menu(echo, sound, message), message, self.old_style()),
            self.menu_in_the_socket(echo, sound, message),
        )
        for place, flow in enumerate(flows, start=1):
            self.number(f"44770090000{place}", flow)
        self.stdout.write("Demo content: numbers 447700900001 to 447700900006")

    # The flows

    def echo(self) -> CallFlow:
        headers = self.headers("Echo headers", caller="{{ from }}", called="{{ to }}", app="echo")
        welcome = talk("welcome", "Please wait while we connect you to the echo server.")
        steps = [welcome, socket("echo", "echo", headerSet=headers.pk)]
        return self.flow("Echo", "Says hello, then lets callers hear themselves.", steps)

    def sound(self) -> CallFlow:
        prompt = self.prompt("Demo sound", "A melody of our own making.", melody(SOUND_SECONDS, RATE))
        return self.flow("Sound", "Plays a melody.", [socket("sound", "play", settings={"prompt": prompt.pk})])

    def message(self) -> CallFlow:
        prompt = self.prompt("Demo greeting", "Three notes before the beep.", chime())
        settings = {"prompt": prompt.pk, "max_seconds": 60, "end_key": "#"}
        return self.flow(
            "Message",
            "Takes a message after the beep; the hash key ends it.",
            [socket("message", "record", settings=settings), talk("thanks", "Thank you. Goodbye.", "end")],
            [("message", outcome, None, "thanks") for outcome in ("key", "limit", "silence")],
        )

    def menu(self, echo: CallFlow, sound: CallFlow, message: CallFlow) -> CallFlow:
        choice = {"name": "choice", "action": "input", "options": {"dtmf": {"maxDigits": 1, "timeOut": 5}}}
        return self.flow(
            "Menu",
            "1 echo, 2 sound, 3 leave a message; anything else is asked again twice.",
            [
                talk("menu", "Press 1 for the echo, 2 for a melody, 3 to leave a message.", bargeIn=True),
                choice,
                talk("goodbye", "Goodbye.", "end"),
            ],
            [
                ("choice", "1", None, echo),
                ("choice", "2", None, sound),
                ("choice", "3", None, message),
                ("choice", "wrong", 2, "menu"),
                ("choice", "nothing", 2, "menu"),
                ("choice", "wrong", None, "goodbye"),
                ("choice", "nothing", None, "goodbye"),
            ],
        )

    def old_style(self) -> CallFlow:
        away = talk("away", "Sorry, the service is away. Please call again later.", "end")
        return self.flow(
            "Old style",
            "An echo at 8 kHz; when its socket fails, callers are told.",
            [socket("echo", "echo", 8000), away],
            [("echo", outcome, None, "away") for outcome in ("disconnected", "failed", "unanswered")],
        )

    def menu_in_the_socket(self, echo: CallFlow, sound: CallFlow, message: CallFlow) -> CallFlow:
        settings = {
            "prompt": self.prompt("Demo question", "Three notes instead of a question.", question()).pk,
            "wrong_prompt": self.prompt("Demo refusal", "Two falling notes: no choice.", refusal()).pk,
            "choices": {"1": "echo", "2": "sound", "3": "message"},
        }
        return self.flow(
            "Menu in the socket",
            "The same choices inside the audio socket: a key stops the notes at once.",
            [socket("ask", "menu", settings=settings), talk("goodbye", "Goodbye.", "end")],
            [
                ("ask", "echo", None, echo),
                ("ask", "sound", None, sound),
                ("ask", "message", None, message),
                *(("ask", outcome, None, "goodbye") for outcome in ("nothing", "wrong", "error")),
            ],
        )

    # What they are made of; what is there already stays as it is

    def headers(self, name: str, **values: str) -> HeaderSet:
        found, made = HeaderSet.objects.get_or_create(name=name)
        if made:
            for key, value in values.items():
                found.rows.create(key=key, value=value)
        return found

    def prompt(self, name: str, description: str, wave: np.ndarray[Any, np.dtype[np.float32]]) -> AudioPrompt:
        found, _ = AudioPrompt.objects.get_or_create(name=name, defaults={"description": description})
        if found.newest is None:
            pcm = to_int16(wave).astype("<i2").tobytes()
            found.add_version(io.BytesIO(wav_bytes(pcm, RATE)), "demo.wav")
        return found

    def flow(
        self,
        name: str,
        description: str,
        steps: list[dict[str, Any]],
        branches: list[tuple[str, str, int | None, str | CallFlow]] | None = None,
    ) -> CallFlow:
        found, made = CallFlow.objects.get_or_create(name=name, defaults={"description": description})
        if not made:
            return found
        for position, step in enumerate(steps):
            found.steps.create(position=position, **step)
        for position, (step_name, outcome, at_most, target) in enumerate(branches or []):
            goal = {"to_step": target} if isinstance(target, str) else {"to_flow": target}
            found.branches.create(position=position, step=step_name, outcome=outcome, at_most=at_most, **goal)
        found.publish(outcomes())
        return found

    def number(self, digits: str, flow: CallFlow) -> None:
        defaults = {"name": f"Demo: {flow.name}", "flow": flow, "application": self.application}
        PhoneNumber.objects.get_or_create(digits=digits, defaults={**defaults, "time_zone": "Europe/London"})
