"""Whom a caller's words may reach: nobody, unless the flow says how the address begins."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.check import flow_problems
from callflows.ncco.dialling import open_to_callers, read_prefixes, refused
from callflows.ncco.flow import Flow, Step
from callflows.ncco.numbers import country_of, read_countries, why_barred
from callflows.ncco.template import fill

PHONE, SIP, SOCKET = {"type": "phone"}, {"type": "sip"}, {"type": "websocket"}


def connect(endpoint: dict[str, Any], *prefixes: str) -> Flow:
    ask = Step("ask", "input", {"dtmf": {"maxDigits": 12}})
    return Flow((ask, Step("dial", "connect", {"endpoint": endpoint})), prefixes=prefixes)


def wrong(flow: Flow) -> list[str]:
    return [f"{each.path}: {each.message}" for each in flow_problems(flow, (), {}) if each.severity == "error"]


@pytest.mark.parametrize(
    ("endpoint", "part"),
    [
        ({**PHONE, "number": "{{ answers.ask }}"}, "number"),
        ({**PHONE, "number": "44{{ answers.ask }}"}, "number"),
        ({**PHONE, "number": "{{ from }}"}, "number"),
        ({**PHONE, "number": '{{ custom_data.u|default:"447700900222" }}'}, "number"),
        ({**PHONE, "number": "{{ headers.agent }}"}, "number"),
        ({**PHONE, "number": "{{ SipHeader_X-Agent }}"}, "number"),
        ({**SIP, "uri": "{{ custom_data.u }}"}, "uri"),
        ({**SIP, "uri": "sip:{{ custom_data.u }}"}, "uri"),
        ({**SIP, "uri": "sip:sales@{{ custom_data.u }}"}, "uri"),
        ({**SIP, "uri": "sips:sales@{{ custom_data.u }}.example.com"}, "uri"),
        ({**SIP, "domain": "{{ custom_data.u }}", "user": "sales"}, "domain"),
        ({**SOCKET, "uri": "wss://{{ custom_data.u }}/socket"}, "uri"),
        ({**SOCKET, "uri": "{{ custom_data.u }}"}, "uri"),
    ],
)
def test_address_made_of_a_callers_words_is_an_error(endpoint: dict[str, Any], part: str) -> None:
    (found,) = [each for each in wrong(connect(endpoint)) if "callers choose" in each]
    assert found.startswith(f"dial.endpoint.{part}: callers choose this ")
    assert "prefixes" in found


@pytest.mark.parametrize(
    "endpoint",
    [
        {**PHONE, "number": "447700900222"},
        {**PHONE, "number": "{{ to }}"},
        {**SIP, "uri": "sip:{{ from }}@pbx.example.com"},
        {**SIP, "uri": "sip:pbx.example.com;caller={{ from }}"},
        {**SIP, "domain": "acme", "user": "{{ answers.ask }}"},
        {**SOCKET, "uri": "wss://bots.example.com/{{ answers.ask }}?c={{ from }}"},
        {"type": "app", "user": "{{ answers.ask }}"},
        {"type": "vbc", "extension": "{{ answers.ask }}"},
    ],
)
def test_address_whose_place_is_the_flows_own_is_none(endpoint: dict[str, Any]) -> None:
    assert not [each for each in wrong(connect(endpoint)) if "callers choose" in each]
    assert not list(open_to_callers(endpoint))


@pytest.mark.parametrize(
    ("endpoint", "prefix"),
    [
        ({**PHONE, "number": "{{ answers.ask }}"}, "44"),
        ({**SIP, "uri": "sip:{{ custom_data.u }}"}, "@pbx.example.com"),
        ({**SOCKET, "uri": "wss://{{ custom_data.u }}/"}, "wss://bots.example.com/"),
    ],
)
def test_prefixes_of_its_kind_allow_it(endpoint: dict[str, Any], prefix: str) -> None:
    assert not [each for each in wrong(connect(endpoint, prefix)) if "callers choose" in each]
    for other in {"44", "@pbx.example.com", "wss://bots.example.com/"} - {prefix}:
        assert [each for each in wrong(connect(endpoint, other)) if "callers choose" in each]


@pytest.mark.parametrize(
    ("endpoint", "prefixes", "value", "why"),
    [
        ({**PHONE, "number": "{{ answers.ask }}"}, ("44",), "447700900222", ""),
        ({**PHONE, "number": "{{ answers.ask }}"}, ("44",), "+447700900222", ""),
        ({**PHONE, "number": "{{ answers.ask }}"}, ("44",), "15550100222", "allows only 44"),
        ({**PHONE, "number": "{{ answers.ask }}"}, (), "447700900222", "allows only none"),
        ({**PHONE, "number": "{{ answers.ask }}"}, ("44",), "449012345678", "premium-rate"),
        ({**PHONE, "number": "{{ answers.ask }}"}, ("1",), "19005550123", "premium-rate"),
        ({**PHONE, "number": "{{ answers.ask }}"}, ("8",), "88213300123", "no country's code"),
        ({**PHONE, "number": "1{{ answers.ask }}"}, ("1555",), "9005550123", "allows only 1555"),
        ({**SIP, "uri": "sip:{{ answers.ask }}"}, ("@pbx.example.com",), "x@evil.example", "allows only @pbx"),
        ({**SIP, "uri": "{{ answers.ask }}"}, ("@pbx.example.com",), "sip:a@pbx.example.com", ""),
        ({**SIP, "uri": "{{ answers.ask }}"}, ("@pbx.example.com",), "sip:a@PBX.example.com:5060;x=1", ""),
        ({**SIP, "uri": "{{ answers.ask }}"}, ("@pbx.example.com",), "sip:a@pbx.example.com@evil.example", "allows"),
        ({**SIP, "uri": "{{ answers.ask }}"}, ("@pbx.example.com",), "sip:a@evil.example;@pbx.example.com", "allows"),
        ({**SIP, "uri": "{{ answers.ask }}"}, ("@pbx.example.com",), "sip:a@pbx.example.com.evil.example", "allows"),
        ({**SIP, "domain": "{{ answers.ask }}", "user": "x"}, ("@acme",), "acme", ""),
        ({**SIP, "domain": "{{ answers.ask }}", "user": "x"}, ("@acme",), "acme2", "allows only @acme"),
        ({**SOCKET, "uri": "{{ answers.ask }}"}, ("wss://bots.example.com/",), "wss://bots.example.com/a", ""),
        (
            {**SOCKET, "uri": "{{ answers.ask }}"},
            ("wss://bots.example.com/",),
            "wss://bots.example.com.evil/",
            "allows",
        ),
        ({**SOCKET, "uri": "{{ answers.ask }}"}, ("44",), "wss://bots.example.com/a", "allows only none"),
    ],
)
def test_filled_address_must_begin_as_allowed(
    endpoint: dict[str, Any], prefixes: tuple[str, ...], value: str, why: str
) -> None:
    found = refused(endpoint, fill(endpoint, {"answers.ask": value}), prefixes)
    assert why in found if why else not found


def test_prefixes_are_read_as_people_write_them() -> None:
    assert read_prefixes("") == ()
    assert read_prefixes(" +44, 1555\n@PBX.example.com wss://bots.example.com/ 44") == (
        *("44", "1555", "@pbx.example.com", "wss://bots.example.com/"),
    )
    for text in ("abc", "44x", "@", "https://example.com/", "wss://bots.example.com", "*", "sip:a@b"):
        with pytest.raises(ValueError, match="expected digits such as 44"):
            read_prefixes(text)


# Numbers


@pytest.mark.parametrize(
    ("digits", "why"),
    [
        ("447700900123", ""),
        ("15550100123", ""),
        ("448001111111", ""),
        ("80012345678", ""),
        ("449012345678", "premium-rate"),
        ("19005550123", "premium-rate"),
        ("33892123456", "premium-rate"),
        ("447012345678", "personal"),
        ("88213300123", "+882"),
        ("881612345678", "+881"),
        ("870773123456", "+870"),
        ("97912345678", "+979"),
        ("12", ""),
        ("", ""),
    ],
)
def test_kinds_of_numbers_that_are_not_called(digits: str, why: str) -> None:
    assert why in why_barred(digits) if why else not why_barred(digits)


@pytest.mark.parametrize(
    ("digits", "country"),
    [
        ("447700900123", "GB"),
        ("442079460123", "GB"),
        ("15550100123", "US"),
        ("18765550123", "JM"),
        ("447624123456", "IM"),
        ("33123456789", "FR"),
        ("88213300123", ""),
        ("99912345678", ""),
        ("", ""),
    ],
)
def test_country_of_a_number(digits: str, country: str) -> None:
    assert country_of(digits) == country


def test_countries_are_read_as_people_write_them() -> None:
    assert read_countries("gb, FR  de,GB") == ("GB", "FR", "DE")
    assert read_countries(" ") == ()
    for text in ("England", "44", "XX", "001"):
        with pytest.raises(ValueError, match="two letters"):
            read_countries(text)
