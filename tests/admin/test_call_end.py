"""The call's page says who ended a call: what a fake Vonage tells of it, in any order, is told to our webhooks."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from callflows.admin import call_page
from callflows.models import Call
from callflows.simulator.effects import Closed
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour
from tests.simulator.world import CALLEE, World, connect, socket

pytestmark = pytest.mark.django_db(transaction=True)

LONG = {"action": "talk", "text": "Please hold the line.", "loop": 0}
LATER = {"action": "wait", "timeout": 10}
STAYS = Behaviour(seconds=600.0)


def hangs_up(at: float) -> Behaviour:
    return Behaviour(seconds=at, counts="answered")


def called(caller: Behaviour, callee: Behaviour, *document: Any) -> Callable[[Knobs], World]:
    """Somebody calls in; his document calls somebody else, or what it says."""

    def play(knobs: Knobs) -> World:
        world = World(list(document) or [connect()], knobs=knobs)
        world.platform.parties[CALLEE] = callee
        world.call_in(caller)
        world.go()
        return world

    return play


def placed(callee: Behaviour, **body: Any) -> Callable[[Knobs], World]:
    """Somebody is called out."""

    def play(knobs: Knobs) -> World:
        world = World(knobs=knobs)
        world.platform.parties[CALLEE] = callee
        world.create(**{"ncco": [LONG], **body})
        world.go()
        return world

    return play


def closed(knobs: Knobs) -> World:
    """The server closes its socket after a second."""
    left = [50]

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        left[0] -= isinstance(message, bytes)
        return [Closed("", 1000)] if left[0] == 0 else []

    world = World([socket()], app=app, knobs=knobs)
    world.call_in(STAYS)
    world.go()
    return world


MACHINE = Behaviour(machine=True, beep=3.0)
CALLS: dict[str, tuple[Callable[[Knobs], World], str]] = {
    "the caller hangs up first": (called(hangs_up(5.0), STAYS), "the caller"),
    "the caller hangs up first, on a socket": (called(hangs_up(5.0), STAYS, socket()), "the caller"),
    "the callee hangs up first": (called(STAYS, hangs_up(5.0)), "the called party"),
    "who was called out hangs up": (placed(hangs_up(5.0)), "the called party"),
    "who was called out hangs up, on a socket": (placed(hangs_up(5.0), ncco=[socket()]), "the called party"),
    "the longest time": (placed(STAYS, length_timer="5"), "Vonage"),
    "a machine is hung up": (placed(MACHINE, machine_detection="hangup"), "Vonage"),
    "nothing is left": (called(STAYS, STAYS, {"action": "talk", "text": "Bye."}), "Vonage"),
    "the longest time of a connect": (called(STAYS, STAYS, connect(limit=5)), "Vonage"),
    "the server closes its socket": (closed, "the server at its audio socket"),
    "an agent leaves, the call goes on": (called(hangs_up(15.0), hangs_up(3.0), connect(), LATER, LONG), "the caller"),
    "an agent is busy": (called(STAYS, Behaviour(outcome="busy")), "Vonage"),
    "payloads of 2020": (called(hangs_up(5.0), STAYS), "–"),
}
ORDERS: dict[str, Callable[[list[Any]], None]] = {
    "in order": lambda bodies: None,
    "backwards": list.reverse,
    "mixed": lambda bodies: random.Random(7).shuffle(bodies),
}


def told(client: Client, world: World, order: str) -> dict[str, str]:
    """Tell our webhooks what the fake told, in another order; return the facts of the call's page."""
    bodies = world.events()
    ORDERS[order](bodies)
    for body in bodies:
        assert client.post("/webhooks/events", body, content_type="application/json").status_code in (200, 204)
    call = Call.objects.get(uuid=world.call.leg.uuid)
    page = client.get(f"/admin/callflows/call/{call.pk}/change/").content.decode()
    facts = re.findall(r"<dt>([^<]*)</dt><dd>(.*?)</dd>", page)
    return {name: re.sub(r"<[^>]*>", "", value) for name, value in facts}


@pytest.mark.parametrize(("order", "others"), [("in order", "platform"), ("backwards", "user"), ("mixed", "user")])
@pytest.mark.parametrize("case", CALLS)
def test_the_page_tells_who_ended_a_call(admin_client: Client, case: str, others: Any, order: str) -> None:
    play, who = CALLS[case]
    knobs = Knobs(other_legs_ended_by=others, payload_generation="2020" if "2020" in case else "2025")
    assert told(admin_client, play(knobs), order)["Ended by"] == who


def test_the_timeline_keeps_what_each_leg_says_as_it_is(admin_client: Client) -> None:
    world = called(hangs_up(5.0), STAYS)(Knobs(other_legs_ended_by="user"))
    told(admin_client, world, "in order")
    texts = list(Call.objects.get().timeline.filter(name="completed").values_list("text", flat=True))
    assert len(texts) == 2
    assert all(text.endswith("disconnected_by: user") for text in texts)
    assert not any("caller" in text or "called" in text for text in texts)


def test_a_live_call_has_no_end(admin_client: Client) -> None:
    world = called(hangs_up(5.0), STAYS)(Knobs())
    for body in [each for each in world.events() if each["status"] != "completed"]:
        admin_client.post("/webhooks/events", body, content_type="application/json")
    call = Call.objects.get()
    assert call.live
    page = admin_client.get(f"/admin/callflows/call/{call.pk}/change/").content.decode()
    assert "<dt>Ended by</dt><dd>–</dd>" in page


def test_the_end_of_a_call_whose_timeline_is_cut_is_told(admin_client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(call_page, "MOST", 3)
    assert told(admin_client, called(hangs_up(5.0), STAYS)(Knobs()), "in order")["Ended by"] == "the caller"
