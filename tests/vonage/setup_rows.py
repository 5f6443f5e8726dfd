"""Knows what tests put into the admin; apart, since models can be imported only once Django is set up."""

from __future__ import annotations

from typing import Any

from callflows.models import Application
from tests.vonage.setup_account import KEY, WITH_MORE, Account, payload


def application_in(account: Account) -> dict[str, Any]:
    """Return an application at Vonage that has other capabilities too; the admin has it as Front desk."""
    found = payload(WITH_MORE)
    account.add(found)
    Application.objects.create(name="Front desk", application_id=found["id"], api_key=KEY)
    return dict(found)
