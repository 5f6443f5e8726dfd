"""Knows what our settings are where a project does not name them; docs/deploy.md explains them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from callflows.serving.proxies import Proxies

# What a caller hears when we cannot serve the flow: someone is on the phone, and is answered.
SAFE_NCCO: list[dict[str, Any]] = [
    {
        "action": "talk",
        "text": "Sorry, this line is not available at the moment. Please call again later.",
    },
]
# Where a proxy may stand, unless somebody says it.
PROXIES = ("127.0.0.0/8", "::1")
DEFAULTS: dict[str, Any] = {
    "ADMIN_PASSWORD": "",
    "ANSWER_SECONDS": 1.2,
    "CALLS_OUT_AT_ONCE": 20,
    "CALLS_OUT_PER_DAY": 500,
    "CALLS_OUT_PER_MINUTE": 10,
    "CALLS_OUT_PER_USER": 100,
    "INBOX_SECONDS": 5.0,
    "JOURNAL_MB": 64.0,
    "LOG_LEVEL": "INFO",
    "MAX_LAG": 0.02,
    "MAX_LINES": 300,
    "PORT": 8000,
    "PROMPT_MAX_SECONDS": 600.0,
    "PROXIES": PROXIES,
    "PUBLIC_URL": "",
    "SAFE_NCCO": SAFE_NCCO,
    # API key -> its signature secrets.
    "SIGNATURE_SECRETS": {},
    "TRUSTED_ORIGINS": [],
    "UNSIGNED_WEBHOOKS": False,
    "VONAGE_API_KEY": "",
    "VONAGE_API_SECRET": "",
    "VONAGE_API_URL": "https://api.nexmo.com",
    "VONAGE_REST_URL": "https://rest.nexmo.com",
}


def fill(settings: Any) -> None:
    """Give every setting of ours that a project does not have.

    PROXIES may be a list of addresses and networks. Raises ImproperlyConfigured when it has others.
    """
    for name, value in DEFAULTS.items():
        _give(settings, name, value)
    _give(settings, "BASE_DIR", Path.cwd())
    _give(settings, "DATA_DIR", settings.BASE_DIR)
    settings.DATA_DIR = Path(settings.DATA_DIR)
    _give(settings, "RECORDINGS_OPEN", Path(settings.MEDIA_ROOT) / "recordings" / "open")
    if not isinstance(settings.PROXIES, Proxies):
        try:
            settings.PROXIES = Proxies.parse(settings.PROXIES)
        except ValueError as error:
            raise ImproperlyConfigured(f"PROXIES: {error}") from error


def _give(settings: Any, name: str, value: Any) -> None:
    if not hasattr(settings, name):
        setattr(settings, name, deepcopy(value))
