"""Knows how each of Vonage's APIs says no: three families of error bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from callflows.simulator.rest.messages import JSON, Reply, as_json

# What is wrong with a body: the member by its path, and why.
Wrong = tuple[str, str]
PAGES = "https://developer.nexmo.com/api-errors"
NUMBERS_JSON = f"{JSON};charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Voice:
    """Refusals of /v1/calls and /v1/files, in the shape that the knob chooses."""

    shape: Literal["error_title", "title"] = "error_title"

    def status(self, status: int) -> Reply:
        """Return a refusal that says nothing but its status."""
        words = HTTPStatus(status)
        if self.shape == "title":
            kind = words.phrase.lower().replace(" ", "-")
            return as_json(status, {"type": f"{PAGES}#{kind}", "title": words.phrase, "detail": words.description})
        return as_json(status, {"type": words.name, "error_title": words.phrase})

    def invalid(self, wrong: Iterable[Wrong]) -> Reply:
        """Return the refusal of a body or query."""
        found = [{"reason": reason, "name": name} for name, reason in wrong]
        if self.shape == "title":
            more = {"detail": "The request failed due to validation errors", "invalid_parameters": found}
            return as_json(400, {"type": f"{PAGES}#payload-validation", "title": "Bad Request", **more})
        return as_json(400, {"type": 400, "title": "Bad Request", "invalid_parameters": found})


_PROBLEMS: Mapping[int, tuple[str, str, str]] = {
    401: ("#unauthorized", "Invalid credentials supplied", "You did not provide correct credentials."),
    405: ("#wrong-verb", "Method Not Allowed", "This verb is not allowed for this resource"),
    406: ("#accept-header", "Not Acceptable", "Only application/json can be answered: check the Accept header"),
    415: ("#content-type-header", "Unsupported Media Type", "Only application/json is taken: check Content-Type"),
    500: ("#server-error", "Internal Server Error", "An unexpected error occurred"),
}
FAILED = "The request failed due to validation errors"


@dataclass(frozen=True, slots=True)
class Problems:
    """Refusals of /v2/applications (RFC 7807); ``instance`` is the id of this one."""

    instance: str

    def status(self, status: int) -> Reply:
        suffix, title, detail = _PROBLEMS[status]
        return self._reply(status, suffix, title, detail)

    def not_found(self, id: str) -> Reply:
        return self._reply(404, "#not-found", "Not Found", f"ID '{id}' does not exist, or you do not have access")

    def invalid(self, wrong: Iterable[Wrong], suffix: str = "/application#payload-validation") -> Reply:
        found = [{"name": name, "reason": reason} for name, reason in wrong]
        return self._reply(400, suffix, "Bad Request", FAILED, invalid_parameters=found)

    def bad(self, detail: str) -> Reply:
        """Return the refusal of a body that does not come as far as having parameters."""
        return self._reply(400, "/application#payload-validation", "Bad Request", detail)

    def _reply(self, status: int, suffix: str, title: str, detail: str, **more: Any) -> Reply:
        whole = {"type": f"{PAGES}{suffix}", "title": title, "detail": detail, "instance": self.instance, **more}
        return as_json(status, whole)


def of_numbers(status: int, label: str) -> Reply:
    """Return a refusal of the Numbers API: its code stands in the body too, as text."""
    return as_json(status, {"error-code": str(status), "error-code-label": label}, NUMBERS_JSON)


def missing(member: str) -> Reply:
    """Return the refusal of a form in which a member was not seen: a shape of its own."""
    return as_json(400, {member: "Is required."}, NUMBERS_JSON)
