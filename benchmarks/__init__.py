"""Each module measures one thing, with one command, and prints ratios of that one run."""

from __future__ import annotations
