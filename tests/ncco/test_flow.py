"""Where a flow leads: the documents it is cut into, and the branch that an outcome takes."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.flow import (
    END,
    NEXT,
    Branch,
    Flow,
    Place,
    Said,
    Step,
    Target,
    Version,
    choose,
    follow,
    retried,
    walk,
)

SOCKET = Step("socket", "connect", {"app": "echo"})
KEYS = Step("keys", "input")


def talk(name: str, then: Target = NEXT) -> Step:
    return Step(name, "talk", {"text": name}, then)


def to(step: str) -> Target:
    return Target("step", step)


def version(*steps: Step, flow_id: int = 1) -> Version:
    return Version(10 + flow_id, flow_id, Flow(steps))


def names(start: Version, *others: Version, step: int = 0) -> list[str]:
    """Return the steps of the document that begins at a step, those of other flows with their flow's number."""
    found = {each.flow_id: each for each in (start, *others)}
    places = walk(Place(start, start.flow.steps[step]), found.get)
    own = start.flow_id
    return [
        place.step.name if place.version.flow_id == own else f"{place.version.flow_id}/{place.step.name}"
        for place in places
    ]


# The walk


def test_document_goes_on_with_the_next_step_to_the_last() -> None:
    assert names(version(talk("a"), KEYS, talk("b"))) == ["a", "keys", "b"]


def test_document_begins_at_any_step() -> None:
    assert names(version(talk("a"), talk("b"), talk("c")), step=1) == ["b", "c"]


def test_document_ends_where_a_step_says_so() -> None:
    assert names(version(talk("a", END), talk("b"))) == ["a"]


def test_document_ends_with_a_socket() -> None:
    assert names(version(talk("a"), SOCKET, talk("b"))) == ["a", "socket"]


def connect(kind: str) -> Step:
    return Step("call", "connect", {"endpoint": {"type": kind}})


@pytest.mark.parametrize("kind", ["phone", "sip", "app", "vbc"])
def test_document_goes_on_after_a_call_to_somebody(kind: str) -> None:
    assert names(version(talk("a"), connect(kind), talk("b"))) == ["a", "call", "b"]


@pytest.mark.parametrize("last", [connect("websocket"), Step("call", "transfer", {"conversationId": "CON-1"})])
def test_document_ends_with_any_socket_and_with_a_transfer(last: Step) -> None:
    assert names(version(talk("a"), last, talk("b"))) == ["a", "call"]


def test_joinable_flow_lets_the_caller_wait_in_a_room_for_whoever_is_called() -> None:
    steps = (talk("a"), connect("phone"), talk("b"))
    open_flow = Version(1, 1, Flow(steps, joinable=True))
    places = list(walk(Place(open_flow, steps[0]), lambda flow: None))
    assert [(place.step.name, place.in_room) for place in places] == [("a", False), ("call", True)]


def test_endpoint_that_nobody_named_is_a_socket_and_other_actions_have_none() -> None:
    unnamed: list[dict[str, Any]] = [{}, {"endpoint": {}}, {"endpoint": None}]
    assert [Step("a", "connect", options).endpoint for options in unnamed] == ["websocket"] * 3
    assert (connect("sip").endpoint, talk("a").endpoint) == ("sip", "")


def test_prompts_of_a_step_are_those_of_a_stream_and_of_an_app() -> None:
    prompt = {"id": 1, "version": 2}
    assert list(Step("a", "stream", {"prompt": prompt, "other": prompt}).prompts()) == [("prompt", prompt)]
    assert list(Step("a", "connect", {"settings": {"tune": prompt, "x": 1}}).prompts()) == [("tune", prompt)]
    assert list(Step("a", "stream", {"prompt": "a text that came with an import"}).prompts()) == []
    assert list(Step("a", "notify", {"payload": prompt, "settings": {"prompt": prompt}}).prompts()) == []
    assert list(SOCKET.prompts()) == []


def test_document_jumps_to_a_named_step() -> None:
    assert names(version(talk("a", to("c")), talk("b"), talk("c"))) == ["a", "c"]


def test_document_ends_where_a_named_step_does_not_exist() -> None:
    assert names(version(talk("a", to("nowhere")), talk("b"))) == ["a"]


def test_document_does_not_go_round() -> None:
    assert names(version(talk("a"), talk("b", to("a")), talk("c"))) == ["a", "b"]
    assert names(version(talk("a", to("a")))) == ["a"]


def test_document_goes_on_in_another_flow() -> None:
    other = version(talk("a"), talk("b"), flow_id=2)
    assert names(version(talk("a", Target("flow", flow=2)), talk("b")), other) == ["a", "2/a", "2/b"]


def test_two_flows_that_lead_to_each_other_end() -> None:
    other = version(talk("a", Target("flow", flow=1)), flow_id=2)
    assert names(version(talk("a", Target("flow", flow=2))), other) == ["a", "2/a"]


@pytest.mark.parametrize("other", [(), (version(flow_id=2),)])
def test_document_ends_where_another_flow_has_no_version_or_no_steps(other: tuple[Version, ...]) -> None:
    assert names(version(talk("a", Target("flow", flow=2)), talk("b")), *other) == ["a"]


def test_every_place_is_the_first_attempt() -> None:
    start = version(talk("a"), KEYS)
    assert [place.attempt for place in walk(Place(start, start.flow.steps[0]), lambda flow: None)] == [1, 1]


# Targets


def test_end_leads_nowhere() -> None:
    start = version(talk("a"))
    assert follow(start, END, lambda flow: None, start.flow.steps[0]) is None


