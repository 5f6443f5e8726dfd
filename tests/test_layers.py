"""Who may import whom: arrows go down only, and the core knows no Django, no event loop and no clock."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHELL = {"models", "ncco", "payloads", "audio", "sockets.registry", "live", "vonage", "threads", "prefix"}
DJANGO = {"django", "asgiref"}
# A layer, what of ours it may import, and which packages of others.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "audio": (set(), {"numpy", "soundfile", "soxr"}),
    "ncco": (set(), {"pydantic", "pydantic_core", "phonenumbers"}),
    # PyJWT with its clock off: the time of a token is checked against an argument.
    "payloads": (set(), {"pydantic", "jwt"}),
    "calls": ({"payloads"}, set()),
    "wire": ({"audio"}, set()),
    "sockets": ({"wire", "audio"}, {"asyncio", "pydantic", "websockets", "httpx2", "numpy"}),
    "models": ({"ncco", "payloads", "calls", "audio"}, DJANGO),
    "live": (set(), {"asyncio", "channels", "asgiref"}),
    "threads": (set(), DJANGO | {"asyncio", "time"}),
    "prefix": (set(), DJANGO),
    "defaults": ({"serving.proxies"}, {"django"}),
    "journal": (set(), set()),
    "probe": (set(), DJANGO | {"psycopg", "time"}),
    "watch": ({"probe", "threads"}, DJANGO | {"asyncio", "time"}),
    "keeping": ({"journal", "threads", "watch"}, DJANGO | {"time"}),
    "endings": ({"models", "keeping", "journal", "watch", "webhooks.turn"}, DJANGO),
    "refusing": ({"models", "threads"}, DJANGO | {"time"}),
    "vonage": ({"ncco"}, {"asyncio", "time", "httpx2", "jwt"}),
    "control": (
        {"models", "ncco", "payloads", "calls", "vonage", "live", "threads", "refusing", "webhooks", "prefix"}
        | {"sockets.registry"},
        DJANGO | {"asyncio", "time", "httpx2"},
    ),
    "admin": (SHELL | {"control", "calls"}, DJANGO | {"pydantic"}),
    "console": (SHELL, DJANGO | {"asyncio", "channels"}),
    "webhooks": (
        {"models", "ncco", "payloads", "calls", "live", "threads", "refusing", "journal", "keeping", "watch", "prefix"},
        DJANGO | {"asyncio", "time"},
    ),
    "admission": ({"sockets", "models", "ncco", "payloads", "vonage", "control"}, DJANGO),
    "garbage": (set(), set()),
    "load": ({"audio"}, {"asyncio", "time", "django"}),
    "commanding": ({"live", "sockets"}, set()),
    "peer": ({"serving.short_way", "sockets"}, {"time"}),
    "open_socket": (
        {"peer", "sockets", "wire", "live", "vonage", "threads", "admission", "commanding", "endings"},
        {"asyncio"},
    ),
    "consumers": (
        {"sockets", "wire", "audio", "models", "live", "vonage", "threads"}
        | {"admission", "control", "refusing", "load", "peer", "open_socket", "endings", "garbage"}
        | {"serving.strangers"},
        DJANGO | {"asyncio", "time", "channels"},
    ),
    "draining": ({"admission", "consumers", "load"}, {"asyncio"}),
    "serving": (set(), {"asyncio", "time", "daphne", "twisted", "zope", "uvicorn", "uvloop", "websockets"}),
    # Its rules; what executes them stands below.
    "simulator": (
        {"audio", "ncco", "wire"},
        {"numpy", "soundfile", "pydantic", "yaml", "jwt", "cryptography", "phonenumbers"},
    ),
}
# What executes the simulator's rules: it may import more, and no rule may import it.
DRIVERS = {"driver", "performing", "rest.fake", "rest.server"}
DRIVING = {"asyncio", "httpx2", "websockets", "h11"}
# The standard library is free, but for what brings a clock or an event loop.
FREE = sys.stdlib_module_names - {"asyncio", "time"}


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports, `from callflows import live` as callflows.live."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def files_of(layer: str) -> list[Path]:
    folder = ROOT / "callflows" / layer
    return list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def drives(file: Path) -> bool:
    """Whether a file of the simulator executes rules, instead of being some."""
    return file in {ROOT / "callflows" / "simulator" / f"{each.replace('.', '/')}.py" for each in DRIVERS}


def check(layer: str, files: list[Path], others: set[str]) -> None:
    """Fail when a file of a layer imports more of ours than the layer may, or another package than ``others``."""
    allowed = tuple(f"callflows.{each}." for each in {layer, *LAYERS[layer][0]})
    for name in sorted({name for file in files for name in imports(file)}):
        is_ours = f"{name}.".startswith(allowed)
        assert is_ours or name.partition(".")[0] in others | FREE, f"{layer} may not import {name}"


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_imports_only_what_stands_below_it(layer: str) -> None:
    check(layer, [each for each in files_of(layer) if not drives(each)], LAYERS[layer][1])


def test_only_the_simulators_drivers_know_an_event_loop_and_no_rule_knows_them() -> None:
    files = files_of("simulator")
    drivers = [each for each in files if drives(each)]
    assert len(drivers) == len(DRIVERS)
    check("simulator", drivers, LAYERS["simulator"][1] | DRIVING)
    drivers_names = tuple(f"callflows.simulator.{each}." for each in DRIVERS)
    for file in files:
        known = {name for name in imports(file) if f"{name}.".startswith(drivers_names)}
        assert drives(file) or not known, f"{file.name} is a rule, and may not import {known}"
