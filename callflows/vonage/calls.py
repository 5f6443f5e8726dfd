"""Knows how live calls are controlled over Vonage's REST API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2

from callflows.vonage.account import Account, VonageError

TIMEOUT = httpx2.Timeout(2.0, connect=1.0)


async def hang_up(account: Account, leg: str, region_url: str = "") -> None:
    """End a leg. Vonage sends no ``disconnected`` for a socket that ends so. Raises VonageError."""
    await _put(account, leg, {"action": "hangup"}, region_url)


async def find_leg(account: Account, conversation_uuid: str, path: str) -> str:
    """Return the uuid of the leg whose socket has ``path`` in its address. Raises VonageError when there is none."""
    url = f"{account.base()}/v1/calls"
    found = await _request(account, "GET", url, params={"conversation_uuid": conversation_uuid})
    for call in found.json().get("_embedded", {}).get("calls", []):
        if path in str(call.get("to")):
            return str(call["uuid"])
    raise VonageError("Vonage lists no leg with the socket's address")


async def _put(account: Account, leg: str, body: dict[str, Any], region_url: str) -> None:
    url = f"{account.base(region_url)}/v1/calls/{quote(leg, safe='')}"
    await _request(account, "PUT", url, json=body)


async def _request(account: Account, method: str, url: str, **content: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {account.token()}"}
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            response = await client.request(method, url, headers=headers, **content)
    except httpx2.HTTPError as error:
        raise VonageError(f"Vonage could not be reached: {error or type(error).__name__}") from None
    if not response.is_success:
        raise VonageError(_reason(response))
    return response


def _reason(response: httpx2.Response) -> str:
    reasons = {
        401: "Vonage refused our token: check the application's id and private key",
        404: "Vonage does not know this leg: it may have ended, or live in another region",
        429: "Vonage refused for now: too many requests",
    }
    return reasons.get(response.status_code, f"Vonage answered {response.status_code}")
