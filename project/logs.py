"""Knows what a line of the log looks like: no token in it, and a refused request in one line."""

from __future__ import annotations

import logging
import re
import time

from callflows.payloads.tokens import without_tokens
from callflows.serving import shown


class LineFormatter(logging.Formatter):
    """Time in UTC, level, logger and message; tokens are cut out of the whole, tracebacks too."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", "%Y-%m-%dT%H:%M:%SZ", style="{")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        """A message stays the line that it is, whatever a stranger put into it: its other lines are indented."""
        record.message = shown(record.message, kept="\n\t").replace("\n", "\n    ")
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record), "(token)")


class OneLine(logging.Filter):
    """Turn Django's tracebacks for requests that it refuses into one line; a refused host's says what to set."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.security.DisallowedHost":
            host = re.search(r"'(.*?)'", record.getMessage())
            record.msg = (
                f"refused a request for host {host[1] if host else '(none)'!r}: "
                "set PUBLIC_URL to the address at which Vonage and browsers reach this server"
            )
            record.args = ()
        if record.name.startswith("django.security.") or getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True
