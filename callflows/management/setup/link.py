"""Knows how a number of the account is linked to an application, without loss of what else it does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from callflows.management.setup.desk import Answer, Desk, clause
from callflows.management.setup.numbers import digits_in, remember
from callflows.vonage import numbers as api
from callflows.vonage.account import VonageError
from callflows.vonage.applications import same_id
from callflows.vonage.difference import Difference, differences

Row = dict[str, Any]
# How often a number is read, a second apart, until an update shows.
READS = 3


def link(desk: Desk, *, number: str) -> Answer:
    """Link a number to the application; asked first when it serves something else now."""
    row, digits = desk.chosen(), digits_in(number)
    before = desk.numbers.own(digits)
    if before is None:
        raise CommandError(f"The account does not have {digits}. Next: {desk.run(f'buy {digits}')}")
    data = {"number": digits, "application": row.application_id}
    if not api.takes_calls(before):
        raise CommandError(f"{digits} takes no calls: it has {' '.join(api.features(before))}.")
    goal = row.application_id
    if same_id(before.get("app_id"), goal) and not api.forwarded(before):
        lines = [f"{digits} is linked to {row.name} already.", *_told(before, row)]
        return Answer(lines, {**data, "changes": [], "confirmed": True})
    if (question := _question(before, goal, row.name)) and not desk.agrees(question):
        return Answer(data={**data, "changes": []}, wrong="Nothing was changed.")
    after = _linked(desk, before, goal)
    changes, problems = differences(before, after), _problems(before, after, goal)
    lines = [f"Linked {digits} to {row.name}:", *(f"  {each}" for each in changes), *_told(after, row)]
    shown = [each.as_json() for each in changes]
    return Answer(lines, {**data, "changes": shown, "confirmed": not problems}, " ".join(problems))


def _question(before: Row, application_id: str, name: str) -> str:
    """Return what linking takes away, as a question; nothing when it takes nothing."""
    found = []
    other = api.application_of(before)
    if other and not same_id(other, application_id):
        found.append(f"is linked to another application, {other}")
    if goal := api.forwarded(before):
        found.append(f"forwards its calls to {goal}")
    now = " and ".join(found)
    return f"{api.digits_of(before)} {now}. Take it from there: its callers get {name} from now on?" if found else ""


def _linked(desk: Desk, before: Row, application_id: str) -> Row:
    """Link the number and return it as it reads afterwards."""
    digits = api.digits_of(before)
    try:
        desk.numbers.update(api.linking(before, application_id))
    except VonageError as error:
        raise CommandError(_refusal(error, before)) from None
    after = before
    for _ in range(READS):
        after = desk.numbers.own(digits) or {}
        if same_id(after.get("app_id"), application_id):
            break
    return after


def _refusal(error: VonageError, before: Row) -> str:
    digits = api.digits_of(before)
    if error.maybe:
        return f"{clause(error)}. It is not known whether {digits} was linked: python manage.py vonage numbers"
    hint = (
        f" Its SMS webhook {before['moHttpUrl']} must answer 200 to a GET meanwhile." if before.get("moHttpUrl") else ""
    )
    return f"Vonage did not link {digits}: {clause(error)}.{hint}"


def _problems(before: Row, after: Row, application_id: str) -> list[str]:
    """Return what is not as it was meant to be, as sentences."""
    found = []
    if not same_id(after.get("app_id"), application_id):
        found.append(f"Vonage took the link, but shows {after.get('app_id') or 'none'} still. Look again in a minute.")
    if goal := api.forwarded(after):
        found.append(f"Its calls are forwarded to {goal} still, which takes precedence: end that in the dashboard.")
    gone = [Difference(name, before[name], after.get(name)) for name in api.KEPT if before.get(name)]
    found += [f"It lost a setting: {each}." for each in gone if each.was != each.now]
    return found


def _told(number: Row, row: Any) -> list[str]:
    """Tell the admin, and return what to do there."""
    kind, entry = remember(number, row)
    if kind == "left_out":
        return [f"The admin does not take it: {entry}"]
    return [f"In the admin it is {'there' if kind == 'unchanged' else kind} under {row.name}; choose its flow there."]
