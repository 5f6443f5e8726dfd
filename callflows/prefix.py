"""Knows below which path of a project our URLs stand: Vonage is told addresses below it."""

from __future__ import annotations

import functools

from django.conf import settings
from django.urls import get_script_prefix, reverse

_ANSWER = "/webhooks/answer"


def prefix() -> str:
    """Return the path before ``/webhooks/``: "" at the root, "/voice" for `callflows.urls` below voice/.

    FORCE_SCRIPT_NAME stands before it. Raises NoReverseMatch where our URLs are not included.
    """
    return (settings.FORCE_SCRIPT_NAME or "").rstrip("/") + local_prefix()


def local_prefix() -> str:
    """Return the same as the URLconf knows it, without FORCE_SCRIPT_NAME."""
    return _reversed(settings.ROOT_URLCONF)


@functools.cache
def _reversed(urlconf: str) -> str:
    # Whatever a server has told the thread that asks first: all are to be given the same.
    path = reverse("callflows:answer", urlconf).removeprefix(get_script_prefix().rstrip("/"))
    return path.removesuffix(_ANSWER)
