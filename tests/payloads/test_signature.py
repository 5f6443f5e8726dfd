"""Knows what a signed webhook must prove: who sent it, when, to whom, and that it is what was signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.payloads.signature import BadSignature, Token, of_get, of_handshake, of_post, verify
from tests.signing import APPLICATION, KEY, SECRET, bearer, claims, compact, web_token

SIGNED = Path(__file__).parent / "signed"
SECRETS = {KEY: [SECRET]}
BODY = b'{"status":"answered","uuid":"4f1d0c9b7a6e4a2f8c3b5d7e9f012345"}'
NOW = 1_772_442_903.0


def signed(**changed: Any) -> str:
    return bearer(BODY, **{"iat": int(NOW), **changed})


def refusal(authorization: str, body: bytes = BODY, secrets: Any = None, now: float = NOW) -> tuple[str, int]:
    """Return the class and the status of what must be refused."""
    with pytest.raises(BadSignature) as refused:
        verify(authorization, of_post(body), SECRETS if secrets is None else secrets, now)
    assert str(refused.value)
    assert "\n" not in str(refused.value)
    return refused.value.counted, refused.value.status


# The vectors.


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("post_vector", ""),
        ("post_vector_alg_none", "algorithm"),
        ("post_vector_tampered_body", "hash"),
        ("post_vector_wrong_issuer", "issuer"),
        ("post_vector_wrong_secret", "secret"),
    ],
)
def test_vector_of_a_post_comes_out_right(name: str, counted: str) -> None:
    vector = json.loads((SIGNED / f"{name}.json").read_text())
    material, secrets = of_post(vector["raw_body"].encode()), {KEY: [vector["secret"]]}
    if counted:
        assert refusal(vector["authorization"], vector["raw_body"].encode(), secrets) == (counted, 401)
    else:
        found = verify(vector["authorization"], material, secrets, NOW + 5)
        wanted = vector["claims"]
        assert found == Token(wanted["jti"], KEY, wanted["application_id"], wanted["payload_hash"])


def test_vector_of_a_get_comes_out_right() -> None:
    vector = json.loads((SIGNED / "get_vector_uncertain.json").read_text())
    assert compact(vector["query_in_order"]).decode() == vector["canonical_json"]
    found = verify(vector["authorization"], of_get(vector["query_in_order"]), SECRETS, NOW)
    assert (found.jti, found.notes) == (vector["claims"]["jti"], ())


def test_every_vector_is_tested() -> None:
    assert len(list(SIGNED.glob("*.json"))) == 6


# The header.


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", "Bearer\t"])
def test_scheme_is_read_in_any_case(scheme: str) -> None:
    assert verify(scheme + signed().removeprefix("Bearer "), of_post(BODY), SECRETS, NOW).api_key == KEY


@pytest.mark.parametrize("header", ["", "   ", "Basic dXNlcjpwYXNz", "Token abc"])
def test_missing_signature_is_asked_for_again(header: str) -> None:
    assert refusal(header) == ("unsigned", 503)


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "...", "a.b", "a.b.c", "!!!.???.***", "Grüße.ü.ö", "\0", "\ud800.a.b"),
        "a" * 100_000,
        f"{web_token(claims(BODY))}, Bearer {web_token(claims(BODY))}",
        web_token(claims(BODY), header=b"no json"),
        web_token(claims(BODY), header=b"[]"),
        web_token(claims(BODY), header=b"[" * 5_000),
        web_token(claims(BODY), header={"alg": "HS256", "kid": 1}),
        web_token(claims(BODY), header={"alg": "HS256", "crit": ["x"]}),
        web_token(claims(BODY), header={"alg": "HS256", "b64": False, "crit": ["b64"]}),
        web_token(b"no json"),
        web_token(b"\xff"),
        web_token(b"[]"),
        web_token(b"null"),
        web_token(b"[" * 5_000),
        web_token(b'{"iat":' + b"9" * 5_000 + b"}"),
    ],
)
def test_malformed_token_is_refused(token: str) -> None:
    assert refusal(f"Bearer {token}") == ("token", 401)


@pytest.mark.parametrize("alg", ["none", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "", None, 1, ["HS256"]])
def test_other_algorithms_are_refused(alg: Any) -> None:
    token = web_token(claims(BODY, iat=NOW), header={"alg": alg, "typ": "JWT"})
    assert refusal(f"Bearer {token}") == ("algorithm", 401)


def test_token_really_signed_with_another_hash_is_refused() -> None:
    token = jwt.encode(claims(BODY, iat=int(NOW)), SECRET * 2, algorithm="HS512")
    assert refusal(f"Bearer {token}", secrets={KEY: [SECRET * 2]}) == ("algorithm", 401)


def test_algorithm_may_not_be_missing() -> None:
    assert refusal(f"Bearer {web_token(claims(BODY), header={'typ': 'JWT'})}") == ("algorithm", 401)


# The secret.


@pytest.mark.parametrize("api_key", ["other", "", None, 7, ["a1b2c3d4"], {"a": 1}, "x" * 5_000])
def test_unknown_account_is_refused(api_key: Any) -> None:
    assert refusal(signed(api_key=api_key)) == ("secret", 401)


def test_both_secrets_of_an_account_are_good_while_one_replaces_the_other() -> None:
    secrets = {KEY: ["the-old-secret-0123456789-0123456789", SECRET], "other": ["x" * 32]}
    for secret in secrets[KEY]:
        assert verify(bearer(BODY, secret, iat=NOW), of_post(BODY), secrets, NOW).api_key == KEY
    assert refusal(bearer(BODY, "x" * 32, iat=NOW), secrets=secrets) == ("secret", 401)


def test_accounts_have_secrets_of_their_own() -> None:
    secrets = {KEY: [SECRET], "e5f60718": ["another-signature-secret-0123456789"]}
    token = bearer(BODY, secrets["e5f60718"][0], iat=NOW, api_key="e5f60718")
    assert verify(token, of_post(BODY), secrets, NOW).api_key == "e5f60718"
    assert refusal(bearer(BODY, SECRET, iat=NOW, api_key="e5f60718"), secrets=secrets) == ("secret", 401)


def test_short_secret_is_used_without_a_warning() -> None:
    assert verify(bearer(BODY, "short", iat=NOW), of_post(BODY), {KEY: ["short"]}, NOW).api_key == KEY


def test_secret_that_no_hmac_can_have_fits_nothing() -> None:
    key = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"
    assert refusal(bearer(BODY, key, iat=NOW), secrets={KEY: [key]}) == ("secret", 401)


def test_changed_claim_fits_no_secret() -> None:
    head, _, sign = signed().split(".")
    other = web_token(claims(BODY, iat=NOW + 1)).split(".")[1]
    assert refusal(f"{head}.{other}.{sign}") == ("secret", 401)


# The claims.


@pytest.mark.parametrize("issuer", ["Acme", "vonage", "", None, 1, ["Vonage"]])
def test_only_vonage_issues_tokens(issuer: Any) -> None:
    assert refusal(signed(iss=issuer)) == ("issuer", 401)


@pytest.mark.parametrize("age", [-30, -29.5, 0, 299.9, 300])
def test_fresh_token_is_accepted(age: float) -> None:
    assert verify(signed(iat=NOW - age), of_post(BODY), SECRETS, NOW)


@pytest.mark.parametrize("age", [-31, 301, NOW, -1e300, 10**400, -(10**400)])
def test_old_or_early_token_is_refused(age: float) -> None:
    iat = -age if abs(age) > 1e300 else NOW - age
    assert refusal(signed(iat=iat)) == ("clock", 401)


def test_sentence_says_which_clock_is_meant() -> None:
    with pytest.raises(BadSignature, match="issued 400 s ago, expected at most 300 s ago: this server's clock"):
        verify(signed(iat=NOW - 400), of_post(BODY), SECRETS, NOW)
    with pytest.raises(BadSignature, match="issued 45 s ahead, expected at most 30 s ahead"):
        verify(signed(iat=NOW + 45), of_post(BODY), SECRETS, NOW)


@pytest.mark.parametrize("iat", [None, True, False, "1772442903", [], {}, float("nan"), float("inf"), float("-inf")])
def test_strange_time_of_issue_is_refused(iat: Any) -> None:
    assert refusal(signed(iat=iat)) == ("clock", 401)


@pytest.mark.parametrize("jti", [None, "", 1, [], "x" * 256, "a\0b", "a\nb", "\ud800"])
def test_token_needs_an_id_that_can_be_kept(jti: Any) -> None:
    assert refusal(signed(jti=jti)) == ("token", 401)


def test_id_of_255_characters_is_kept() -> None:
    assert verify(signed(jti="x" * 255), of_post(BODY), SECRETS, NOW).jti == "x" * 255


@pytest.mark.parametrize("application", [1, [], {}, True])
def test_application_is_named_by_a_text(application: Any) -> None:
    assert refusal(signed(application_id=application)) == ("application", 401)


def test_token_is_for_one_of_our_applications() -> None:
    found = verify(signed(), of_post(BODY), SECRETS, NOW)
    assert found.is_for([APPLICATION, "another"])
    assert not found.is_for(["another"])


def test_token_is_for_anybody_where_nothing_says_otherwise() -> None:
    assert verify(signed(), of_post(BODY), SECRETS, NOW).is_for([])
    assert verify(signed(application_id=None), of_post(BODY), SECRETS, NOW).is_for(["another"])


# The hash.


@pytest.mark.parametrize("body", [BODY + b"\n", b" " + BODY, BODY.replace(b":", b": "), b""])
def test_hash_is_of_the_bytes_on_the_wire(body: bytes) -> None:
    assert refusal(signed(), body) == ("hash", 401)


@pytest.mark.parametrize("claimed", [None, "", 1, [], "0" * 64])
def test_post_needs_its_hash(claimed: Any) -> None:
    assert refusal(signed(payload_hash=claimed)) == ("hash", 401)


QUERY = {"to": "442079460000", "from": "447700900111", "name": "Grüße/"}


def test_hash_of_a_get_depends_on_the_order() -> None:
    token = bearer(compact(QUERY), iat=NOW)
    assert verify(token, of_get(QUERY), SECRETS, NOW).notes == ()
    (note,) = verify(token, of_get(dict(reversed(QUERY.items()))), SECRETS, NOW).notes
    assert note.startswith("payload_hash: expected the SHA-256 of the request, ")


def test_letters_of_a_get_may_be_escaped_or_not() -> None:
    plain = json.dumps(QUERY, separators=(",", ":"), ensure_ascii=False).encode()
    for material in (plain, compact(QUERY)):
        assert verify(bearer(material, iat=NOW), of_get(QUERY), SECRETS, NOW).notes == ()


@pytest.mark.parametrize("claimed", [None, "", 1, "0" * 64])
def test_get_whose_hash_differs_is_only_noted(claimed: Any) -> None:
    assert len(verify(signed(payload_hash=claimed), of_get(QUERY), SECRETS, NOW).notes) == 1


def test_body_of_a_get_is_its_query_in_order() -> None:
    one, other = (verify(signed(), of_get(query), SECRETS, NOW).body for query in (QUERY, {"to": "1"}))
    assert one != other


@pytest.mark.parametrize("claimed", [None, "0" * 64])
def test_handshake_needs_no_hash(claimed: Any) -> None:
    assert verify(signed(payload_hash=claimed), of_handshake(), SECRETS, NOW).api_key == KEY


# Whatever comes.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.text())
def test_no_header_breaks_it(header: str) -> None:
    for each in (header, f"Bearer {header}"):
        with pytest.raises(BadSignature):
            verify(each, of_post(BODY), SECRETS, NOW)


@given(st.dictionaries(st.sampled_from(["iat", "jti", "iss", "payload_hash", "api_key", "application_id"]), JSON))
def test_no_claims_break_it(changed: dict[str, Any]) -> None:
    try:
        found = verify(f"Bearer {web_token({**claims(BODY, iat=NOW), **changed})}", of_post(BODY), SECRETS, NOW)
    except BadSignature:
        return
    assert 0 < len(found.jti) <= 255
