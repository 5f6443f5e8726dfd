"""Knows /v2/applications: the account's applications, made, read, replaced and deleted by key and secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from callflows.simulator.account import Account, Application, plain_id
from callflows.simulator.knobs import Knobs
from callflows.simulator.rest.credentials import is_the_account
from callflows.simulator.rest.documents import Broken, NotKnown, checked
from callflows.simulator.rest.messages import JSON, Refused, Reply, Request, as_json
from callflows.simulator.rest.refusals import Problems

# A private and a public key, PEM text.
Pair = tuple[str, str]
PATH = "/v2/applications"
CONVERSATIONS_HOURS = 48


@dataclass(eq=False, slots=True)
class Applications:
    """The Applications API of one account. ``new_pair`` makes keys for who brings none."""

    account: Account
    knobs: Knobs
    new_id: Callable[[], str]
    new_pair: Callable[[], Pair]

    def answer(self, request: Request) -> Reply:
        """Answer a request to /v2/applications..."""
        refusals = Problems(self.new_id())
        if not is_the_account(request, self.account):
            return refusals.status(401)
        if not _accepts_json(request):
            return refusals.status(406)
        if request.method in ("POST", "PUT") and request.content_type != JSON:
            return refusals.status(415)
        try:
            return self._route(request, refusals)
        except Refused as refused:
            return refused.reply

    def _route(self, request: Request, refusals: Problems) -> Reply:
        match request.method, request.path[2:]:
            case "GET", ():
                return self._list(request, refusals)
            case "POST", ():
                return self._create(request, refusals)
            case ("GET" | "PUT" | "DELETE") as method, (id,) if id:
                found = self.account.find(id)
                if found is None:
                    return refusals.not_found(id)
                if method == "DELETE":
                    return self._delete(found)
                return self._update(request, found, refusals) if method == "PUT" else as_json(200, _shown(found))
            case _, () | (_,) if request.path[2:] != ("",):
                return refusals.status(405)
        return refusals.not_found("/".join(request.path[2:]))

    def _list(self, request: Request, refusals: Problems) -> Reply:
        size, number = (_whole(request.query.get(name, default)) for name, default in _PAGE)
        wrong = [] if 1 <= size <= 100 else [("page_size", "must be between 1 and 100")]
        wrong += [] if number >= 1 else [("page", "must be 1 or more")]
        if wrong:
            return refusals.invalid(wrong, "/application#list-validation")
        found = list(self.account.applications.values())
        pages = max(1, -(-len(found) // size))
        embedded = [_shown(each) for each in found[(number - 1) * size : number * size]]
        return as_json(
            200,
            {
                "page_size": size,
                "page": number,
                "total_items": len(found),
                "total_pages": pages,
                "_embedded": {"applications": embedded},
                "_links": _links(size, number, pages),
            },
        )

    def _create(self, request: Request, refusals: Problems) -> Reply:
        body = _body(request, refusals, updates=False)
        keys, private = dict(body.get("keys", {})), ""
        if "public_key" not in keys:
            private, keys["public_key"] = self.new_pair()
        made = Application(self.new_id(), self._filled({"privacy": {"improve_ai": False}, **body, "keys": keys}))
        self.account.applications[made.id] = made
        return as_json(201, _shown(made, private))

    def _update(self, request: Request, found: Application, refusals: Problems) -> Reply:
        """Replace the whole application: what the body leaves out is gone, but for the key."""
        body = _body(request, refusals, updates=True)
        keys, private = dict(body.get("keys", {})), ""
        if "public_key" not in keys and self.knobs.put_keys_omitted == "keep":
            keys["public_key"] = found.public_key
        elif "public_key" not in keys:
            private, keys["public_key"] = self.new_pair()
        found.document = self._filled({**body, "keys": keys})
        return as_json(200, _shown(found, private))

    def _delete(self, found: Application) -> Reply:
        """Links of numbers vanish with the application, and its tokens hold no more."""
        self.account.applications.pop(found.id)
        for number in self.account.numbers.values():
            if plain_id(number.application) == plain_id(found.id):
                number.application = ""
        return Reply(204)

    def _filled(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return an application with its own defaults where it says nothing."""
        found = {name: deepcopy(value) for name, value in body.items() if name != "id"}
        capabilities = found.setdefault("capabilities", {})
        if "voice" in capabilities:
            persistence = self.knobs.leg_persistence_default
            defaults = {"signed_callbacks": True, "conversations_ttl": CONVERSATIONS_HOURS}
            capabilities["voice"] = {**defaults, "leg_persistence_time": persistence, **capabilities["voice"]}
        return found


_PAGE = (("page_size", "10"), ("page", "1"))


def _body(request: Request, refusals: Problems, *, updates: bool) -> dict[str, Any]:
    try:
        body = request.json()
        wrong = checked(body, updates=updates)
    except ValueError as error:
        raise Refused(refusals.bad(f"The body is no JSON: {error}")) from None
    except NotKnown as error:
        raise Refused(refusals.bad(str(error))) from None
    except Broken:
        raise Refused(refusals.status(500)) from None
    if wrong:
        raise Refused(refusals.invalid(wrong))
    return dict(body)


def _shown(found: Application, private_key: str = "") -> dict[str, Any]:
    document = {"id": found.id, **deepcopy(dict(found.document))}
    if private_key:
        document["keys"] = {**document.get("keys", {}), "private_key": private_key}
    return {**document, "_links": {"self": {"href": f"{PATH}/{found.id}"}}}


def _links(size: int, number: int, pages: int) -> dict[str, dict[str, str]]:
    def link(page: int | None) -> dict[str, str]:
        query = {"page_size": size} if page is None else {"page_size": size, "page": page}
        return {"href": f"{PATH}?{urlencode(query)}"}

    links = {"self": link(number), "first": link(None), "last": link(pages)}
    if number > 1:
        links["prev"] = link(number - 1)
    if number < pages:
        links["next"] = link(number + 1)
    return links


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _accepts_json(request: Request) -> bool:
    accepted = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "*/*").split(",")]
    return any(each in (JSON, "application/*", "*/*", "") for each in accepted)
