"""Knows that our token goes to Vonage's hosts over https, and to nobody who only looks like them."""

from __future__ import annotations

from dataclasses import replace

import jwt
import pytest

from callflows.vonage.account import Account, VonageError, trusted
from tests.rest_server import APPLICATION, key, pem

DEFAULT = "https://api.nexmo.com"
ACCOUNT = Account(APPLICATION, pem())


@pytest.mark.parametrize(
    "url",
    [
        "https://api.nexmo.com",
        "https://nexmo.com",
        "https://vonage.com/",
        "https://api-eu-3.vonage.com/v1/calls?page_size=10",
        "https://API-US-4.Vonage.COM",
        "HTTPS://api.nexmo.com",
        "https://api.nexmo.com:443",
        "https://api.nexmo.com:8443/v1/files/x",
        "https://a.b.c.nexmo.com?x=1",
        "https://api.nexmo.com/v1/files/a@b",
    ],
)
def test_hosts_of_vonage_may_see_the_token(url: str) -> None:
    assert trusted(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.nexmo.com",
        "//api.nexmo.com",
        "http://api.nexmo.com",
        "wss://api.nexmo.com",
        "https://evil-vonage.com",
        "https://evilnexmo.com",
        "https://vonage.com.evil.example",
        "https://api.nexmo.com.evil.example/v1",
        "https://api.nexmo.com@evil.example",
        "https://api.nexmo.com:443@evil.example/",
        "https://user@api.nexmo.com",
        "https://user:password@api.nexmo.com/",
        "https://evil.example\\@api.nexmo.com",
        "https://evil.example\\.nexmo.com",
        "https://evil.example/.nexmo.com",
        "https://evil.example?.nexmo.com",
        "https://evil.example#.nexmo.com",
        "https://api.nexmo.com\\.evil.example",
        "https://api.nexmo.com.",
        "https://api.nexmo.com./v1",
        "https://.nexmo.com",
        "https://..nexmo.com",
        "https://api..nexmo.com",
        "https://api.nexmo.com:",
        "https://api.nexmo.com:0",
        "https://api.nexmo.com:99999",
        "https://api.nexmo.com:evil",
        "https://api.nexmo.com:443.evil.example",
        "https://api.nexmo.co\u217f",
        "https://api.ne\u212amo.com",
        "https://v\u043enage.com",
        "https://api\u3002nexmo.com",
        "https://api%2enexmo.com",
        "https://[::1].nexmo.com",
        " https://api.nexmo.com",
        "https://api.nexmo.com ",
        "https://api.nexmo.com\n",
        "https://api.nexmo.com/\r\nHost: evil.example",
        "https://api.nexmo.com\t.evil.example",
        "https:api.nexmo.com",
        "https:/api.nexmo.com",
        "https:///api.nexmo.com",
    ],
)
def test_hosts_that_look_alike_may_not(url: str) -> None:
    assert not trusted(url)
    assert not ACCOUNT.trusts(url)
    assert ACCOUNT.base(url) == DEFAULT


def test_region_is_used_as_an_origin() -> None:
    assert ACCOUNT.base("https://api-eu-3.vonage.com") == "https://api-eu-3.vonage.com"
    assert ACCOUNT.base("https://API-eu-3.vonage.com:443/v1/") == "https://api-eu-3.vonage.com:443"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://127.0.0.1:9000/v1/files/x", True),
        ("HTTP://127.0.0.1:9000", True),
        ("https://fake.example:443/x", True),
        ("http://127.0.0.1:9001", False),
        ("https://127.0.0.1:9000", False),
        ("http://127.0.0.1:9000@evil.example", False),
        ("http://127.0.0.1:9000.evil.example", False),
        ("http://localhost:9000", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:9000:1", False),
        ("ftp://fake.example", False),
        ("http://", False),
    ],
)
def test_origins_that_the_settings_name_may_see_it_too(url: str, may: bool) -> None:
    account = replace(ACCOUNT, trusted_origins=("http://127.0.0.1:9000", "https://fake.example"))
    assert account.trusts(url) is may


def test_host_of_the_application_is_checked_like_every_other() -> None:
    account = replace(ACCOUNT, host="https://evil-vonage.com")
    with pytest.raises(VonageError, match="none of Vonage's over https: correct it"):
        account.base()
    assert account.base("https://api-us-3.vonage.com") == "https://api-us-3.vonage.com"


def test_token_is_signed_names_the_application_and_ends_soon() -> None:
    first, second = (
        jwt.decode(ACCOUNT.token(), key().public_key(), algorithms=["RS256"], options={"verify_exp": True})
        for _ in range(2)
    )
    assert first["application_id"] == APPLICATION
    assert first["exp"] - first["iat"] == 60
    assert first["jti"] != second["jti"]


def test_without_a_usable_key_it_says_so() -> None:
    with pytest.raises(VonageError, match="no private key"):
        Account("app", "").token()
    with pytest.raises(VonageError, match="cannot be used"):
        Account("app", "not a key").token()
    assert "PRIVATE" not in repr(ACCOUNT)
