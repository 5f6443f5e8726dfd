"""Knows whether this server lives, and whether it can serve calls."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from callflows.threads import Threads

SECONDS = 2.0
_THREADS = Threads("health", 4)


@login_not_required
async def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: the event loop answers. Looks at nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
async def readyz(request: HttpRequest) -> HttpResponse:
    """Ready: database, channel layer and media folder, each by name; 503 when one is not."""
    names = {"database": _THREADS.run(_database), "channel layer": _layer(), "media": _THREADS.run(_media)}
    results = await asyncio.gather(*(_told(check) for check in names.values()))
    found = dict(zip(names, results, strict=True))
    return JsonResponse(found, status=200 if set(found.values()) == {"ok"} else 503)


async def _told(check: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            await check
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM callflows_phonenumber LIMIT 1")


async def _layer() -> None:
    layer: Any = get_channel_layer()
    if layer is None:
        raise RuntimeError("no channel layer is configured")
    await layer.group_send("readyz", {"type": "ready"})


def _media() -> None:
    folder = Path(settings.MEDIA_ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"ready")
