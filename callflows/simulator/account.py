"""Knows an account at the fake Vonage: its applications with their webhooks and keys, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin

Method = Literal["GET", "POST"]
# The demo's.
APPLICATION = "00000000-0000-4000-8000-000000000000"
WebhookName = Literal["answer_url", "fallback_answer_url", "event_url"]

REGIONS = {
    "na-east": "https://api-us-3.vonage.com",
    "na-west": "https://api-us-4.vonage.com",
    "eu-west": "https://api-eu-3.vonage.com",
    "eu-east": "https://api-eu-4.vonage.com",
    "apac-sng": "https://api-ap-3.vonage.com",
    "apac-australia": "https://api-ap-4.vonage.com",
}
# Methods where an application names none, and milliseconds that Vonage waits by default.
_METHODS: dict[WebhookName, Method] = {"answer_url": "GET", "fallback_answer_url": "GET", "event_url": "POST"}
_CONNECT = 1000
_SOCKET: dict[WebhookName, int] = {"answer_url": 5000, "fallback_answer_url": 5000, "event_url": 10000}


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of an application: where it is, how it is asked, and how many seconds Vonage waits."""

    address: str
    method: Method
    connect_seconds: float
    socket_seconds: float


@dataclass(eq=False, slots=True)
class Application:
    """One application; ``document`` is what the Applications API shows of it, without its links.

    A changed application is a new document: whoever needs a webhook reads it from here each time.
    """

    id: str
    document: Mapping[str, Any]

    @classmethod
    def at(cls, id: str, name: str, base: str, public_key: str = "", method: Method = "POST") -> Application:
        """Return an application whose webhooks are at a server of ours."""
        paths = {"answer_url": "answer", "fallback_answer_url": "fallback", "event_url": "events"}
        hooks = {
            member: {"address": f"{base.rstrip('/')}/webhooks/{path}", "http_method": method}
            for member, path in paths.items()
        }
        voice = {"webhooks": hooks, "signed_callbacks": True}
        return cls(id, {"name": name, "keys": {"public_key": public_key}, "capabilities": {"voice": voice}})

    @property
    def name(self) -> str:
        return str(self.document.get("name", ""))

    @property
    def public_key(self) -> str:
        """PEM text; empty for none."""
        return str(_object(self.document.get("keys")).get("public_key", ""))

    @property
    def has_voice(self) -> bool:
        return "voice" in _object(self.document.get("capabilities"))

    @property
    def signed(self) -> bool:
        """Whether its webhooks are signed: they are unless it says no."""
        return self._voice.get("signed_callbacks") is not False

    @property
    def region_url(self) -> str:
        """The host where its calls live; empty where it chose no region."""
        return REGIONS.get(str(self._voice.get("region", "")), "")

    def hook(self, name: WebhookName) -> Hook | None:
        """Return one of the webhooks, with what the application leaves out as Vonage fills it in; None: not set."""
        found = _object(_object(self._voice.get("webhooks")).get(name))
        if not found.get("address"):
            return None
        method: Method = found.get("http_method") or _METHODS[name]
        connect, socket = found.get("connect_timeout") or _CONNECT, found.get("socket_timeout") or _SOCKET[name]
        return Hook(str(found["address"]), method, connect / 1000, socket / 1000)

    @property
    def _voice(self) -> Mapping[str, Any]:
        return _object(_object(self.document.get("capabilities")).get("voice"))


@dataclass(eq=False, slots=True)
class Number:
    """One number. ``application`` is the linked one's id; ``forward`` (sip or tel, goal) takes precedence over it."""

    msisdn: str
    country: str = "GB"
    type: str = "landline"
    features: tuple[str, ...] = ("VOICE",)
    application: str = ""
    forward: tuple[str, str] | None = None
    # Members of the Numbers API that mean nothing to calls, such as moHttpUrl.
    other: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Account:
    """One account: applications by id, and its own numbers and those that it could rent, by msisdn."""

    api_key: str = "abcd1234"
    api_secret: str = "fake-api-secret"
    signature_secret: str = "fake-signature-secret-of-at-least-32-bytes"
    applications: dict[str, Application] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    for_sale: dict[str, Number] = field(default_factory=dict)

    def find(self, application_id: str) -> Application | None:
        """Return an application by its id, with or without dashes."""
        wanted = plain_id(application_id)
        return next((each for key, each in self.applications.items() if plain_id(key) == wanted), None)

    def number_of(self, application: Application) -> str:
        """Return a number of an application; "" when it has none."""
        return next((each.msisdn for each in self.numbers.values() if each.application == application.id), "")

    def answers(self, msisdn: str) -> Application | None:
        """Return the application that calls to a number of the account reach; None when it is not linked."""
        number = self.numbers.get(msisdn.lstrip("+"))
        return self.find(number.application) if number and number.application and not number.forward else None


def application(base: str, method: Method, addresses: Mapping[WebhookName, str] | None = None) -> Application:
    """Return an application at ``base``, unsigned: with our webhooks, or with those of ``addresses`` alone.

    An address may be a path. Without an event URL nobody hears of events, without a fallback URL none is asked.
    """
    ours: dict[WebhookName, str] = {
        "answer_url": "webhooks/answer",
        "event_url": "webhooks/events",
        "fallback_answer_url": "webhooks/fallback",
    }
    hooks = {
        name: {"address": urljoin(f"{base}/", address), "http_method": "POST" if name == "event_url" else method}
        for name, address in (addresses or ours).items()
    }
    voice = {"webhooks": hooks, "signed_callbacks": False, "region": "eu-west"}
    return Application(APPLICATION, {"name": "simulate_call", "capabilities": {"voice": voice}})


def plain_id(id: str) -> str:
    """Ids of applications are shown with dashes, old ones without."""
    return id.replace("-", "").lower()


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
