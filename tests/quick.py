"""Runs a command of manage.py for which peers are dead after 6 s: `python -m tests.quick serve`."""

from __future__ import annotations

import sys

# First: what is imported after it takes its values.
from callflows import serving

serving.PING_SECONDS, serving.PONG_SECONDS, serving.STUCK_SECONDS = 2, 4, 3

from manage import main  # noqa: E402  (see above)

if __name__ == "__main__":
    sys.argv[0] = "manage.py"
    main()
