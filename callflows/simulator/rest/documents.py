"""Knows which documents the Applications API takes: every member by its name, and what it may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from callflows.simulator.account import REGIONS
from callflows.simulator.rest.refusals import Wrong

_HOOK = ("http_method", "address", "socket_timeout", "connect_timeout")
_HOOKS = ("answer_url", "fallback_answer_url", "event_url")
# `payment_enabled` and `payments` are in one of the SDKs only.
_VOICE = (
    *("webhooks", "signed_callbacks", "conversations_ttl", "leg_persistence_time", "region"),
    *("payment_enabled", "payments"),
)
_OTHERS = ("rtc", "messages", "verify", "vbc", "video", "network_apis", "meetings", "bulk")
_MANUAL = "https://developer.nexmo.com/api/application.v2"
_TOP = ("name", "capabilities", "keys", "privacy")
# Milliseconds.
_CONNECT, _SOCKET, _EVENT_SOCKET = (300, 1000), (1000, 5000), (1000, 10000)


class NotKnown(Exception):
    """A member that the API does not know; it says so in a sentence, not by a parameter."""


class Broken(Exception):
    """A body on which the API itself fails."""


def checked(document: Any, *, updates: bool = False) -> list[Wrong]:
    """Return what is wrong with an application. Raises NotKnown and Broken.

    An update may hold the ``id``: SDKs send it along, and it changes nothing.
    """
    if not isinstance(document, dict):
        return [("", "must be an object")]
    # An empty list, as some languages write an empty object.
    if isinstance(document.get("capabilities"), list):
        raise Broken
    _known(document, (*_TOP, "id") if updates else _TOP)
    return [*_name(document), *_keys(document), *_privacy(document), *_capabilities(document)]


def _known(value: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in value:
        if name not in names:
            listed = ", ".join(f'"{each}"' for each in names)
            known = f"{len(names)} known properties: {listed}]"
            raise NotKnown(f"{name} is not a known json property ({known}) : please see {_MANUAL}")


def _name(document: Mapping[str, Any]) -> Iterator[Wrong]:
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        yield "name", "is required"


def _keys(document: Mapping[str, Any]) -> Iterator[Wrong]:
    keys = document.get("keys", {})
    if not isinstance(keys, dict):
        yield "keys", "must be an object"
        return
    _known(keys, ("public_key",))
    if "public_key" in keys and not _is_key(keys["public_key"]):
        yield "keys.public_key", "must be an RSA public key in PEM form"


def _is_key(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(load_pem_public_key(text.encode()), RSAPublicKey)
    except (ValueError, UnsupportedAlgorithm):
        return False


def _privacy(document: Mapping[str, Any]) -> Iterator[Wrong]:
    privacy = document.get("privacy", {})
    if not isinstance(privacy, dict):
        yield "privacy", "must be an object"
        return
    _known(privacy, ("improve_ai",))
    yield from _flag(privacy, "improve_ai", "privacy.improve_ai")


def _capabilities(document: Mapping[str, Any]) -> Iterator[Wrong]:
    found = document.get("capabilities", {})
    if not isinstance(found, dict):
        yield "capabilities", "must be an object"
        return
    _known(found, ("voice", *_OTHERS))
    for name, value in found.items():
        if not isinstance(value, dict):
            yield f"capabilities.{name}", "must be an object"
        elif name == "voice":
            yield from _voice(value, "capabilities.voice")
    rtc = found.get("rtc")
    hooks = rtc.get("webhooks") if isinstance(rtc, dict) else None
    if isinstance(hooks, dict) and "answer_url" in hooks:
        yield "capabilities.rtc.webhooks.answer_url", "is not allowed"


def _voice(voice: Mapping[str, Any], path: str) -> Iterator[Wrong]:
    _known(voice, _VOICE)
    yield from _flag(voice, "signed_callbacks", f"{path}.signed_callbacks")
    # Hours: 1 to 9000 by the documents; 0, for ever, by two SDKs.
    yield from _range(voice, "conversations_ttl", path, (0, 9000))
    yield from _range(voice, "leg_persistence_time", path, (1, 31))
    if "region" in voice and voice["region"] not in tuple(REGIONS):
        yield f"{path}.region", f"must be one of: {', '.join(REGIONS)}"
    hooks = voice.get("webhooks", {})
    if not isinstance(hooks, dict):
        yield f"{path}.webhooks", "must be an object"
        return
    _known(hooks, _HOOKS)
    for name, hook in hooks.items():
        if isinstance(hook, dict):
            yield from _hook(hook, f"{path}.webhooks.{name}", _EVENT_SOCKET if name == "event_url" else _SOCKET)
        else:
            yield f"{path}.webhooks.{name}", "must be an object"


def _hook(hook: Mapping[str, Any], path: str, socket: tuple[int, int]) -> Iterator[Wrong]:
    _known(hook, _HOOK)
    address = hook.get("address")
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        yield f"{path}.address", "must be an http or https address"
    if "http_method" in hook and hook["http_method"] not in ("GET", "POST"):
        yield f"{path}.http_method", "must be one of: GET, POST"
    yield from _range(hook, "connect_timeout", path, _CONNECT)
    yield from _range(hook, "socket_timeout", path, socket)


def _range(values: Mapping[str, Any], name: str, path: str, within: tuple[int, int]) -> Iterator[Wrong]:
    value, (low, high) = values.get(name, within[0]), within
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        yield f"{path}.{name}", f"must be between {low} and {high}"


def _flag(values: Mapping[str, Any], name: str, path: str) -> Iterator[Wrong]:
    if not isinstance(values.get(name, True), bool):
        yield path, "must be true or false"
