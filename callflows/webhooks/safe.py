"""Knows the safe NCCOs of numbers while the database cannot be asked for them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from django.conf import settings

Document = list[dict[str, Any]]

# An operator has hundreds of numbers; anybody may ask for any.
MOST_NUMBERS = 5000


class SafeNccos:
    """What each number last had for when nothing else can be said, as this process met it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Document] = OrderedDict()

    def remember(self, digits: str, document: Document) -> None:
        """Keep a number's own; the setting's need not be kept, but may have taken its place."""
        if document != settings.SAFE_NCCO and len(digits) < 50:
            self._known[digits] = document
            self._known.move_to_end(digits)
            if len(self._known) > MOST_NUMBERS:
                self._known.popitem(last=False)
        else:
            self._known.pop(digits, None)

    def forget(self) -> None:
        self._known.clear()

    def of(self, digits: str) -> Document:
        return self._known.get(digits) or list(settings.SAFE_NCCO)


SAFE = SafeNccos()
