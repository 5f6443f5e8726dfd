from __future__ import annotations

from callflows.admin.drawing import BOX_WIDTH, Drawing, Line, draw
from callflows.ncco.flow import END, Branch, Flow, Step, Target


def step(name: str, action: str = "talk", then: Target | None = None, **options: object) -> Step:
    return Step(name, action, options, then or Target("next"))


def branch(name: str, outcome: str, to: str, at_most: int | None = None) -> Branch:
    return Branch(name, outcome, Target("step", to), at_most)


def sideways(drawing: Drawing) -> list[Line]:
    return [line for line in drawing.lines if line.at]


def test_steps_stand_in_a_column_and_lead_down() -> None:
    drawing = draw(Flow((step("hello"), step("menu", "input"), step("bye", then=END))), {})
    assert [(box.name, box.what) for box in drawing.boxes] == [("hello", "talk"), ("menu", "input"), ("bye", "talk")]
    tops = [box.top for box in drawing.boxes]
    assert tops == sorted(tops)
    down = [line for line in drawing.lines if not line.at]
    one, two, _ = drawing.boxes
    assert down[0].path == f"M {one.middle} {one.bottom} V {two.top}"
    assert len(down) == 2
    assert [line.ends for line in sideways(drawing)] == ["the call ends"]


def test_outcomes_with_one_target_share_a_line() -> None:
    menu = (step("menu", "input"), step("sales"), step("bye"))
    branches = (
        branch("menu", "1", "sales"),
        branch("menu", "sales", "sales"),
        branch("menu", "wrong", "menu", 2),
        branch("menu", "nothing", "menu", 2),
        branch("menu", "wrong", "bye"),
    )
    drawing = draw(Flow(menu, branches), {})
    assert [line.label for line in sideways(drawing)] == ["1, sales", "wrong, nothing (at most 2)", "wrong"]
    sales = drawing.boxes[1]
    assert sideways(drawing)[0].path.endswith(f"V {sales.top + 11} H {BOX_WIDTH}")


def test_lines_that_meet_run_in_lanes_of_their_own() -> None:
    steps = tuple(step(f"step-{place}") for place in range(6))
    branches = (branch("step-0", "a", "step-3"), branch("step-1", "b", "step-5"), branch("step-4", "c", "step-5"))
    one, two, three = (int(line.path.split(" H ")[1].split()[0]) for line in sideways(draw(Flow(steps, branches), {})))
    assert one != two
    assert three == one


def test_nothing_leads_down_from_a_socket_or_a_transfer() -> None:
    steps = (step("bot", "connect", app="echo"), step("away", "transfer"), step("last"))
    drawing = draw(Flow(steps), {})
    assert not drawing.lines
    assert drawing.boxes[0].what == "connect: echo"


def test_other_flows_are_named_and_what_is_not_there_is_told() -> None:
    steps = (step("one", then=Target("flow", "", 7)), step("two", then=Target("flow", "", 8)))
    drawing = draw(Flow(steps, (branch("one", "1", "nowhere"),)), {7: "Sales"})
    assert [(line.ends, line.lost) for line in sideways(drawing)] == [
        ("no step nowhere", True),
        ("flow Sales", False),
        ("a flow that is gone", True),
    ]


def test_long_names_and_phrases_are_shortened() -> None:
    steps = (step("a-name-that-is-longer-than-its-box", "input"), step("b"))
    phrase = "I would like to speak with somebody"
    drawing = draw(Flow(steps, (branch(steps[0].name, phrase, "b"),)), {})
    assert drawing.boxes[0].short == "a-name-that-is-longer-t…"
    assert sideways(drawing)[0].short == "I would like to speak with …"
    assert sideways(drawing)[0].label == phrase


def test_flow_without_steps_is_no_drawing() -> None:
    assert draw(Flow(), {}).boxes == []
