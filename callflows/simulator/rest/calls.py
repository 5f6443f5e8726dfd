"""Knows /v1/calls and /v1/files: who may, how often, what is asked, and what the platform is told to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from callflows.simulator.account import Application, plain_id
from callflows.simulator.knobs import Knobs
from callflows.simulator.legs import Leg
from callflows.simulator.platform import Kind, NotPossible
from callflows.simulator.rates import Window
from callflows.simulator.rest import bodies, shown
from callflows.simulator.rest.credentials import application_of
from callflows.simulator.rest.messages import Refused, Reply, Request, as_json
from callflows.simulator.rest.ports import Platform
from callflows.simulator.rest.refusals import Voice

# `human` and `disconnected` are statuses of events, and no filter takes them.
STATUSES = (
    *("started", "ringing", "answered", "machine", "completed", "busy", "cancelled", "failed", "rejected"),
    *("timeout", "unanswered"),
)
# What stands after a leg's uuid, and the verbs that it takes.
_VERBS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (): ("GET", "PUT"),
    ("stream",): ("PUT", "DELETE"),
    ("talk",): ("PUT", "DELETE"),
    ("dtmf",): ("PUT",),
    ("input", "dtmf"): ("PUT", "DELETE"),
}
_STATUS_OF: Mapping[Kind, int] = {
    "not found": 404,
    "over": 404,
    "too early": 400,
    "too many calls": 429,
    "no application": 404,
}


@dataclass(eq=False, slots=True)
class Calls:
    """The Voice API of one platform."""

    platform: Platform
    knobs: Knobs
    refusals: Voice = field(init=False)
    _requests: Window = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = Voice(self.knobs.error_form)
        self._requests = Window(self.knobs.requests_per_second)

    def answer(self, request: Request, now: float) -> Reply:
        """Answer a request to /v1/... at ``now``."""
        epoch = (self.platform.began + timedelta(seconds=now)).timestamp()
        application = application_of(request, self.platform.account, epoch)
        if application is None:
            return self.refusals.status(401)
        # With and without a slash at its end: the documents write the collection's address in both forms.
        path = request.path[1:-1] if request.path[-1] == "" else request.path[1:]
        creates = request.method == "POST" and path == ("calls",)
        # The platform itself counts what begins a call: `connect` actions do, too.
        if not creates and not self._requests.take(now):
            return self.refusals.status(429)
        try:
            return self._route(request, path, application)
        except Refused as refused:
            return refused.reply
        except NotPossible as error:
            return self.refusals.status(_STATUS_OF[error.kind])

    def _route(self, request: Request, path: tuple[str, ...], application: Application) -> Reply:
        match request.method, path:
            case "POST", ("calls",):
                return self._create(request, application)
            case "GET", ("calls",):
                return self._list(request, application)
            case _, ("calls",):
                return self.refusals.status(405)
            case _, ("calls", uuid, *rest) if tuple(rest) in _VERBS:
                if request.method not in _VERBS[tuple(rest)]:
                    return self.refusals.status(405)
                return self._leg(request, self._found(uuid, application), tuple(rest))
            case "GET", ("files", id):
                return self._file(id, application)
            case _, ("files", _):
                return self.refusals.status(405)
        return self.refusals.status(404)

    # All calls

    def _create(self, request: Request, application: Application) -> Reply:
        account = self.platform.account
        linked = [each for each, number in account.numbers.items() if _same(number.application, application)]
        body, wrong = bodies.created(self._object(request), application, sorted(linked))
        if wrong:
            return self.refusals.invalid(wrong)
        uuid, conversation = self.platform.create(body, application.id)
        shown = {"uuid": uuid, "status": "started", "direction": "outbound", "conversation_uuid": conversation}
        return as_json(201, shown)

    def _list(self, request: Request, application: Application) -> Reply:
        query = bodies.Body(request.query)
        size, start = _number(query, "page_size", 1, 100, 10), _number(query, "record_index", 0, 1 << 31, 0)
        order = query.choice("order", ("asc", "desc"), "asc")
        fits = [lambda leg: _same(leg.application, application), *_filters(query)]
        if query.wrong:
            return self.refusals.invalid(query.wrong)
        found = [leg for leg in self.platform.legs.values() if all(each(leg) for each in fits)]
        found.sort(key=lambda leg: leg.created, reverse=order == "desc")
        kept = {name: value for name, value in request.query.items() if name not in ("page_size", "record_index")}
        return as_json(200, shown.page(found, start, size, kept))

    # One call

    def _found(self, uuid: str, application: Application) -> Leg:
        """Return a leg of the application's. Its uuid is compared as it is: one with other dashes is another."""
        leg = self.platform.legs.get(uuid)
        if leg is None or not _same(leg.application, application):
            raise Refused(self.refusals.status(404))
        return leg

    def _leg(self, request: Request, leg: Leg, what: tuple[str, ...]) -> Reply:
        if request.method == "GET":
            return as_json(200, shown.leg(leg))
        if leg.ended is not None:
            return self.refusals.status(404)
        platform, uuid = self.platform, leg.uuid
        match request.method, what:
            case "PUT", ():
                return self._modify(request, uuid)
            case "PUT", ("stream",):
                platform.stream(uuid, self._read(request, bodies.streamed))
                return _done("Stream started", uuid)
            case "DELETE", ("stream",):
                platform.stop_stream(uuid)
                return _done("Stream stopped", uuid)
            case "PUT", ("talk",):
                platform.talk(uuid, self._read(request, bodies.said))
                return _done("Talk started", uuid)
            case "DELETE", ("talk",):
                platform.stop_talk(uuid)
                return _done("Talk stopped", uuid)
            case "PUT", ("dtmf",):
                platform.dtmf(uuid, self._read(request, bodies.digits))
                return _done("DTMF sent", uuid)
            case "PUT", _:
                platform.subscribe_dtmf(uuid, self._read(request, bodies.subscribed))
            case _:
                platform.unsubscribe_dtmf(uuid)
        return Reply(200)

    def _modify(self, request: Request, uuid: str) -> Reply:
        platform, body = self.platform, self._object(request)
        simple: dict[str, Callable[[str], None]] = {
            "hangup": platform.hang_up,
            "mute": platform.mute,
            "unmute": platform.unmute,
            "earmuff": platform.earmuff,
            "unearmuff": platform.unearmuff,
        }
        action = body.get("action")
        if isinstance(action, str) and action in simple:
            simple[action](uuid)
        elif action == "transfer":
            destination, wrong = bodies.transferred(body)
            if wrong:
                return self.refusals.invalid(wrong)
            platform.transfer(uuid, **destination)
        else:
            return self.refusals.invalid([("action", f"must be one of: {', '.join([*simple, 'transfer'])}")])
        return Reply(204)

    def _file(self, id: str, application: Application) -> Reply:
        found = self.platform.recordings.get(id)
        if found is None or not _same(found.application, application):
            return self.refusals.status(404)
        return Reply(200, found.content, (("Content-Type", found.content_type),))

    # Bodies

    def _read(self, request: Request, reader: bodies.Reader) -> Any:
        found, wrong = reader(self._object(request))
        if wrong:
            raise Refused(self.refusals.invalid(wrong))
        return found

    def _object(self, request: Request) -> dict[str, Any]:
        try:
            found = request.json()
        except ValueError:
            raise Refused(self.refusals.status(400)) from None
        if not isinstance(found, dict):
            raise Refused(self.refusals.status(400))
        return found


def _done(message: str, uuid: str) -> Reply:
    return as_json(200, {"message": message, "uuid": uuid})


def _same(id: str, application: Application) -> bool:
    return plain_id(id) == plain_id(application.id)


def _number(query: bodies.Body, name: str, low: int, high: int, default: int) -> int:
    text = query.values.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 11 and low <= int(text) <= high):
        return query.instead(default, name, f"must be between {low} and {high}")
    return int(text)


def _filters(query: bodies.Body) -> list[Callable[[Leg], bool]]:
    """Return what a leg has to fulfil."""
    status, conversation = query.choice("status", STATUSES), query.values.get("conversation_uuid", "")
    start, end = _moment(query, "date_start"), _moment(query, "date_end")
    return [
        lambda leg: status in ("", shown.status(leg)),
        lambda leg: conversation in ("", leg.conversation),
        lambda leg: start is None or leg.created >= start,
        lambda leg: end is None or leg.created <= end,
    ]


def _moment(query: bodies.Body, name: str) -> datetime | None:
    text = query.values.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        query.refuse(name, "must be a date and time in ISO 8601 form")
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
