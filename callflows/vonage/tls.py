"""Knows whose certificates are trusted: those of this machine's list of authorities, or of SSL_CERT_FILE."""

from __future__ import annotations

import ssl
from functools import cache

import httpx2


@cache
def trusted() -> ssl.SSLContext:
    """Return what all connections of this process share: reading the list takes 40 ms of processor."""
    return httpx2.create_ssl_context()
