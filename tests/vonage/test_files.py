"""Knows that files come whole or not at all, and that our token never leaves Vonage's hosts."""

from __future__ import annotations

import gzip
import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import AsyncMock

import httpx2
import pytest

from callflows.vonage import files
from callflows.vonage.account import Account
from callflows.vonage.files import NotFetched, download
from tests.file_server import FileServer, Sent, file_server
from tests.rest_server import APPLICATION, pem

SOUND = bytes(range(256)) * 1000
PATH = "/v1/files/bbbbbbbb-1111"


@pytest.fixture
def host() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


@pytest.fixture
def other() -> Iterator[FileServer]:
    """A host that is none of Vonage's."""
    with file_server() as server:
        yield server


def fetch(account: Account, url: str, **bounds: float) -> bytes:
    into = io.BytesIO()
    most = int(bounds.pop("most", 1_000_000))
    assert download(account, url, into, most, **bounds) == ""
    return into.getvalue()


def refused(account: Account, url: str, **bounds: float) -> NotFetched:
    with pytest.raises(NotFetched) as caught:
        fetch(account, url, **bounds)
    return caught.value


def test_file_comes_whole_for_the_token_of_the_application(host: FileServer) -> None:
    assert fetch(host.account, host.put(PATH, SOUND)) == SOUND
    assert host.tokens == [(PATH, APPLICATION)]


def test_file_without_a_length_comes_whole(host: FileServer) -> None:
    assert fetch(host.account, host.put(PATH, b"5\r\nhello\r\n0\r\n\r\n", Transfer_Encoding="chunked")) == b"hello"


@pytest.mark.parametrize(
    ("status", "told", "again"),
    [
        (401, "needs the private key of the application", False),
        (403, "does not allow", False),
        (404, "kept for 30 days", False),
        (410, "kept for 30 days", False),
        (418, "Vonage answered 418", False),
        (204, "Vonage answered 204", False),
        (429, "too many requests", True),
        (500, "Vonage answered 500", True),
        (503, "Vonage answered 503", True),
    ],
)
def test_refusal_is_a_sentence_and_says_whether_to_try_again(
    host: FileServer, status: int, told: str, again: bool
) -> None:
    error = refused(host.account, host.put(PATH, b"", status))
    assert told in str(error)
    assert (error.status, error.again) == (status, again)


def test_without_a_private_key_nobody_is_asked(host: FileServer) -> None:
    error = refused(replace(host.account, private_key=""), host.put(PATH, SOUND))
    assert "needs the application's private key" in str(error)
    assert host.tokens == []


def test_file_that_is_too_large_is_refused_by_its_own_word(host: FileServer) -> None:
    error = refused(host.account, host.put(PATH, SOUND), most=255_999)
    assert str(error) == "the file has 256,000 bytes, at most 255,999 are fetched"
    assert not error.again


def test_file_that_grows_past_the_most_is_cut_off(host: FileServer) -> None:
    """Packed it is small, and its length is that of the packed one."""
    packed = gzip.compress(bytes(10_000_000))
    error = refused(host.account, host.put(PATH, packed, Content_Encoding="gzip"))
    assert "more than 1,000,000 bytes" in str(error)


def test_file_that_is_cut_off_is_tried_again(host: FileServer) -> None:
    url = host.put(PATH, SOUND)
    host.files[PATH] = Sent(SOUND, cut=True)
    error = refused(host.account, url)
    assert error.again
    assert "the connection to Vonage broke" in str(error)


def test_file_that_takes_too_long_is_tried_again(host: FileServer) -> None:
    error = refused(host.account, host.put(PATH, SOUND), seconds=-1)
    assert error.again
    assert "not complete in time" in str(error)


