"""Who comes to a wrong address, or may not do something, is told so, and led back."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from tests.admin.forms import someone

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/nowhere/", "/admin/callflows/nothing/"])
def test_wrong_address_leads_back(admin_client: Client, path: str) -> None:
    page = admin_client.get(path)
    assert page.status_code == 404
    assert "There is nothing at this address" in page.content.decode()
    assert '<a href="/admin/">Callflows</a>' in page.content.decode()


def test_what_is_not_allowed_says_who_allows_it() -> None:
    page = someone("view_call").get("/admin/callflows/callflow/")
    assert page.status_code == 403
    assert "A superuser gives it" in page.content.decode()


def test_failure_says_where_to_look(admin_client: Client) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    admin_client.raise_request_exception = False
    with patch("callflows.admin.calls.CallAdmin.get_queryset", fail):
        page = admin_client.get("/admin/callflows/call/")
    assert page.status_code == 500
    assert "The server's log says what" in page.content.decode()
