"""Knows who may fetch which sound: staff with the permission, and Vonage by addresses that are signed and expire."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from callflows.models import PromptVersion, Recording
from callflows.models.prompts import sound_version
from callflows.models.recordings import TIMING_KIND
from callflows.threads import Threads

BLOCK = 64 * 1024
# By the kind of file, which we know by its content: what others call it counts for nothing.
TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", f".{TIMING_KIND}": "application/jsonl"}
_THREADS = Threads("files", 4)


@require_safe
@login_not_required
def sound(request: HttpRequest, signed: str) -> HttpResponseBase:
    """A prompt's version for Vonage. It never changes under its address, so it may be kept for a day."""
    version = sound_version(signed, timezone.now())
    found = PromptVersion.objects.filter(pk=version).first() if version else None
    if found is None:
        raise Http404("no such sound, or its address has expired")
    # A version never changes: its number is as good as a digest.
    etag = f'"{found.pk}"'
    response = get_conditional_response(request, etag=etag) or ranged(request, found.wav, etag)
    response["Cache-Control"] = "public, max-age=86400, immutable"
    response["ETag"] = etag
    return response


@require_safe
@staff_member_required
def prompt(request: HttpRequest, version: int) -> HttpResponseBase:
    """A prompt's version for the page that plays it."""
    _demand(request, "callflows.view_audioprompt")
    return _private(ranged(request, get_object_or_404(PromptVersion, pk=version).wav))


@require_safe
@staff_member_required
def recording(request: HttpRequest, recording: int, kind: str) -> HttpResponseBase:
    """A recording for the page that plays it, or what was measured beside it; ``kind`` is the file's."""
    _demand(request, "callflows.listen_recording")
    found = get_object_or_404(Recording, pk=recording)
    name = found.timing_name if kind == TIMING_KIND else str(found.file.name) if found.kind == kind else ""
    if not found.file or not name:
        raise Http404("this recording has no such file")
    return _private(ranged(request, name))


def _demand(request: HttpRequest, permission: str) -> None:
    user: Any = request.user
    if not user.has_perm(permission):
        raise PermissionDenied(f"needs the permission {permission}")


def _private(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "private, no-store"
    return response


def ranged(request: HttpRequest, name: str, etag: str = "") -> HttpResponseBase:
    """Serve a sound file of the storage, whole or the range that is asked for: players seek by ranges."""
    try:
        size = default_storage.size(name)
    except FileNotFoundError:
        raise Http404("the file is gone") from None
    first, last = _asked(request, size, etag)
    if first > last and size:
        response: HttpResponseBase = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        response = _sound(request, name, first, last)
        response["Content-Length"] = str(last - first + 1)
        if last - first + 1 < size:
            response.status_code = 206
            response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["Accept-Ranges"] = "bytes"
    return response


def _sound(request: HttpRequest, name: str, first: int, last: int) -> HttpResponseBase:
    content_type = TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    if request.method == "HEAD":
        return HttpResponse(content_type=content_type)
    return StreamingHttpResponse(_blocks(name, first, last), content_type=content_type)


def _asked(request: HttpRequest, size: int, etag: str) -> tuple[int, int]:
    """Return the first and last byte that are asked for. A range of a file that is another by now is not meant."""
    meant = request.method == "GET" and request.headers.get("If-Range", etag) == etag
    return _range(request.headers.get("Range", "") if meant else "", size)


def _range(header: str, size: int) -> tuple[int, int]:
    """Return the first and last byte that a Range header asks for; whatever is no single range is the whole."""
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if not found or found.groups() == ("", ""):
        return 0, size - 1
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    if last and int(last) < int(first):
        return 0, size - 1
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
