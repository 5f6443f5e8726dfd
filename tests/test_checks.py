"""Knows what `manage.py check --deploy` must say about settings that lose calls or let strangers in."""

from __future__ import annotations

from pytest_django import Settings

from callflows.checks import public_url_is_secure, recordings_are_private, secrets_are_long, webhooks_are_checked


def test_webhooks_that_are_not_checked_are_an_error(settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {}
    (error,) = webhooks_are_checked()
    assert (error.id, error.is_serious()) == ("callflows.E001", True)
    assert "anybody can pretend to be Vonage" in error.msg
    assert error.hint
    settings.SIGNATURE_SECRETS = {"a1b2c3d4": ["x" * 32]}
    assert webhooks_are_checked() == []


def test_short_secret_is_warned_of_and_not_shown(settings: Settings) -> None:
    settings.SIGNATURE_SECRETS = {"a1b2c3d4": ["x" * 32, "short-one"], "e5f60718": ["y" * 40]}
    (warning,) = secrets_are_long()
    assert warning.msg == "SIGNATURE_SECRETS: a secret of account a1b2c3d4 is shorter than 32 characters."
    assert "short-one" not in str(warning)


def test_address_that_is_not_https_is_warned_of(settings: Settings) -> None:
    for url, found in (("", 1), ("http://calls.example.com", 1), ("https://calls.example.com", 0)):
        settings.PUBLIC_URL = url
        assert len(public_url_is_secure()) == found


def test_recordings_that_others_may_read_are_warned_of(settings: Settings) -> None:
    assert recordings_are_private() == []
    settings.FILE_UPLOAD_PERMISSIONS, settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o644, None
    file, folder = recordings_are_private()
    assert (file.hint, folder.hint) == ("Set it to 0o600.", "Set it to 0o700.")
