"""Knows that rows and questions of SQL that was built once are what Django itself makes of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.db import IntegrityError, connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from callflows.models import Call, Leg, Line, PhoneNumber, SeenToken, TimelineEntry, book, lines, tokens
from callflows.models.book import StoredBook
from callflows.models.prepared import Question, insert, insert_unless_there
from callflows.models.together import ask as ask_together
from callflows.models.together import together
from callflows.webhooks import answering
from tests.dates import example
from tests.make import ECHO, NUMBER, ROOM, UUID, ask, make_flow, make_number, talk
from tests.services import Deployment
from tests.signing import KEY, SECRET, bearer

AT = example(5.123456)
RAW = {"text": "Grüße, \"you\" & 'me'; %s {}", "list": [1, None, {"a": True}]}


def rows() -> list[Callable[[], models.Model]]:
    """Return what makes a row of each table that an answer writes to, with all kinds of values."""
    version = make_flow(ECHO, name="of rows").live
    call = Call.objects.create(uuid="of rows")
    leg = Leg.objects.create(call=call, uuid="of rows")
    named: dict[str, Any] = {"caller": "+44 ü", "started": AT, "brought": RAW, "status": Call.Status.RINGING}
    entry: dict[str, Any] = {"call": call, "leg": leg, "kind": TimelineEntry.Kind.ANSWER, "at": AT}
    return [
        lambda: Call(created=AT, news=AT),
        lambda: Call(created=AT, news=AT, **named),
        lambda: Leg(call=call, uuid="another", bound=True, since=AT),
        lambda: Leg(call=call),
        lambda: Line(id="line", nonce="nonce", call=call, version=version, step="echo", app="echo", expires=AT),
        lambda: TimelineEntry(**entry, key="a" * 64, text="Served", data=RAW, reply='[{"a": 1}]'),
        lambda: SeenToken(jti="token", body="b" * 64, at=AT),
    ]


@contextmanager
def executed() -> Iterator[list[Any]]:
    """Yield what was executed, with its values."""
    found: list[Any] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append((sql, repr(tuple(params or ()))))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def compare() -> None:
    """Fail where a row is not written as ``Model.save`` writes it: same statement, same values."""
    for make in rows():
        seen = []
        for write in (lambda row: row.save(force_insert=True), insert):
            with transaction.atomic(), executed() as found:
                row: Any = make()
                write(row)
                assert (row._state.adding, row._state.db) == (False, "default")
                assert type(row)._default_manager.get(pk=row.pk)
                transaction.set_rollback(True)
            seen.append(found[0])
        assert seen[0] == seen[1]


@pytest.mark.django_db
def test_row_is_written_as_save_writes_it() -> None:
    compare()


def on(deployment: Deployment, check: Callable[[], None]) -> None:
    """Run a check of this module in a process of a deployment's."""
    name = check.__name__
    done = deployment.manage("shell", "-c", f"from tests.models.test_prepared import {name}\n{name}()")
    assert done.returncode == 0, done.stderr


def test_row_is_written_as_save_writes_it_on_postgresql(on_postgres: Deployment) -> None:
    on(on_postgres, compare)


def wait_for_each_other() -> None:
    """Fail unless rows wait for each other, until somebody asks for anything, or at the end."""
    with executed() as found, transaction.atomic(), together():
        assert ask_together([("SELECT 7", [])], free=(Call, Leg)) == [[(7,)]]
        call = Call(uuid="waits")
        insert(call)
        leg = Leg(uuid="waits", call=call)
        insert(leg)
        assert len(found) == 1
        assert Call.objects.get(legs=leg) == call
        assert len(found) == 3
        # Of these no key is free any more.
        insert(Call(uuid="waits for nobody"))
        assert len(found) == 4
        insert(SeenToken(jti="waits", body="a"))
        insert(SeenToken(jti="waits too", body="a"))
        assert len(found) == 4
    assert len(found) == 5
    assert SeenToken.objects.filter(body="a").count() == 2
    assert Call.objects.filter(uuid__startswith="waits").count() == 2


def same_twice(jti: str) -> None:
    with together():
        insert(SeenToken(jti=jti, body="a"))
        insert(SeenToken(jti=jti, body="a"))


def broken_off(jti: str) -> None:
    with together():
        insert(SeenToken(jti=jti, body="a"))
        raise ZeroDivisionError


def undo_all_when_one_fails() -> None:
    """Fail unless an error of a row that waited undoes the others, and nothing waits any more."""
    with pytest.raises(IntegrityError), transaction.atomic():
        same_twice("first")
    assert not SeenToken.objects.exists()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        broken_off("second")
    assert not SeenToken.objects.exists()
    insert(SeenToken(jti="third", body="a"))
    assert SeenToken.objects.get().jti == "third"


def take_three_messages() -> None:
    """Fail unless a new call takes three messages: its number, who is there, and its rows."""
    number = PhoneNumber.objects.get(digits=NUMBER)
    original = answering.Answer._in_transaction
    found: list[Any] = []

    def noted(self: answering.Answer, turn: Any) -> str:
        with executed() as each:
            reply = original(self, turn)
        found.append(len(each))
        return reply

    with patch.object(answering.Answer, "_in_transaction", noted):
        for place in range(3):
            assert ask(Client(SERVER_NAME="127.0.0.1"), uuid=f"leg{place}", conversation_uuid=f"CON-{place}")
    # The first one has to read the version.
    assert found[1:] == [3, 3]
    assert number.calls.count() == Line.objects.count() == TimelineEntry.objects.count() == 3


