"""What is left of calls when what they need is taken away: one round in `make test`, many in `make chaos`."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator


def rounds() -> Iterator[random.Random]:
    """Yield the chance of each round; SEED and the number of a round give it again."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**31))
    for number in range(int(os.environ.get("CHAOS_ROUNDS") or 1)):
        print(f"round {number} of SEED={seed}", flush=True)
        yield random.Random(f"{seed} {number}")
