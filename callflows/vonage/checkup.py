"""Knows what keeps callers of a Vonage application from reaching us, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from callflows.vonage import keys
from callflows.vonage.applications import (
    ANSWER,
    EVENT,
    FALLBACK,
    bad_times,
    host,
    public_key,
    same_id,
    voice,
    wanted,
    webhooks,
)
from callflows.vonage.numbers import application_of, digits_of, forwarded, takes_calls

NAMES = {ANSWER: "answer URL", FALLBACK: "fallback URL", EVENT: "event URL"}
# Milliseconds below which Vonage takes no socket_timeout.
LEAST_SOCKET_TIME = 1000
Level = Literal["ok", "warning", "wrong"]
# Returns the command line of a subcommand of `manage.py vonage`.
Run = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``wrong`` keeps callers out or is unsafe; ``warning`` works, with a catch."""

    topic: str
    level: Level
    text: str
    to_do: str = ""

    def as_json(self) -> dict[str, str]:
        return {"topic": self.topic, "level": self.level, "text": self.text, "to_do": self.to_do}


@dataclass(frozen=True, slots=True)
class Known:
    """A number as the admin has it; ``application`` is its application's id."""

    digits: str
    application: str = ""
    flow: str = ""
    published: bool = False


def public_url(base: str) -> Finding:
    if urlsplit(base).scheme == "https":
        return Finding("PUBLIC_URL", "ok", f"{base} uses https")
    text = f"{base} does not use https: callers' words travel readable, and audio sockets need wss"
    return Finding(
        "PUBLIC_URL", "wrong", text, "set PUBLIC_URL to the https address under which Vonage reaches this server"
    )


def addresses(application: dict[str, Any], base: str, run: Run) -> Iterator[Finding]:
    """Yield what is to be said of the three webhooks."""
    ours, found = wanted(application, base), webhooks(application)
    for name, topic in NAMES.items():
        yield _address(topic, ours[name], found[name], run)
        yield from _times(name, topic, found[name], run)
    yield from _same_host(found, base, run)


def _address(topic: str, ours: dict[str, str], found: dict[str, Any], run: Run) -> Finding:
    expected, got = ours["address"], str(found.get("address") or "")
    method = str(found.get("http_method") or "")
    if got.rstrip("/") != expected.rstrip("/"):
        text = f"expected {expected}, got {got or 'none'}"
        return Finding(topic, "wrong", text, run("update-urls"))
    if method != ours["http_method"]:
        text = (
            f"{got} by {method or 'an unnamed method'}: it works, but the signature covers a POST's content for certain"
        )
        return Finding(topic, "warning", text, run("update-urls"))
    return Finding(topic, "ok", f"{got} by {method}")


def _times(name: str, topic: str, found: dict[str, Any], run: Run) -> Iterator[Finding]:
    for member, (low, high) in bad_times(name, found).items():
        got = found[member]
        within_vonages = member == "socket_timeout" and isinstance(got, int) and LEAST_SOCKET_TIME <= got <= high
        text = f"{member} is {got}, expected {low} to {high} ms"
        if within_vonages:
            text += ": Vonage takes it, but an answer of ours may need 1,500"
        yield Finding(topic, "warning" if within_vonages else "wrong", text, run("update-urls"))


def _same_host(found: dict[str, dict[str, Any]], base: str, run: Run) -> Iterator[Finding]:
    fallback = host(found[FALLBACK].get("address"))
    if fallback and fallback in (host(base), host(found[ANSWER].get("address"))):
        text = f"it is on the answer URL's host, {fallback}: when that is away, callers are cut off"
        to_do = (
            f"{run('fallback-file FILE')}, host the file elsewhere, then {run('update-urls --fallback-url ADDRESS')}"
        )
        yield Finding(NAMES[FALLBACK], "warning", text, to_do)


