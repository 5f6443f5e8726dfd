"""Knows what a line of the log looks like: no token of a socket in it, and a refused host explained."""

from __future__ import annotations

import logging
import re
import time

# /socket/<line>/<token>, /sounds/<token>, /webhooks/events/<token>: who reads one could take a call's audio.
TOKEN = re.compile(r"(/socket/[^/\s\"'?]*/|/sounds/|/webhooks/events/)[^\s\"'?,)\]>]+")


def without_tokens(text: str) -> str:
    return TOKEN.sub(r"\1(token)", text)


class LineFormatter(logging.Formatter):
    """Time in UTC, level, logger and message; tokens are cut out of the whole, tracebacks too."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", "%Y-%m-%dT%H:%M:%SZ", style="{")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record))


class NamePublicUrl(logging.Filter):
    """Turn Django's traceback for a refused host into one line that says what to set."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.security.DisallowedHost":
            host = re.search(r"'(.*?)'", record.getMessage())
            record.msg = (
                f"refused a request for host {host[1] if host else '(none)'!r}: "
                "set PUBLIC_URL to the address at which Vonage and browsers reach this server"
            )
            record.args, record.exc_info, record.exc_text = (), None, None
        return True
