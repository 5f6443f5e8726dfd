"""A database of the first schema, full of everything, becomes one of today: no row is lost, flows serve the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from callflows.ncco.document import problems
from callflows.ncco.flow import Flow, Place, Version, walk
from callflows.ncco.served import Context, build
from tests import dates, services

OLD = "migrated"
FIRST = [("callflows", "0001_initial")]
AT = dates.EXAMPLE
UUID = "4f1d0c9b7a6e4a2f8c3b5d7e9f012345"
ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
CONTEXT = Context(
    values={"from": "447700900123", "to": "447700900001"},
    event_url=lambda place: f"https://example.com/events/{place.step.name}",
    socket_uri=lambda place: f"wss://example.com/socket/{place.step.name}",
    prompt_url=lambda version: f"https://example.com/sounds/{version}.wav",
)

ECHO = {"app": "echo", "content-type": "audio/l16;rate=8000", "timeout": 20, "headerSet": 1}
ECHO_SERVED = {
    "app": "echo",
    "content-type": "audio/l16;rate=8000",
    "timeout": 20,
    "headers": {"caller": "{{ from }}", "vip": True},
}
ELSEWHERE = {
    "uri": "wss://bot.example.com/s?c={{ from }}",
    "content-type": "audio/l16;rate=16000",
    "authorization": {"type": "custom", "value": "ApiKey 7c1e"},
    "from": "Bot",
}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url, name = f"sqlite:///{tmp_path / 'old.sqlite3'}", ""
    else:
        server, name = request.getfixturevalue("postgres"), f"callflows_old_{os.getpid()}"
        url = services.create_database(server, name)
    plain = {"OPTIONS": {}, "TEST": {"NAME": None, "MIRROR": None, "MIGRATE": True, "CHARSET": None}}
    connections.databases[OLD] = {**connections.databases["default"], **plain, **dj_database_url.parse(url)}
    with django_db_blocker.unblock():
        yield connections[OLD]
        connections[OLD].close()
    del connections[OLD]
    del connections.databases[OLD]
    if name:
        services.drop_database(request.getfixturevalue("postgres"), name)


def migrate(database: BaseDatabaseWrapper, *targets: tuple[str, str]) -> Any:
    """Migrate to ``targets``, or all the way; return the models as they are then."""
    executor = MigrationExecutor(database)
    goal = list(targets) or [each for each in executor.loader.graph.leaf_nodes() if each[0] == "callflows"]
    executor.migrate(goal)
    return executor.loader.project_state(goal).apps


def step(name: str, action: str, options: dict[str, Any], then: str = "next") -> dict[str, Any]:
    return {"name": name, "action": action, "options": options, "then": {"kind": then, "step": "", "flow": None}}


DOCUMENT = {
    "steps": [
        step("menu", "talk", {"text": "Press 1.", "bargeIn": True}),
        step("keys", "input", {"dtmf": {"maxDigits": 1}}),
        step("echo", "connect", ECHO_SERVED, "end"),
        step("tune", "stream", {"prompt": {"id": 1, "version": 7, "seconds": 3.0}}),
        step("bot", "connect", ELSEWHERE, "end"),
        step(
            "plain", "connect", {"app": "play", "settings": {"prompt": {"id": 1, "version": 7}}, "headers": {}}, "end"
        ),
    ],
    "branches": [
        {"step": "keys", "outcome": "1", "target": {"kind": "step", "step": "tune", "flow": None}, "at_most": None},
        {"step": "keys", "outcome": "wrong", "target": {"kind": "flow", "step": "", "flow": 2}, "at_most": 2},
        {
            "step": "echo",
            "outcome": "failed",
            "target": {"kind": "step", "step": "plain", "flow": None},
            "at_most": None,
        },
    ],
}
# What the first release made of it.
SERVED = {
    "menu": [
        {"action": "talk", "text": "Press 1.", "bargeIn": True},
        {
            "action": "input",
            "type": ["dtmf"],
            "dtmf": {"maxDigits": 1},
            "eventUrl": ["https://example.com/events/keys"],
        },
        {
            "action": "connect",
            "timeout": 20,
            "from": "447700900001",
            "eventType": "synchronous",
            "eventUrl": ["https://example.com/events/echo"],
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": "wss://example.com/socket/echo",
                    "content-type": "audio/l16;rate=8000",
                    "headers": {"caller": "447700900123", "vip": True},
                }
            ],
        },
    ],
    "tune": [
        {"action": "stream", "streamUrl": ["https://example.com/sounds/7.wav"]},
        {
            "action": "connect",
            "from": "Bot",
            "eventType": "synchronous",
            "eventUrl": ["https://example.com/events/bot"],
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": "wss://bot.example.com/s?c=447700900123",
                    "content-type": "audio/l16;rate=16000",
                    "authorization": {"type": "custom", "value": "ApiKey 7c1e"},
                }
            ],
        },
    ],
    "plain": [
        {
            "action": "connect",
            "from": "447700900001",
            "eventType": "synchronous",
            "eventUrl": ["https://example.com/events/plain"],
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": "wss://example.com/socket/plain",
                    "content-type": "audio/l16;rate=16000",
                }
            ],
        },
    ],
}


class Filling:
    """Puts rows into every table of the first schema."""

    def __init__(self, apps: Any) -> None:
        self.apps = apps

    def add(self, model: str, **fields: Any) -> Any:
        return self.apps.get_model("callflows", model).objects.using(OLD).create(**fields)

    def everything(self) -> None:
        application = self.add("Application", name="Main", application_id="a-1", private_key_variable="KEY")
        headers = self.add("HeaderSet", name="Caller")
        self.add("HeaderRow", header_set=headers, key="caller", value="{{ from }}")
        self.add("HeaderRow", header_set=headers, key="vip", kind="json", value="true")
        prompt = self.add("AudioPrompt", name="Tune", description="A melody")
        self.add("PromptVersion", prompt=prompt, number=1, folder="prompts/a", seconds=3.0, level=-20.0, notes=["x"])
        flow, version = self.flow()
        number = self.add(
            "PhoneNumber",
            digits="447700900001",
            name="Main",
            application=application,
            flow=flow,
            time_zone="Europe/London",
            safe_ncco=[{"action": "talk", "text": "Sorry"}],
        )
        self.calls(application, number, flow, version)
        self.add("Job", kind="keep_recording", arguments={"line": "x"}, host="here", error="OSError: full", attempts=2)
        self.add("Refusal", reason="host", times=7)

    def flow(self) -> tuple[Any, Any]:
        user = self.apps.get_model("auth", "User").objects.using(OLD).create(username="op")
        flow = self.add("CallFlow", name="Menu", description="A menu", edit=3)
        other = self.add("CallFlow", name="Other")
        for position, (name, action, options) in enumerate(
            [
                ("menu", "talk", {"text": "Press 1."}),
                ("keys", "input", {}),
                ("echo", "connect", ECHO),
                ("bot", "connect", ELSEWHERE),
            ]
        ):
            self.add("Step", flow=flow, position=position, name=name, action=action, options=options)
        self.add("Step", flow=other, name="on", action="connect", options={"app": "echo"}, then="flow", to_flow=flow)
        self.add("Branch", flow=flow, step="keys", outcome="1", to_step="echo", at_most=2)
        self.add("Branch", flow=flow, step="keys", outcome="wrong", to_flow=other)
        version = self.add("FlowVersion", flow=flow, number=1, document=DOCUMENT, published=AT, published_by=user)
        self.add("FlowVersion", flow=other, number=1, document={"steps": [step("a", "wait", {})], "branches": []})
        flow.live = version
        flow.save(using=OLD)
        return flow, version

    def calls(self, application: Any, number: Any, flow: Any, version: Any) -> None:
        names = {"number_text": "447700900001", "flow_name": "Menu", "time_zone": "Europe/London"}
        owners = {"application": application, "number": number, "flow": flow}
        call = self.add("Call", uuid=UUID, caller="447700900123", started=AT, status="answered", **owners, **names)
        self.add("Call", uuid="", outcome="unknown", status="completed", ended=AT + timedelta(hours=2))
        leg = self.add("Leg", call=call, uuid=UUID, room=ROOM, kind="phone", direction="inbound", answered=AT)
        self.add("Leg", call=call, uuid=None, room="CON-2")
        self.add("RoomStay", leg=leg, room="CON-old", until=AT)
        line = self.add(
            "Line",
            id="line-1",
            nonce="n",
            call=call,
            leg=leg,
            version=version,
            step="echo",
            app="echo",
            expires=AT,
            figures={"frames": 50},
        )
        entry = {"at": AT, "kind": "event", "name": "answered", "text": "answered"}
        self.add("TimelineEntry", call=call, leg=leg, line=line, key="k1", data={"raw": {"a": 1}}, reply="[]", **entry)
        self.add("TimelineEntry", call=call, key="k2", **entry)
        self.add("Recording", call=call, line=line, file="recordings/kept/line-1.wav", seconds=12.5)


def rows(apps: Any) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table of ours."""
    models = apps.get_app_config("callflows").get_models()
    return {model.__name__: list(model.objects.using(OLD).order_by("pk").values()) for model in models}