def test_next_without_a_place_leads_nowhere() -> None:
    assert follow(version(talk("a")), NEXT, lambda flow: None) is None


def test_another_flow_is_entered_at_its_first_step() -> None:
    other = version(talk("x"), talk("y"), flow_id=2)
    place = follow(version(talk("a")), Target("flow", flow=2), {2: other}.get)
    assert place == Place(other, other.flow.steps[0])


@pytest.mark.parametrize(
    ("target", "text"), [(NEXT, "next"), (END, "end"), (to("a"), "step a"), (Target("flow", flow=3), "flow 3")]
)
def test_target_is_named_in_words(target: Target, text: str) -> None:
    assert str(target) == text


# Branches


def chosen(outcomes: tuple[str | Said, ...], *branches: tuple[str, str, int | None], attempt: int = 1) -> str | None:
    """Return the step to which the branch of ``keys`` leads that fits; branches are (outcome, step, at most)."""
    flow = Flow((KEYS,), tuple(Branch("keys", outcome, to(step), most) for outcome, step, most in branches))
    found = choose(flow, "keys", outcomes, attempt)
    return found.target.step if found else None


def test_exact_digits_come_before_wrong_in_whatever_order_they_stand() -> None:
    assert chosen(("1", "wrong"), ("wrong", "again", None), ("1", "one", None)) == "one"


def test_other_digits_are_wrong() -> None:
    assert chosen(("9", "wrong"), ("1", "one", None), ("wrong", "again", None)) == "again"
    assert chosen(("12", "wrong"), ("1", "one", None)) is None


def test_branch_of_another_step_does_not_fit() -> None:
    flow = Flow((KEYS,), (Branch("other", "1", to("one")),))
    assert choose(flow, "keys", ("1",), 1) is None


def test_no_outcome_takes_no_branch() -> None:
    assert chosen((), ("wrong", "again", None)) is None


# What a caller said


MENU = (("sales", "sales", None), ("support", "support", None), ("2", "two", None), ("wrong", "again", None))


def test_phrase_that_was_said_chooses_its_branch_and_anything_else_is_wrong() -> None:
    assert chosen((Said("Sales, please!"), "wrong"), *MENU) == "sales"
    assert chosen((Said("two"), "wrong"), *MENU) == "two"
    assert chosen((Said("the weather"), "wrong"), *MENU) == "again"


def test_first_alternative_of_recognition_that_fits_is_the_one() -> None:
    assert chosen((Said("whales"), Said("support"), Said("sales"), "wrong"), *MENU) == "support"


def test_keys_come_before_what_was_said() -> None:
    assert chosen(("2", Said("sales"), "wrong"), *MENU) == "two"


def test_caller_who_names_two_branches_is_asked_again_unless_they_lead_to_the_same() -> None:
    assert chosen((Said("sales or support"), "wrong"), *MENU) == "again"
    assert chosen((Said("sales or orders"),), ("sales", "sales", None), ("orders", "sales", None)) == "sales"


def test_words_of_ours_are_no_phrases() -> None:
    assert chosen((Said("wrong"),), ("wrong", "again", None), ("nothing", "again", None)) is None


def test_keys_that_were_pressed_are_never_a_phrase() -> None:
    assert chosen(("2", "wrong"), ("two", "phrase", None), ("wrong", "again", None)) == "again"


def test_phrase_has_a_limit_too() -> None:
    branches = (("sales", "sales", 1), ("sales", "busy", None))
    assert [chosen((Said("sales"),), *branches, attempt=attempt) for attempt in (1, 2)] == ["sales", "busy"]


@pytest.mark.parametrize(("attempt", "step"), [(1, "again"), (2, "again"), (3, "goodbye"), (100, "goodbye")])
def test_branch_is_taken_so_often_and_then_the_next_one(attempt: int, step: str) -> None:
    branches = (("nothing", "again", 2), ("nothing", "goodbye", None))
    assert chosen(("nothing",), *branches, attempt=attempt) == step


def test_coming_back_to_the_step_counts_as_another_attempt() -> None:
    here = version(talk("sorry"), KEYS)
    origin = Place(here, KEYS, 2)
    document = [retried(origin, place) for place in walk(Place(here, here.flow.steps[0]), lambda flow: None)]
    assert [(place.step.name, place.attempt) for place in document] == [("sorry", 1), ("keys", 3)]


def test_step_of_the_same_name_in_another_flow_is_a_first_attempt() -> None:
    assert retried(Place(version(KEYS), KEYS, 2), Place(version(KEYS, flow_id=2), KEYS)).attempt == 1


def test_flow_survives_writing_and_reading() -> None:
    flow = Flow(
        (
            talk("a", to("keys")),
            KEYS,
            Step("s", "connect", {"app": "play", "settings": {"prompt": {"version": 4}}}, END),
        ),
        (Branch("keys", "1", Target("flow", flow=2), 2), Branch("keys", "wrong", to("a"))),
    )
    assert Flow.from_json(flow.to_json()) == flow
    assert Flow.from_json({**flow.to_json(), "joinable": True}).joinable


def test_flow_of_before_there_were_joinable_ones_is_none() -> None:
    stored = Flow((talk("a"),)).to_json()
    del stored["joinable"]
    assert Flow.from_json(stored) == Flow((talk("a"),))


def test_steps_that_are_led_to_by_name() -> None:
    flow = Flow((talk("a", to("c")), talk("b"), talk("c")), (Branch("a", "1", to("d")),))
    assert flow.named() - {""} == {"c", "d"}