def signing(application: dict[str, Any], api_key: str, secrets_of: Collection[str], run: Run) -> Iterator[Finding]:
    """Yield whether Vonage signs, and whether we can check it. ``secrets_of``: api_keys whose secrets we have."""
    if voice(application).get("signed_callbacks") is True:
        yield Finding("signing", "ok", "Vonage signs its webhooks")
    else:
        text = "Vonage does not sign its webhooks: whoever knows the addresses can send them"
        if secrets_of:
            text = "Vonage does not sign its webhooks, and this server refuses unsigned ones: every call fails"
        yield Finding("signing", "wrong", text, run("update-urls"))
    topic, to_do = "signature secret", f"set SIGNATURE_SECRETS={api_key}:SECRET, with the account's signature secret"
    if api_key in secrets_of:
        yield Finding(topic, "ok", f"SIGNATURE_SECRETS has one for {api_key}")
    elif secrets_of:
        text = f"SIGNATURE_SECRETS has none for {api_key}: all webhooks of this account are refused"
        yield Finding(topic, "wrong", text, f"{to_do}, beside those that are there")
    else:
        yield Finding(topic, "wrong", "SIGNATURE_SECRETS is not set: webhooks are not checked", to_do)


def private_key(application: dict[str, Any], variable: str, value: str) -> Finding:
    """Return whether ``value``, the key to which the environment variable of this name leads, is the application's."""
    topic = "private key"
    if not variable:
        to_do = "put the key (PEM) into an environment variable, and the variable's name into the application's form"
        return Finding(topic, "wrong", "the admin names no variable: calls cannot be controlled", to_do)
    to_do = f"export {variable}_FILE=FILE, the file that create-application wrote; a lost key is not shown again"
    if not value.strip():
        return Finding(
            topic, "wrong", f"{variable} and {variable}_FILE are not set here: calls cannot be controlled", to_do
        )
    if problem := keys.problem(value, public_key(application)):
        return Finding(topic, "wrong", f"what {variable} has {problem}", to_do)
    return Finding(topic, "ok", f"{variable} fits the application's public key")


def account(api_key: str, in_admin: str) -> Iterator[Finding]:
    """Yield whether the admin has the application under the account that knows it."""
    if in_admin and in_admin != api_key:
        text = f"the admin says {in_admin}, but the account of VONAGE_API_KEY, {api_key}, has the application"
        yield Finding("API key", "wrong", text, f"in the admin, change the application's API key to {api_key}")


def linked_numbers(
    application_id: str, linked: Iterable[dict[str, Any]], known: dict[str, Known], run: Run
) -> Iterator[Finding]:
    """Yield what is to be said of each number that Vonage links to the application."""
    found = False
    for number in linked:
        found = True
        yield _number(number, known.get(digits_of(number)), application_id, run)
    if not found:
        yield Finding("numbers", "wrong", "no number is linked to the application: nobody can call", run("link NUMBER"))


def _number(number: dict[str, Any], known: Known | None, application_id: str, run: Run) -> Finding:
    digits = digits_of(number)
    topic = f"number {digits}"
    if goal := forwarded(number):
        text = f"its calls are forwarded to {goal}, which takes precedence over the application"
        return Finding(topic, "wrong", text, run(f"link {digits}"))
    if not takes_calls(number):
        return Finding(topic, "warning", "it is linked, but not for calls: it has no VOICE feature")
    if known is None or not same_id(known.application, application_id):
        text = "is unknown to the admin" if known is None else "stands in the admin under another application, or none"
        return Finding(topic, "wrong", f"it is linked, but {text}", run("numbers --sync"))
    if not known.published:
        text = f"its flow {known.flow} is not published" if known.flow else "no flow answers it"
        to_do = "in the admin, publish the flow" if known.flow else "in the admin, choose a flow for the number"
        return Finding(topic, "wrong", f"{text}: callers get the safe NCCO", to_do)
    return Finding(topic, "ok", f"linked, and answered by the flow {known.flow}")


def unlinked_number(digits: str, number: dict[str, Any] | None, run: Run) -> Finding:
    """Return what is to be said of a number that the admin has under the application, and Vonage does not."""
    topic = f"number {digits}"
    if number is None:
        text = "it stands in the admin under this application, but the account does not have it"
        return Finding(topic, "wrong", text, f"{run(f'buy {digits}')}, or delete it in the admin")
    other = application_of(number)
    text = f"Vonage links it to another application, {other}" if other else "Vonage links it to no application"
    return Finding(topic, "wrong", f"it stands in the admin under this application, but {text}", run(f"link {digits}"))
