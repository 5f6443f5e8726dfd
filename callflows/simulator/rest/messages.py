"""Knows one request to the fake REST API and its reply, without a connection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: ``path`` decoded and cut at its slashes, header names in small letters."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def at(cls, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
        """Return the request for a target such as ``/v1/calls?page_size=10``."""
        path, _, query = target.partition("?")
        parts = tuple(unquote(each) for each in path.removeprefix("/").split("/"))
        # Of a parameter that comes twice, the last one counts.
        found = dict(parse_qsl(query, keep_blank_values=True))
        return cls(method, parts, found, {name.lower(): value for name, value in (headers or {}).items()}, body)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON has it. Raises ValueError."""
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def form(self) -> dict[str, str]:
        """Return the body as form members; what is no form has none."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        except ValueError:
            return {}

    def members(self) -> dict[str, str]:
        """Return the parameters of the query and of the form; the form's count where both have one."""
        return {**self.query, **self.form()}


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()

    def json(self) -> Any:
        return json.loads(self.body)


def as_json(status: int, value: object, content_type: str = JSON) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(status, json.dumps(value, ensure_ascii=False).encode(), (("Content-Type", content_type),))


class Refused(Exception):
    """A request that is not carried out, and how the API says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply
