"""Knows how the figures of all measurements stand on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

TITLES = {
    "echo": "Echo calls on one core",
    "own_code": "Our own code, per frame",
    "answers": "The answer webhook, to a bare Django view with one INSERT",
    "pace": "Pace: 100 players, far ends with other clocks that stall",
    "first_sound": "First sound after `websocket:connected`",
    "interruption": "Interruption by a key, with 100 calls",
    "recording": "Recording two channels of 100 calls",
    "prompts": "Prompt conversion",
}
PACKAGES = ("django", "channels", "daphne", "twisted", "autobahn", "uvicorn", "websockets", "uvloop", "node")
HEAD = """# Performance

Written by `.venv/bin/python -m benchmarks --docs`, from one run on one machine; `make bench` measures yours. What each
figure means, and how it is measured, stands in [benchmarks/README.md](../benchmarks/README.md). Compare ratios, not
figures, between machines. What an echo costs, and what was tried to make it less:
[decision 16](decisions/0016-one-short-way.md).
"""


def page(found: Mapping[str, Any]) -> str:
    """Return the page of the figures of all modules; what is not among them was not measured, and the page says so."""
    parts = [HEAD, *_machine(found)]
    for name, title in TITLES.items():
        parts.append(f"## {title}\n")
        parts.append("\n".join(_section(name, found[name])) + "\n" if name in found else "Not measured.\n")
    return "\n".join(parts)


def _machine(found: Mapping[str, Any]) -> Iterator[str]:
    about = next((each["machine"] for each in found.values() if "machine" in each), None)
    if about:
        packages = ", ".join(f"{name} {about[name]}" for name in PACKAGES if about.get(name))
        yield (
            f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}; load before "
            f"{about['load_before']}; {about['date'][:16].replace('T', ' ')} UTC. {packages}.\n"
        )


def _section(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    if name == "echo":
        yield from _servers(found["servers"])
    if name == "prompts":
        yield from _prompts(found)
    if found.get("aims"):
        yield from ("| figure | value | aim | |", "|---|---|---|---|")
        yield from (_aim(each) for each in found["aims"])


def _servers(servers: Mapping[str, Any]) -> Iterator[str]:
    yield "| server | calls, p99 of added latency at most 20 ms | us a frame, there and back | with 500 calls |"
    yield "|---|---|---|---|"
    for each in servers.values():
        took = f"{each['microseconds']:.1f}" if each["microseconds"] else "–"
        shares, late = each["together"], each["together_p99"]
        together = f"{median(shares):.0%} of the core, p99 {median(late):.1f} ms" if shares else "–"
        yield f"| {each['label']} | {each['limit']} | {took} | {together} |"
    yield ""


def _prompts(found: Mapping[str, Any]) -> Iterator[str]:
    head, *rows = found["rows"]
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found["ratios"].items())
    yield f"Processor time of others as a multiple of ours (1 and more: we are no slower): {ratios or 'none was here'}."


def _aim(aim: Mapping[str, Any]) -> str:
    value = aim["value"]
    shown = "–" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    least, most = aim.get("least"), aim.get("most")
    wanted = f"at least {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
    verdict = {True: "met", False: "**missed**", None: "not measured" if value is None else ""}[aim["met"]]
    return f"| {aim['name']} | {shown} {aim['unit']}".rstrip() + f" | {wanted} | {verdict} |"
