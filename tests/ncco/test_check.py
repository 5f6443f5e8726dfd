"""What keeps a flow from being published, and where each problem is shown."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.check import answers, flow_problems, messages, possible, step_problems
from callflows.ncco.flow import END, NEXT, Branch, Flow, Step, Target

APPS = {"echo": ("hung-up",), "play": ("finished", "hung-up")}
KEYS = Step("keys", "input", {"dtmf": {"maxDigits": 1}})


def talk(name: str, then: Target = NEXT, **options: Any) -> Step:
    return Step(name, "talk", {"text": "Hello", **options}, then)


def socket(name: str = "socket", app: str = "echo", then: Target = NEXT, **options: Any) -> Step:
    return Step(name, "connect", {"app": app, "endpoint": {"content-type": "audio/l16;rate=16000"}, **options}, then)


def phone(name: str = "call", number: str = "447700900222", then: Target = NEXT, **options: Any) -> Step:
    return Step(name, "connect", {"endpoint": {"type": "phone", "number": number}, **options}, then)


def to(step: str) -> Target:
    return Target("step", step)


def found(*steps: Step, branches: tuple[Branch, ...] = (), flows: tuple[int, ...] = ()) -> list[tuple[str, str, str]]:
    flow = Flow(steps, branches)
    return [(each.path, each.severity, each.message) for each in flow_problems(flow, flows, APPS)]


def test_flow_that_fits_together_has_no_problem() -> None:
    branches = (
        Branch("keys", "1", to("socket")),
        Branch("keys", "wrong", to("hello"), 2),
        Branch("keys", "nothing", to("bye")),
        Branch("socket", "disconnected", to("bye")),
        Branch("socket", "finished", to("bye")),
    )
    steps = (talk("hello", bargeIn=True), KEYS, talk("bye", END), socket(app="play", then=END))
    assert found(*steps, branches=branches) == []


def test_flow_without_steps_is_told_to_have_one() -> None:
    assert found() == [("", "error", "a flow needs at least one step: add one, then publish")]


def test_two_steps_of_one_name_are_refused() -> None:
    assert found(talk("a"), talk("a"))[0] == ("a", "error", "2 steps are called 'a': each needs a name of its own")


def test_branch_to_nowhere_is_refused_and_the_steps_are_named() -> None:
    branch = Branch("keys", "1", to("sales"))
    assert found(talk("a"), KEYS, branches=(branch,)) == [
        ("keys.1", "error", "leads to 'sales', but the steps are a, keys")
    ]


def test_step_that_leads_to_nowhere_is_refused() -> None:
    assert found(talk("a", to("b"))) == [("a.then", "error", "leads to 'b', but the steps are a")]


def test_branch_of_no_step_is_refused() -> None:
    branch = Branch("menu", "1", to("a"))
    assert found(talk("a"), branches=(branch,)) == [
        ("menu.1", "error", "a branch of 'menu', but no step is called that")
    ]


def test_flow_that_was_never_published_is_no_target() -> None:
    step = talk("a", Target("flow", flow=7))
    branch = Branch("keys", "1", Target("flow", flow=8))
    sentence = "leads to a flow that has not been published: publish that one first"
    assert found(KEYS, step, branches=(branch,)) == [("a.then", "error", sentence), ("keys.1", "error", sentence)]
    assert found(KEYS, step, branches=(branch,), flows=(7, 8)) == []


# Sockets


def test_step_after_a_socket_is_refused() -> None:
    assert found(socket(), talk("after")) == [
        ("after", "error", "stands after the socket of 'socket', where no caller comes: reach it by a branch")
    ]


def test_step_after_a_transfer_is_refused() -> None:
    away = Step("away", "transfer", {"conversationId": "CON-1"})
    assert found(away, talk("after")) == [
        ("after", "error", "stands after the transfer of 'away', where no caller comes: reach it by a branch")
    ]
    leads_on = Step("away", "transfer", {"conversationId": "CON-1"}, to("after"))
    assert found(leads_on, talk("after")) == [("away.then", "error", "nothing can follow a transfer: end there")]


def test_step_after_a_call_to_somebody_is_fine() -> None:
    assert found(phone(), talk("after")) == []


def test_connect_of_a_joinable_flow_may_lead_on_and_what_comes_then_is_checked() -> None:
    steps = (talk("hello"), socket(), phone(then=to("bad")), talk("never"), talk("bad", END, loop=-1))
    flow = Flow(steps, joinable=True)
    assert [(each.path, each.message) for each in flow_problems(flow, (), APPS)] == [
        ("bad.loop", "expected at least 0, got -1")
    ]


def test_joinable_flow_checks_the_endpoint_that_it_calls() -> None:
    flow = Flow((phone(number="12"),), joinable=True)
    assert [each.path for each in flow_problems(flow, (), APPS)] == ["call.endpoint.number"]


@pytest.mark.parametrize("then", [to("after"), Target("flow", flow=7)])
def test_socket_that_leads_on_is_refused(then: Target) -> None:
    problem = ("socket.then", "error", "nothing can follow a socket: use a branch for what comes after it")
    assert found(socket(then=then), talk("after"), flows=(7,)) == [problem]


def test_step_after_a_socket_that_a_branch_reaches_is_fine() -> None:
    branch = Branch("socket", "disconnected", to("after"))
    assert found(socket(), talk("after"), branches=(branch,)) == []


# Going round


@pytest.mark.parametrize(
    ("steps", "last", "again"),
    [
        ((talk("a", to("a")),), "a", "a"),
        ((talk("a"), talk("b", to("a"))), "b", "a"),
        ((talk("a"), KEYS, talk("b", to("keys"))), "b", "keys"),
    ],
)
def test_flow_that_goes_round_is_refused(steps: tuple[Step, ...], last: str, again: str) -> None:
    message = f"goes round to {again!r} without waiting for an answer: use a branch, or end there"
    assert found(*steps) == [(f"{last}.then", "error", message)]


def test_branch_may_lead_back() -> None:
    assert found(talk("a"), KEYS, branches=(Branch("keys", "wrong", to("a")),)) == []


# Outcomes


def refused(outcome: str, step: Step) -> list[str]:
    """Return what is said of a branch of ``step``, which stands second in its flow."""
    return [message for _, _, message in found(talk("a"), step, branches=(Branch(step.name, outcome, to("a")),))]


def collecting(*kinds: str, **options: Any) -> Step:
    return Step("keys", "input", {"type": [*kinds], **options}, END)


def test_unknown_outcome_is_refused_and_the_known_ones_are_named() -> None:
    assert refused("sales", KEYS) == ["expected an outcome of input (nothing, wrong, digits), got 'sales'"]


@pytest.mark.parametrize("outcome", ["0", "1234", "*", "#", "*9#", "nothing", "wrong"])
def test_outcome_of_an_input_is_digits_nothing_or_wrong(outcome: str) -> None:
    assert refused(outcome, KEYS) == []
    assert refused(outcome, collecting("speech")) == []


def test_outcome_of_speech_is_any_phrase_with_a_letter() -> None:
    assert refused("I want sales", collecting("dtmf", "speech")) == []
    assert refused("...", collecting("speech")) == [
        "expected an outcome of input (nothing, wrong, digits, a phrase), got '...'"
    ]


@pytest.mark.parametrize("outcome", ["1", "nothing", "sales"])
def test_asynchronous_input_has_no_outcomes(outcome: str) -> None:
    assert refused(outcome, collecting("dtmf", mode="asynchronous")) == [
        f"expected an outcome of input (none: it has no outcomes), got {outcome!r}"
    ]


@pytest.mark.parametrize("outcome", ["timeout", "failed", "rejected", "unanswered", "busy", "disconnected", "hung-up"])
def test_outcome_of_a_socket_is_vonages_or_the_apps(outcome: str) -> None:
    assert refused(outcome, socket(then=END)) == []


@pytest.mark.parametrize("outcome", ["finished", "1", ""])
def test_outcome_of_another_app_is_refused(outcome: str) -> None:
    assert len(refused(outcome, socket(then=END))) == 1


@pytest.mark.parametrize("outcome", ["human", "machine", "beep"])
def test_who_picked_up_is_known_where_vonage_listens_for_it(outcome: str) -> None:
    assert len(refused(outcome, phone())) == 1
    assert refused(outcome, phone(machineDetection="continue")) == []
    assert refused(outcome, phone(advancedMachineDetection={"mode": "default"})) == []


@pytest.mark.parametrize("outcome", ["human", "machine", "beep"])
def test_who_picked_up_a_call_out_is_known_at_its_first_step(outcome: str) -> None:
    assert found(talk("a"), talk("b"), branches=(Branch("a", outcome, to("b")),)) == []
    assert len(found(talk("a"), talk("b"), branches=(Branch("b", outcome, to("b")),))) == 1


def test_outcome_of_a_notify_is_its_arrival() -> None:
    assert refused("notified", Step("tell", "notify", {"payload": {}})) == []


@pytest.mark.parametrize(
    "step",
    [talk("b"), Step("b", "wait"), Step("b", "record"), Step("b", "conversation", {"name": "room"})],
)
def test_other_steps_have_no_outcomes(step: Step) -> None:
    assert refused("1", step) == [f"expected an outcome of {step.action} (none: it has no outcomes), got '1'"]


def test_socket_elsewhere_has_only_vonages_outcomes() -> None:
    assert "finished" not in possible(Step("s", "connect", {"endpoint": {"uri": "wss://example.com"}}), APPS)


def test_answers_are_told_in_words() -> None:
    assert answers(KEYS) == ["digits"]
    assert answers(collecting("speech")) == ["digits", "a phrase"]
    assert answers(talk("a")) == []


# Options


def test_problem_of_an_option_stands_at_the_steps_name() -> None:
    assert found(talk("hello"), talk("menu", loop=-1)) == [("menu.loop", "error", "expected at least 0, got -1")]


def test_step_is_checked_wherever_a_document_can_begin_and_told_once() -> None:
    branches = tuple(Branch("keys", digit, to("bad")) for digit in "12")
    assert found(KEYS, talk("end", END), talk("bad", loop=-1), branches=branches) == [
        ("bad.loop", "error", "expected at least 0, got -1")
    ]


def test_talk_that_a_key_stops_without_input_is_refused() -> None:
    assert found(talk("a", bargeIn=True)) == [("a.bargeIn", "error", "expected an input after it, got the end")]


def test_all_problems_are_found_at_once() -> None:
    steps = (talk("a", loop=-1), KEYS)
    paths = [path for path, _, _ in found(*steps, branches=(Branch("keys", "x", to("nowhere")),))]
    assert paths == ["keys.x", "keys.x", "a.loop"]


# One step by itself


def test_step_by_itself_is_checked_with_paths_of_its_action() -> None:
    step = Step("a", "talk", {"loop": -1})
    assert {each.path for each in step_problems(step)} == {"$[0].text", "$[0].loop"}


def test_step_by_itself_knows_nothing_of_its_neighbours() -> None:
    assert step_problems(talk("a", bargeIn=True)) == []


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ({"uri": "https://example.com"}, "uri"),
        ({"type": "phone", "number": "12"}, "number"),
        ({"type": "sip", "domain": "acme"}, "user"),
        ({"type": "pigeon"}, "type"),
    ],
)
def test_endpoint_is_checked_and_named_by_its_option(endpoint: dict[str, Any], path: str) -> None:
    step = Step("s", "connect", {"endpoint": endpoint})
    assert f"$[0].endpoint[0].{path}" in [each.path for each in step_problems(step) if each.severity == "error"]
    assert f"s.endpoint.{path}" in [where for where, severity, _ in found(step) if severity == "error"]


def test_prompt_without_sound_is_refused() -> None:
    step = Step("a", "stream", {"prompt": {"id": 1, "version": None}, "streamUrl": ["https://example.com/a.mp3"]})
    assert ("a.prompt", "error", "names a prompt without sound: upload one, or wait until it is converted") in found(
        step
    )
    assert found(Step("a", "stream", {"prompt": {"id": 1, "version": 2}})) == []


def test_payload_that_looks_like_a_prompt_is_none() -> None:
    assert found(Step("a", "notify", {"payload": {"version": None}})) == []


def test_problems_are_told_to_pages_as_json() -> None:
    (told,) = messages(step_problems(talk("a", loop=-1)))
    assert told == {
        "path": "$[0].loop",
        "severity": "error",
        "message": "expected at least 0, got -1",
        "source": "NCCO reference",
    }
