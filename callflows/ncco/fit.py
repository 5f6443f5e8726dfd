"""Knows how a document that a call's values spoilt is brought within Vonage's limits: what is cut, what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from callflows.ncco.actions import TALK_CHARACTERS
from callflows.ncco.headers import HEADERS_BYTES, size
from callflows.ncco.problems import Problem
from callflows.ncco.template import fill, longest_value, variables

USER_TO_USER = "User-to-User"
USER_TO_USER_CHARACTERS = 256

_TAG = re.compile(r"<[^<>]*>")
_ELEMENT = re.compile(r"<(/?)([\w:-]+)[^<>]*?(/?)>")
# What is never cut apart: a tag, an entity of XML, a letter with its accents.
_UNIT = re.compile(r"<[^<>]*>|&#?\w{1,10};|.[\u0300-\u036f\ufe00-\ufe0f\u200d]*", re.DOTALL)
_SENTENCE = re.compile(r"[.!?…][\"'”’)]*(?=\s|$)|[。！？]")
_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")

Notes = list[str]


def fitted(template: dict[str, Any], filled: dict[str, Any]) -> tuple[dict[str, Any] | None, Notes]:
    """Return an action that Vonage takes, and in sentences what was cut or left out; None: nothing is left of it.

    ``template`` is the action before its variables were filled: what these spoilt is given up first.
    """
    if filled["action"] == "talk" and isinstance(filled.get("text"), str):
        return _talk(filled)
    if filled["action"] == "connect" and isinstance(filled.get("endpoint"), list):
        return _connect(template, filled)
    return filled, []


def spoken(text: str) -> str:
    """Return what counts of a talk's text: all but its SSML tags."""
    return _TAG.sub("", text)


# Talk


def _talk(action: dict[str, Any]) -> tuple[dict[str, Any] | None, Notes]:
    text = action["text"]
    if not spoken(text).strip() and "<audio" not in text:
        return None, ["its text is empty in this call, so that nothing is said"]
    if (length := len(spoken(text))) <= TALK_CHARACTERS:
        return action, []
    short = shortened(text)
    said = f"its text of {length} characters was cut to {len(spoken(short))}, at most {TALK_CHARACTERS} are allowed"
    return {**action, "text": short}, [said]


def shortened(text: str) -> str:
    """Return a text within the limit: cut after a sentence, else after a word, and never inside a tag; SSML stays
    balanced. A cut that would cost more than half of the text goes through a word instead.
    """
    if (end := _end(text)) == len(text):
        return text
    # Dots and spaces inside tags are none of the text's.
    sentences = [found.end() for found in _SENTENCE.finditer(_without_tags(text, " ")) if found.end() <= end]
    plain = _without_tags(text, "<")
    words = [place for place in range(1, end + 1) if plain[place : place + 1].isspace()]
    cut = next((place for place in (*sentences[-1:], *words[-1:]) if 2 * place >= end), end)
    return _closed(text[:cut].rstrip())


def _without_tags(text: str, filler: str) -> str:
    return _TAG.sub(lambda tag: filler * len(tag[0]), text)


def _end(text: str) -> int:
    """Return where the limit is reached."""
    count = 0
    for unit in _UNIT.finditer(text):
        count += 0 if _TAG.fullmatch(unit[0]) else len(unit[0])
        if count > TALK_CHARACTERS:
            return unit.start()
    return len(text)


def _closed(text: str) -> str:
    """Return SSML with the elements closed that a cut left open; other text as it is."""
    if "<speak" not in text:
        return text
    open_elements: list[str] = []
    for closing, name, empty in _ELEMENT.findall(text):
        if closing and name in open_elements:
            del open_elements[len(open_elements) - 1 - open_elements[::-1].index(name) :]
        elif not closing and not empty:
            open_elements.append(name)
    return text + "".join(f"</{name}>" for name in reversed(open_elements))


# Connect


def _connect(template: dict[str, Any], filled: dict[str, Any]) -> tuple[dict[str, Any], Notes]:
    before, endpoint = template["endpoint"][0], dict(filled["endpoint"][0])
    notes = [*_socket_headers(before, endpoint), *_sip_headers(before, endpoint)]
    action = {**filled, "endpoint": [endpoint]}
    shown = action.get("from", "")
    if shown != template.get("from", "") and not _can_be_shown(shown, endpoint.get("type")):
        del action["from"]
        notes.append(f"the number shown was left out: {shown[:20]!r} is none")
    return action, notes


