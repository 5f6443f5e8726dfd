"""Fixtures of the tests of the REST side."""

from __future__ import annotations

import pytest

from tests.simulator.rest_world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def live(world: World) -> World:
    """With one leg, answered."""
    world.platform.add()
    return world
