"""Knows the endpoints that a connect action can reach."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from callflows.ncco.actions import Filled, Url
from callflows.ncco.headers import too_long
from callflows.ncco.option import Options, option, shape
from callflows.ncco.problems import OPENAPI, SDK

ContentType = Literal["audio/l16;rate=8000", "audio/l16;rate=16000", "audio/l16;rate=24000"]
Number = Annotated[str, shape(r"^[1-9][0-9]{6,14}$", "7 to 15 digits that begin with the country code")]
Ascii = Annotated[str, shape(r"^[\x20-\x7e]+$", "printable ASCII characters")]


def _headers(headers: dict[str, Any]) -> dict[str, Any]:
    if reason := too_long(headers):
        raise PydanticCustomError("headers_long", "{reason}", {"reason": reason})
    return headers


class OnAnswer(Options):
    """What the callee hears before both are connected."""

    url: Url = option("Address of the NCCO that the callee gets first; onAnswer needs it.", ..., label="Whisper from")
    ringback_tone: Url = option("What the caller hears meanwhile.", label="Tone meanwhile")
    ringback: Url = option("Old name of ringbackTone.", form=False, old="expected ringbackTone, its name now")


class Phone(Options):
    """A telephone."""

    type: Literal["phone"] = option("Kind of endpoint.", ..., form=False)
    number: Number = option("Number to call, with country code and without +.", ..., label="Number", tolerated="plus")
    dtmf_answer: Annotated[str, shape(r"^[0-9*#p]+$", "keys 0 to 9, * and #, and p for a pause of 500 ms")] = option(
        "Keys pressed once it is answered; p waits 500 ms.", label="Press when answered"
    )
    on_answer: OnAnswer = option("What the callee hears first.")
    shaken: Filled = option("An own STIR/SHAKEN identity; Vonage allows it on request.", form=False, source=OPENAPI)


class App(Options):
    """A user of an app that is built with the Client SDK."""

    type: Literal["app"] = option("Kind of endpoint.", ..., form=False)
    user: Filled = option("Name of the user.", ..., label="User")


class Authorization(Options):
    """What the WebSocket handshake carries in its Authorization header."""

    type: Literal["vonage", "custom"] = option(
        "vonage: a signed token of Vonage's, also with an empty object; custom: a value of one's own.",
        source=OPENAPI,
        label="Authorization",
    )
    value: Annotated[Ascii, Field(max_length=8191)] = option("The value, for custom.", source=SDK, label="Value")


class WebSocket(Options):
    """An audio socket."""

    type: Literal["websocket"] = option("Kind of endpoint.", ..., form=False)
    uri: Annotated[str, shape(r"^(?i:wss?)://[^\s/?#]\S*$", "an address that begins with wss:// or ws://")] = option(
        "Address of the socket.", ..., label="Address"
    )
    content_type: ContentType = option("Format of the audio.", alias="content-type", label="Sound")
    headers: Annotated[dict[str, Any], AfterValidator(_headers)] = option(
        "Sent to the socket in its first message, at most 512 bytes.", form=False
    )
    authorization: Authorization = option("What the handshake carries.", source=OPENAPI)


class StandardHeaders(Options):
    """SIP headers that have names of their own; Vonage puts no X- before them."""

    user_to_user: Ascii = option(
        "Value of User-to-User, such as 342342ef34;encoding=hex; at most 256 characters.",
        alias="User-to-User",
        source=SDK,
        label="User-to-User",
    )


class Sip(Options):
    """A SIP address, or a user of a SIP domain at Vonage."""

    type: Literal["sip"] = option("Kind of endpoint.", ..., form=False)
    uri: Annotated[str, shape(r"^(?i:sips?):\S+$", "a SIP address such as sip:bob@example.com")] = option(
        "SIP address; or domain and user.", source=OPENAPI, label="SIP address"
    )
    domain: Filled = option("Name of a SIP domain at Vonage; with user.", source=SDK, label="SIP domain")
    user: Filled = option("User of the SIP domain.", source=SDK, label="SIP user")
    headers: dict[str, Ascii] = option("Sent as X- headers of the INVITE.", form=False, tolerated="values")
    standard_headers: StandardHeaders = option("Headers that get no X-.", source=OPENAPI)


class Vbc(Options):
    """An extension of Vonage Business Communications."""

    type: Literal["vbc"] = option("Kind of endpoint.", ..., form=False)
    extension: Filled = option("Number of the extension.", ..., label="Extension")


ENDPOINTS: dict[str, type[Options]] = {
    "phone": Phone,
    "app": App,
    "websocket": WebSocket,
    "sip": Sip,
    "vbc": Vbc,
}
