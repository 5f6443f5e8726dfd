"""Runs a command of manage.py under a clock 40 s ahead: `python -m tests.ahead 40 work`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import time_machine

from manage import main

if __name__ == "__main__":
    _, seconds, *rest = sys.argv
    sys.argv = ["manage.py", *rest]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(seconds))):
        main()
