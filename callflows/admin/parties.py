"""Knows how the admin names the two sides of a call, which a call out has the other way round."""

from __future__ import annotations

from django.utils.safestring import SafeString

from callflows.admin.show import phone, readable
from callflows.models import Call


def outgoing(call: Call) -> bool:
    """Whether we placed the call."""
    return call.direction == "outbound"


def title(call: Call) -> str:
    if outgoing(call):
        return f"Call to {readable(call.called) or 'an unknown party'}"
    return f"Call from {readable(call.caller) or 'an unknown caller'}"


def caller(call: Call) -> SafeString | str:
    """Return who called: until Vonage tells, a call out may come from any of our numbers."""
    if call.caller:
        return phone(call.caller)
    return "one of our numbers" if outgoing(call) else "unknown caller"


def called(call: Call) -> SafeString:
    """Return who was called: of a call out the other party, else our number."""
    return phone(call.called if outgoing(call) else call.number_text or call.called)
