"""Knows how to run our server and worker together: started, watched and ended as one."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import TracebackType

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse

# A service manager, a closed terminal and Ctrl-C all end us in the same way.
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
START_SECONDS = 20
# Both end within 3 s: open calls get most of that to be closed and recorded.
DRAIN_SECONDS = 1.5
END_SECONDS = 2.5


class ChildEnded(Exception):
    """A process that should go on has ended: says which, and how."""


class Processes:
    """`manage.py serve` and `manage.py work` at a port; leaving the block ends both."""

    def __init__(self, port: int, log_level: str) -> None:
        self.port, self.log_level = port, log_level
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        self.handlers = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
        self.start("serve", "--port", str(self.port), "--drain", str(DRAIN_SECONDS))
        self.start("work")
        return self

    def start(self, name: str, *arguments: str) -> None:
        """Start a command of ours in a process group of its own: a terminal's Ctrl-C reaches only us, who end it."""
        self.children[name] = subprocess.Popen(
            [sys.executable, "manage.py", name, *arguments],
            cwd=settings.BASE_DIR,
            env={**os.environ, "LOG_LEVEL": self.log_level},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def check(self) -> None:
        """Raise ChildEnded when one of them has."""
        for name, child in self.children.items():
            if (code := child.poll()) is not None:
                how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
                raise ChildEnded(f"`manage.py {name}` has ended {how}; what it said stands above")

    def wait_until_alive(self) -> None:
        """Wait until the server answers. Raises ChildEnded, also when it takes longer than 20 s."""
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{self.port}{reverse('callflows:healthz')}"):
            self.check()
            if time.monotonic() > deadline:
                raise ChildEnded(f"`manage.py serve` did not answer /healthz within {START_SECONDS} s")
            time.sleep(0.05)

    def watch(self) -> None:
        """Wait until a process ends (ChildEnded) or a signal comes (KeyboardInterrupt)."""
        while True:
            self.check()
            time.sleep(0.2)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """End both within 3 s; a signal is no error."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        for child in self.children.values():
            child.terminate()
        deadline = time.monotonic() + END_SECONDS
        for child in self.children.values():
            try:
                child.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def prepare() -> str:
    """Bring the database up to date and see to an admin user; return what to say about the password."""
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    user = users.filter(username="admin").first()
    password = settings.ADMIN_PASSWORD or ("" if user else secrets.token_urlsafe(9))
    if user is None:
        users.create_superuser("admin", "", password)
    elif password and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    if settings.ADMIN_PASSWORD:
        return "password as ADMIN_PASSWORD says"
    return (
        f"password {password} (shown only this once)"
        if password
        else "password as shown at the first start; ADMIN_PASSWORD=... sets another"
    )