def converted(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what the migration is there to change."""
    return {name: value for name, value in row.items() if name not in ("options", "document")}


def served(flow: Flow, start: str) -> list[dict[str, Any]]:
    first = flow.step(start)
    assert first is not None
    document = build(walk(Place(Version(1, 1, flow), first), lambda flow_id: None), CONTEXT)
    assert [each for each in problems(document) if each.severity == "error"] == []
    return document


def test_nothing_is_lost(database: BaseDatabaseWrapper) -> None:
    apps = migrate(database, *FIRST)
    Filling(apps).everything()
    before = rows(apps)
    assert all(before.values()), "each table of the first schema has rows"
    after = rows(migrate(database))
    for model, old in before.items():
        kept = [{name: row[name] for name in was} for was, row in zip(old, after[model], strict=True)]
        assert list(map(converted, kept)) == list(map(converted, old)), model


def test_version_that_was_published_before_is_served_as_before(database: BaseDatabaseWrapper) -> None:
    Filling(migrate(database, *FIRST)).everything()
    FlowVersion = migrate(database).get_model("callflows", "FlowVersion")
    document = FlowVersion.objects.using(OLD).get(flow__name="Menu").document
    flow = Flow.from_json(document)
    assert {start: served(flow, start) for start in SERVED} == SERVED
    assert document["branches"] == DOCUMENT["branches"]
    assert not flow.joinable


def test_drafts_have_their_endpoint_as_an_object(database: BaseDatabaseWrapper) -> None:
    Filling(migrate(database, *FIRST)).everything()
    Step = migrate(database).get_model("callflows", "Step")
    found = {each.name: each.options for each in Step.objects.using(OLD)}
    echo = {"type": "websocket", "content-type": "audio/l16;rate=8000"}
    assert found == {
        "menu": {"text": "Press 1."},
        "keys": {},
        "echo": {"app": "echo", "timeout": 20, "headerSet": 1, "endpoint": echo},
        "bot": {
            "from": "Bot",
            "endpoint": {
                "type": "websocket",
                "uri": "wss://bot.example.com/s?c={{ from }}",
                "content-type": "audio/l16;rate=16000",
                "authorization": {"type": "custom", "value": "ApiKey 7c1e"},
            },
        },
        "on": {"app": "echo", "endpoint": {"type": "websocket", "content-type": "audio/l16;rate=16000"}},
    }


def test_way_back_gives_the_first_schema_with_all_its_rows(database: BaseDatabaseWrapper) -> None:
    apps = migrate(database, *FIRST)
    Filling(apps).everything()
    before = rows(apps)
    # A connect that named no sound has the one that it was served; empty headers, which were not served, are gone.
    before["Step"][-1]["options"]["content-type"] = "audio/l16;rate=16000"
    plain = before["FlowVersion"][0]["document"]["steps"][-1]["options"]
    del plain["headers"]
    plain["content-type"] = "audio/l16;rate=16000"
    migrate(database)
    assert rows(migrate(database, *FIRST)) == before


def test_way_back_is_refused_when_something_has_no_old_form(database: BaseDatabaseWrapper) -> None:
    Filling(migrate(database, *FIRST)).everything()
    Step = migrate(database).get_model("callflows", "Step")
    phone = {"endpoint": {"type": "phone", "number": "447700900222"}}
    Step.objects.using(OLD).filter(name="on").update(options=phone)
    with pytest.raises(RuntimeError, match="expected only connects to sockets, got one to 'phone'"):
        migrate(database, *FIRST)
    assert Step.objects.using(OLD).get(name="echo").options["endpoint"]["type"] == "websocket"


def test_endpoint_that_is_there_already_stays(database: BaseDatabaseWrapper) -> None:
    Filling(migrate(database, *FIRST)).everything()
    phone = {"endpoint": {"type": "phone", "number": "447700900222"}}
    Step = migrate(database, ("callflows", "0002_whole_contract")).get_model("callflows", "Step")
    Step.objects.using(OLD).filter(name="on").update(options=phone)
    Step = migrate(database).get_model("callflows", "Step")
    assert Step.objects.using(OLD).get(name="on").options == phone
