"""Knows the endpoints that a connect action can reach."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from callflows.ncco.headers import too_long
from callflows.ncco.option import Options, option

ContentType = Literal["audio/l16;rate=8000", "audio/l16;rate=16000", "audio/l16;rate=24000"]


def _headers(headers: dict[str, Any]) -> dict[str, Any]:
    if reason := too_long(headers):
        raise PydanticCustomError("headers_long", "{reason}", {"reason": reason})
    return headers


class Authorization(Options):
    """What the WebSocket handshake carries in its Authorization header."""

    type: Literal["vonage", "custom"] = option("A signed token of Vonage's, or a value of one's own.", "vonage")
    value: Annotated[str, Field(min_length=1, max_length=8191, pattern=r"^[\x20-\x7e]+$")] | None = option(
        "The value, for custom."
    )


class WebSocket(Options):
    """An audio socket."""

    type: Literal["websocket"] = option("Kind of endpoint.", ..., form=False)
    uri: Annotated[str, Field(pattern=r"^wss?://\S+$")] = option("Address of the socket.", ..., label="Address")
    content_type: ContentType | None = option("Format of the audio.", alias="content-type", label="Sound")
    headers: Annotated[dict[str, Any], AfterValidator(_headers)] | None = option(
        "Sent to the socket in its first message, at most 512 bytes.", form=False
    )
    authorization: Authorization | None = option("What the handshake carries.", form=False)


ENDPOINTS: dict[str, type[Options]] = {"websocket": WebSocket}
