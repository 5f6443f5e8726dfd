"""Knows who may fetch which sound: staff with the permission, and Vonage by addresses that are signed and expire."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from callflows.models import PromptVersion, Recording
from callflows.models.prompts import sound_version
from callflows.threads import Threads

BLOCK = 64 * 1024
_THREADS = Threads("files", 4)


@require_safe
def sound(request: HttpRequest, signed: str) -> HttpResponseBase:
    """A prompt's version for Vonage. It never changes under its address, so it may be kept for a day."""
    version = sound_version(signed, timezone.now())
    found = PromptVersion.objects.filter(pk=version).first() if version else None
    if found is None:
        raise Http404("no such sound, or its address has expired")
    response = ranged(request, found.wav)
    response["Cache-Control"] = "public, max-age=86400, immutable"
    return response


@require_safe
@staff_member_required
def prompt(request: HttpRequest, version: int) -> HttpResponseBase:
    """A prompt's version for the page that plays it."""
    _demand(request, "callflows.view_audioprompt")
    return _private(ranged(request, get_object_or_404(PromptVersion, pk=version).wav))


@require_safe
@staff_member_required
def recording(request: HttpRequest, recording: int) -> HttpResponseBase:
    """A recording for the page that plays it."""
    _demand(request, "callflows.listen_recording")
    return _private(ranged(request, str(get_object_or_404(Recording, pk=recording).file.name)))


def _demand(request: HttpRequest, permission: str) -> None:
    user: Any = request.user
    if not user.has_perm(permission):
        raise PermissionDenied(f"needs the permission {permission}")


def _private(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "private, no-store"
    return response


def ranged(request: HttpRequest, name: str) -> HttpResponseBase:
    """Serve a WAV of the storage, whole or the range that is asked for: players seek by ranges."""
    try:
        size = default_storage.size(name)
    except FileNotFoundError:
        raise Http404("the file is gone") from None
    first, last = _range(request.headers.get("Range", ""), size)
    if first > last:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    whole = (first, last) == (0, size - 1)
    response = StreamingHttpResponse(_blocks(name, first, last), content_type="audio/wav", status=200 if whole else 206)
    if not whole:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["Content-Length"] = str(last - first + 1)
    response["Accept-Ranges"] = "bytes"
    return response


def _range(header: str, size: int) -> tuple[int, int]:
    """Return the first and last byte that a Range header asks for; whatever is no single range is the whole."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not found or found.groups() == ("", ""):
        return 0, size - 1
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)


async def _blocks(name: str, first: int, last: int) -> AsyncIterator[bytes]:
    """Read in a thread, block by block; the event loop never waits for the disk."""
    file = await _THREADS.run(default_storage.open, name)
    try:
        await _THREADS.run(file.seek, first)
        left = last - first + 1
        while left > 0 and (block := await _THREADS.run(file.read, min(BLOCK, left))):
            left -= len(block)
            yield block
    finally:
        file.close()