@pytest.mark.parametrize("check", [wait_for_each_other, undo_all_when_one_fails, take_three_messages])
def test_rows_go_to_postgresql_together(on_postgres: Deployment, check: Callable[[], None]) -> None:
    on(on_postgres, check)


@pytest.mark.django_db(transaction=True)
def test_nothing_waits_on_sqlite() -> None:
    with transaction.atomic(), together(), executed() as found:
        insert(SeenToken(jti="a", body="a"))
        assert len(found) == 1


@pytest.mark.django_db
def test_what_is_there_already_is_an_error_or_left_alone() -> None:
    assert insert_unless_there(SeenToken(jti="a", body="1"))
    assert not insert_unless_there(SeenToken(jti="a", body="2"))
    assert SeenToken.objects.get().body == "1"
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(SeenToken(jti="a", body="2"))


@pytest.mark.django_db
def test_failed_row_spoils_its_transaction_as_a_failed_save_does() -> None:
    insert(SeenToken(jti="a", body="1"))
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert(SeenToken(jti="a", body="2"))
        assert transaction.get_rollback()


@pytest.mark.django_db
def test_question_is_answered_as_by_the_query_set() -> None:
    make_number(make_flow(ECHO), safe_ncco=[{"action": "talk", "text": "%s"}])
    make_number(None, digits="447700900002")

    def make(digits: str) -> Any:
        fields = ("pk", "safe_ncco", "flow__name", "flow__live__published")
        return PhoneNumber.objects.filter(digits=digits).values_list(*fields)

    question = Question(make)
    for digits in (NUMBER, "447700900002", "447700900003", NUMBER, "'; --"):
        assert question.ask(digits) == list(make(digits))


@pytest.mark.django_db
def test_question_that_does_not_ask_for_its_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a text of the query is not among its parameters"):
        Question(lambda digits: PhoneNumber.objects.values_list("pk")).ask("1")


@pytest.mark.django_db
def test_new_caller_costs_one_look_for_whoever_was_there() -> None:
    Call.objects.create(uuid="there").legs.create(uuid="there", room="CON-there")
    for uuid, room, found in (("new", "CON-new", 0), ("there", "CON-new", 1), ("new", "CON-there", 1)):
        with CaptureQueriesContext(connection) as asked:
            assert len(StoredBook(AT, set(), new=True).legs(uuid, [room])) == found
        assert len(asked) == 1 + found


# All rows of an answer


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer be written down by Django's own means alone."""

    def unless_there(row: Any) -> bool:
        return bool(type(row).objects.get_or_create(pk=row.pk, defaults={"body": row.body, "at": row.at})[1])

    for module in (book, lines, answering):
        monkeypatch.setattr(module, "insert", lambda row: row.save(force_insert=True))
    monkeypatch.setattr(tokens, "insert_unless_there", unless_there)
    monkeypatch.setattr(book, "StoredBook", lambda *given, new=False: StoredBook(*given))
    monkeypatch.setattr(answering, "StoredBook", lambda *given, new=False: StoredBook(*given))


# What is made by chance, in addresses and in columns: there is one call and one leg.
BY_CHANCE = re.compile(r"(?<=/socket/)[\w-]+(?:/[\w:.-]+)?|(?<=/events/)[\w:.-]+")
KEYS = ("id", "call_id", "leg_id", "line_id", "nonce")


def written() -> list[str]:
    """Return all rows that an answer leaves behind, with a mark for what is made by chance."""
    tables: tuple[Any, ...] = (Call, Leg, Line, TimelineEntry, SeenToken)
    found = [(model.__name__, row) for model in tables for row in model.objects.order_by("pk").values()]
    for _, row in found:
        row.update({name: bool(row[name]) for name in KEYS if name in row})
    return [BY_CHANCE.sub("by chance", repr(each)) for each in found]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("steps", [[talk("hello", "Hello {{ from }}"), ECHO], [talk("hello"), ("ask", "input", {})]])
def test_answer_leaves_the_same_rows_as_by_the_slow_way(
    client: Client, steps: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    make_number(make_flow(*steps))
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    with time_machine.travel(timezone.now(), tick=False):
        query = {"to": NUMBER, "from": "447700900123", "uuid": UUID, "conversation_uuid": ROOM, "SipHeader_X-A": "ä"}
        headers = {"Authorization": bearer(iat=int(time.time()), jti="token", application_id="test")}
        seen = []
        for way in (lambda given: None, slow):
            way(monkeypatch)
            assert client.get("/webhooks/answer", query, headers=headers).status_code == 200
            seen.append(written())
            assert len(seen[-1]) == (5 if ECHO in steps else 4)
            Call.objects.all().delete()
            SeenToken.objects.all().delete()
    assert seen[0] == seen[1]


@pytest.mark.django_db(transaction=True)
def test_slow_way_is_another_way(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_number(make_flow(ECHO))
    slow(monkeypatch)
    with patch("callflows.models.prepared._insert", side_effect=AssertionError):
        assert ask(client)[0]["action"] == "connect"
