"""What the variables of a flow can do to its documents: unknown names, values that do not fit, and lengths."""

from __future__ import annotations

import pytest

from callflows.ncco.check import flow_problems, step_problems
from callflows.ncco.flow import END, Flow, Step

KEYS = Step("keys", "input", {"dtmf": {"maxDigits": 1}})


def talk(name: str, text: str) -> Step:
    return Step(name, "talk", {"text": text})


def phone(number: str) -> Step:
    return Step("call", "connect", {"endpoint": {"type": "phone", "number": number}})


def found(*steps: Step) -> list[tuple[str, str, str]]:
    return [(each.path, each.severity, each.message) for each in flow_problems(Flow(steps), (), {})]


def warned(step: Step) -> list[tuple[str, str]]:
    problems = step_problems(step)
    assert {each.severity for each in problems} <= {"warning"}
    return [(each.path, each.message) for each in problems]


def test_unknown_variable_is_warned_of_once() -> None:
    step = talk("a", text="Hello {{ name }}, {{ name }} from {{ from }}")
    assert warned(step) == [("$[0]", "no value is called 'name': callers get its default, or nothing")]


def test_name_of_a_header_is_not_filled() -> None:
    step = Step("b", "connect", {"endpoint": {"uri": "wss://x.example", "content-type": "audio/l16;rate=8000"}})
    step.options["endpoint"]["headers"] = {"{{ from }}": "x"}
    (warning,) = warned(step)
    assert warning[1] == "names are not filled: '{{ from }}' stays as it is, put the variable in its value"


@pytest.mark.parametrize("number", ["{{ from }}", "{{ custom_data.agent }}", "{{ SipHeader_X-Agent }}"])
def test_value_may_stand_where_a_number_must(number: str) -> None:
    assert warned(phone(number)) == []


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (phone("00{{ from }}"), "$[0].endpoint[0].number"),
        (Step("s", "stream", {"streamUrl": ["{{ custom_data.url }}"]}), "$[0].streamUrl[0]"),
    ],
)
def test_value_that_may_not_fit_is_a_warning(step: Step, path: str) -> None:
    ((where, message),) = warned(step)
    assert where == path
    assert message.endswith("does not fit gets the safe NCCO")


def test_unknown_value_that_makes_an_option_wrong_for_every_call_is_an_error() -> None:
    found = [(each.path, each.severity) for each in step_problems(phone("{{ nobody }}"))]
    assert ("$[0].endpoint[0].number", "error") in found
    found = [(each.path, each.severity) for each in step_problems(talk("a", text="{{ nobody }}"))]
    assert ("$[0].text", "error") in found


def test_text_that_is_always_too_long_is_an_error_and_one_that_can_be_a_warning() -> None:
    assert found(talk("a", text="x" * 1501)) == [("a.text", "error", "1501 characters, at most 1500 allowed")]
    ((path, severity, message),) = found(talk("a", text="x" * 1450 + "{{ answers.b }}"), Step("b", "input"))
    assert (path, severity) == ("a.text", "warning")
    assert message.startswith("up to 1550 characters with the longest values")


def test_headers_that_are_always_too_long_are_an_error_and_those_that_can_be_a_warning() -> None:
    def severities(**headers: str) -> list[tuple[str, str]]:
        endpoint = {"content-type": "audio/l16;rate=16000", "headers": headers}
        return [each[:2] for each in found(Step("socket", "connect", {"app": "echo", "endpoint": endpoint}, END))]

    assert severities(a="x" * 505) == [("socket.endpoint.headers", "error")]
    assert severities(a="x" * 490, b="{{ from }}") == [("socket.endpoint.headers", "warning")]
    assert severities(a="x" * 300, b="{{ from }}") == []


def test_answer_that_no_step_asks_for_is_warned_of() -> None:
    message = "no step 'menu' of this flow asks for an answer: it is empty unless a flow before has one"
    assert found(talk("a", text="You chose {{ answers.menu }}")) == [("a", "warning", message)]
    assert found(KEYS, talk("a", text="You chose {{ answers.keys }}")) == []
