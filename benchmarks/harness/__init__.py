"""What measurements share: servers on a core of their own, a load generator on another, and the search for a limit."""

from __future__ import annotations
