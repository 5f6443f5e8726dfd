"""Knows an application whose private key the environment holds, as a deployment's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rest_server import APPLICATION, pem

if TYPE_CHECKING:
    from callflows.models import Application

KEY_VARIABLE = "TEST_PRIVATE_KEY"


@pytest.fixture
def application(db: None, monkeypatch: pytest.MonkeyPatch) -> Application:
    # Here: pytest loads this file before Django is set up when this folder alone is tested.
    from callflows.models import Application

    monkeypatch.setenv(KEY_VARIABLE, pem())
    return Application.objects.create(name="Ours", application_id=APPLICATION, private_key_variable=KEY_VARIABLE)