def _can_be_shown(shown: str, endpoint: object) -> bool:
    return bool(_NUMBER.fullmatch(shown)) if endpoint == "phone" else bool(shown.strip())


def _socket_headers(before: Mapping[str, Any], endpoint: dict[str, Any]) -> Iterator[str]:
    """Leave out whole headers until the rest fits, the largest first: that costs the fewest, and never an identifier
    is cut. Those without a value of the call stay as long as there are others.
    """
    headers = endpoint.get("headers")
    if endpoint.get("type") != "websocket" or not isinstance(headers, dict):
        return
    kept = dict(headers)
    while (length := size(kept)) > HEADERS_BYTES and kept:
        from_call = [name for name in kept if kept[name] != before["headers"].get(name)]
        largest = max(from_call or kept, key=lambda name: size({name: kept[name]}))
        del kept[largest]
        yield f"header {largest!r} was left out: with it they are {length} bytes, at most {HEADERS_BYTES} are allowed"
    endpoint["headers"] = kept


def _sip_headers(before: Mapping[str, Any], endpoint: dict[str, Any]) -> Iterator[str]:
    """Leave out SIP headers whose value the call made something that none can be."""
    if endpoint.get("type") != "sip":
        return
    for group in ("headers", "standardHeaders"):
        headers = endpoint.get(group)
        if isinstance(headers, dict) and headers != before.get(group):
            wrong = {name for name, value in headers.items() if value != before[group][name] and _no_sip(name, value)}
            endpoint[group] = {name: value for name, value in headers.items() if name not in wrong}
            yield from (f"SIP header {name!r} was left out: {_no_sip(name, headers[name])}" for name in sorted(wrong))


def _no_sip(name: str, value: object) -> str:
    """Return why a value can be no SIP header's; empty when it can."""
    if not isinstance(value, str):
        return ""
    if name == USER_TO_USER and len(value) > USER_TO_USER_CHARACTERS:
        return f"its value has {len(value)} characters, at most {USER_TO_USER_CHARACTERS} are allowed"
    return "" if _PRINTABLE.fullmatch(value) else "its value is empty or more than printable ASCII"


# Before there is a call


def excesses(template: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is too long in an action: an error when it always is, a warning when only long values make it so."""
    if template["action"] == "talk" and isinstance(template.get("text"), str):
        yield from _too_long("$[0].text", TALK_CHARACTERS, "characters", _lengths(template))
    endpoint = (template.get("endpoint") or [None])[0] if isinstance(template.get("endpoint"), list) else None
    if isinstance(endpoint, dict) and isinstance(endpoint.get("headers"), dict) and endpoint.get("type") == "websocket":
        yield from header_excess(endpoint["headers"], "$[0].endpoint[0].headers")


def header_excess(headers: Mapping[str, Any], path: str = "headers") -> Iterator[Problem]:
    """Yield that the headers of a socket are too long, or would be with the longest values."""
    least, most = (size(fill(dict(headers), values)) for values in ({}, _longest(headers)))
    yield from _too_long(path, HEADERS_BYTES, "bytes as JSON", (least, most))


def _lengths(talk: dict[str, Any]) -> tuple[int, int]:
    """Return how long a talk is with the shortest and with the longest values."""
    least, most = (len(spoken(fill(talk, values)["text"])) for values in ({}, _longest(talk["text"])))
    return least, most


def _longest(value: Any) -> dict[str, str]:
    return {name: "x" * (longest_value(name) or 0) for name in variables(value)}


def _too_long(path: str, limit: int, unit: str, lengths: tuple[int, int]) -> Iterator[Problem]:
    least, most = lengths
    if least > limit:
        yield Problem(path, "error", f"{least} {unit}, at most {limit} allowed")
    elif most > limit:
        then = "is cut at a sentence or word" if limit == TALK_CHARACTERS else "leaves its largest headers out"
        message = f"up to {most} {unit} with the longest values, at most {limit} allowed: a call beyond that {then}"
        yield Problem(path, "warning", message)