def test_silent_host_is_left_after_a_while(host: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TIMEOUT", httpx2.Timeout(0.2))
    url, over = host.put(PATH, SOUND), threading.Event()
    host.files[PATH] = Sent(SOUND, pause=over)
    error = refused(host.account, url)
    over.set()
    assert error.again
    assert "did not answer in time" in str(error)


def test_host_that_is_down_is_tried_again(host: FileServer) -> None:
    url = "http://127.0.0.1:9"
    error = refused(replace(host.account, host=url, trusted_origins=(url,)), f"{url}{PATH}")
    assert error.again
    assert "could not be reached" in str(error)


# Where addresses lead


def test_redirect_within_what_is_trusted_takes_the_token_along(host: FileServer) -> None:
    host.put("/v1/files/there", SOUND)
    assert fetch(host.account, host.put(PATH, b"", 302, Location="/v1/files/there")) == SOUND
    assert host.tokens == [(PATH, APPLICATION), ("/v1/files/there", APPLICATION)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_host_over_http_is_not_followed(host: FileServer, other: FileServer, status: int) -> None:
    url = host.put(PATH, b"", status, Location=other.put("/stolen", SOUND))
    error = refused(host.account, url)
    assert "we follow only to https" in str(error)
    assert not error.again
    assert other.tokens == []


def test_redirects_without_end_are_left(host: FileServer) -> None:
    error = refused(host.account, host.put(PATH, b"", 302, Location=PATH))
    assert str(error) == "Vonage sent us on more than 5 times"
    assert len(host.tokens) == 6


def test_redirect_that_names_no_address_is_refused(host: FileServer) -> None:
    assert "Vonage answered 302" in str(refused(host.account, host.put(PATH, b"", 302)))
    assert refused(host.account, host.put(PATH, b"", 302, Location="http://[::")).again is False


async def test_addresses_are_those_of_a_host() -> None:
    assert await files.addresses("127.0.0.1", 443) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "inside",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "192.168.1.1", "::1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0"],
)
def test_redirect_to_a_private_address_is_refused(
    host: FileServer, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setattr(files, "addresses", AsyncMock(return_value=["93.184.216.34", inside]))
    error = refused(host.account, host.put(PATH, b"", 302, Location="https://rebound.example.com/x"))
    assert str(error) == f"Vonage sent us on to rebound.example.com, whose address {inside} is not a public one"
    assert not error.again


def test_file_that_drips_ends_in_time(host: FileServer) -> None:
    """A byte now and then would keep any limit of one read from passing."""
    url = host.put(PATH, SOUND)
    host.files[PATH] = Sent(SOUND, drip=0.02)
    begun = time.monotonic()
    error = refused(host.account, url, seconds=0.5)
    assert error.again
    assert "not complete in time" in str(error)
    assert time.monotonic() - begun < 10


Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Answer every request without a network: hosts that are not of this machine, over https."""

    def answer(by: Answer) -> None:
        class Client(httpx2.AsyncClient):
            def __init__(self, **options: object) -> None:
                super().__init__(transport=httpx2.MockTransport(by), follow_redirects=False)

        monkeypatch.setattr(httpx2, "AsyncClient", Client)
        monkeypatch.setattr(files, "addresses", AsyncMock(return_value=["93.184.216.34"]))

    return answer


def test_presigned_address_at_a_storage_service_is_followed_without_the_token(
    elsewhere: Callable[[Answer], None],
) -> None:
    seen: list[tuple[str, bool]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((str(request.url), "Authorization" in request.headers))
        if request.headers["Host"] == "storage.example.com":
            assert request.extensions["sni_hostname"] == "storage.example.com"
            return httpx2.Response(200, content=SOUND)
        return httpx2.Response(302, headers={"Location": "https://storage.example.com/x?signature=1"})

    elsewhere(answer)
    assert fetch(Account("app", pem()), "https://api-us.nexmo.com/v1/files/x") == SOUND
    assert seen == [
        ("https://api-us.nexmo.com/v1/files/x", True),
        ("https://93.184.216.34/x?signature=1", False),
    ]


def test_who_leads_us_back_from_elsewhere_gets_no_token(elsewhere: Callable[[Answer], None]) -> None:
    """Else a storage service could choose what is fetched with it."""
    way = {
        "api.nexmo.com/v1/files/x": "https://elsewhere.example/x",
        "93.184.216.34/x": "https://api.nexmo.com/v1/calls",
    }
    tokens: list[bool] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        tokens.append("Authorization" in request.headers)
        to = way.get(f"{request.url.host}{request.url.path}")
        return httpx2.Response(302, headers={"Location": to}) if to else httpx2.Response(401)

    elsewhere(answer)
    assert refused(Account("app", pem()), "https://api.nexmo.com/v1/files/x").status == 401
    assert tokens == [True, False, False]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example{}",
        "https://vonage.com.evil.example{}",
        "https://evilnexmo.com{}",
        "http://api.nexmo.com{}",
        "https://api.nexmo.com@evil.example{}",
        "http://127.0.0.1:9{}",
    ],
)
def test_address_at_another_host_is_asked_of_our_own_and_told(host: FileServer, other: FileServer, url: str) -> None:
    host.put(PATH, SOUND)
    into = io.BytesIO()
    told = download(host.account, url.format(PATH), into)
    assert into.getvalue() == SOUND
    assert "so 127.0.0.1 was asked for the same file, and our token was sent nowhere else" in told
    assert host.tokens == [(PATH, APPLICATION)]


def test_host_that_is_not_ours_is_never_asked(host: FileServer, other: FileServer) -> None:
    error = refused(host.account, other.put(PATH, SOUND))
    assert "127.0.0.1 is not https" in str(error)
    assert "30 days" in str(error)
    assert (host.asked, other.asked) == ([PATH], [])


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "https://", "https://[::", "data:audio/wav;base64,AA"])
def test_what_is_no_address_is_refused(host: FileServer, url: str) -> None:
    error = refused(host.account, url)
    assert "expected an https address at one of Vonage's hosts" in str(error)
    assert (host.tokens, error.again) == ([], False)
