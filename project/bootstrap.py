"""Knows how to come from a fresh clone to a virtual environment with everything in it, and into a command there.

Run by whatever Python `make` finds, so it uses nothing but that Python's own library, and no syntax newer than 3.6:
an old Python must be able to read it, to say that it is old.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import NoReturn, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)

# What each target needs, and what it becomes.
TARGETS = {
    "demo": ("requirements.lock", ["manage.py", "demo"]),
    "run": ("requirements.lock", ["manage.py", "run"]),
    "test": ("requirements-dev.lock", ["-m", "tests.run"]),
    "test-core": ("requirements-dev.lock", ["-m", "tests.core"]),
    "test-dates": ("requirements-dev.lock", ["-m", "tests.moments"]),
    "soak": ("requirements-dev.lock", ["-m", "tests.long", "soak"]),
    "chaos": ("requirements-dev.lock", ["-m", "tests.long", "chaos"]),
    "install-fast": (
        "requirements-deploy.lock",
        ["-c", "print('Now: .venv/bin/python manage.py serve --with uvicorn')"],
    ),
    "bench": ("requirements-dev.lock", ["-m", "benchmarks"]),
    "lock": ("requirements-dev.lock", ["-m", "project.lock"]),
}


def refuse(sentence: str) -> NoReturn:
    sys.exit("callflows: " + sentence)


def check_python(version: Sequence[int], target: str) -> None:
    """Refuse a Python that is too old, or that cannot make virtual environments."""
    if tuple(version[:2]) < OLDEST:
        refuse(
            "this needs Python 3.11 or newer, and {} is {}.{}; "
            "install a newer one and run: PYTHON=python3.11 make {}".format(sys.executable, *version[:2], target)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        refuse(
            "{} comes without venv; on Debian or Ubuntu run: apt-get install python3-venv, then: make {}".format(
                sys.executable, target
            )
        )


def check_folder(folder: str) -> None:
    """Refuse a folder that we cannot write to."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        refuse("cannot write to {} ({}); make it yours, or clone into a folder of yours".format(folder, error.strerror))


def check_port(text: str, target: str) -> None:
    """Refuse a port that is no port, or taken, before anything is installed or migrated."""
    if not (text.isdigit() and 0 < int(text) < 65536):
        refuse("PORT is {!r}, expected a number from 1 to 65535; run: PORT=8000 make {}".format(text, target))
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(text)))
    except OSError as error:
        refuse("cannot use port {} ({}); choose another: PORT=8080 make {}".format(text, error.strerror, target))
    finally:
        probe.close()


def make_venv() -> None:
    """Make .venv, anew when it is another Python's or broken."""
    wanted = "{}.{}".format(*sys.version_info)
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    try:
        found = subprocess.check_output([PYTHON, "-c", code], universal_newlines=True).strip()
    except (OSError, subprocess.CalledProcessError):
        found = ""
    if found != wanted:
        print("Making .venv with Python {} ...".format(wanted), flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        if subprocess.call([sys.executable, "-m", "venv", VENV]):
            refuse("could not make {}, for the reason above".format(VENV))


def install(lock: str) -> None:
    """Install what the lock file lists, unless that was done: the stamp says for which lock."""
    with open(os.path.join(ROOT, lock), "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    stamp = os.path.join(VENV, lock + ".installed")
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return
    print("Installing what {} lists into .venv, once ...".format(lock), flush=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    if subprocess.call([*pip, "--require-hashes", "-r", os.path.join(ROOT, lock)]):
        refuse("pip could not install {}, for the reason above; is there a network?".format(lock))
    with open(stamp, "w") as file:
        file.write(wanted)


def main(target: str) -> None:
    lock, command = TARGETS[target]
    check_python(sys.version_info[:3], target)
    check_folder(ROOT)
    if target in ("demo", "run"):
        check_port(os.environ.get("PORT") or "8000", target)
    make_venv()
    install(lock)
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(PYTHON, [PYTHON, *command])


if __name__ == "__main__":
    main(sys.argv[1])
