# Every target but help runs in .venv, which project/bootstrap.py makes and fills when needed.
PYTHON ?= python3
START = @command -v $(PYTHON) >/dev/null || { echo "callflows: there is no $(PYTHON) here; install Python 3.11 or newer, or name one: PYTHON=/path/to/python make $@"; exit 1; }

.PHONY: help demo run test test-core test-dates soak chaos bench lock install-fast

help:
	@echo "make demo    everything started, demo content loaded, one call placed against ourselves"
	@echo "make run     the server and the worker, without the demo"
	@echo "make test    all checks and all tests"
	@echo "make test-core   the tests that need no process and no database"
	@echo "make test-dates  the tests that start no process, as if it were each of seven odd moments"
	@echo "make soak    what shows only after hours; ROUND=short make soak shows a little of it in a minute"
	@echo "make chaos   calls while servers, databases and networks are killed; ROUND=short for a minute of it"
	@echo "make bench   the measurements"
	@echo "make install-fast  what the faster server needs: manage.py serve --with uvicorn"
	@echo "make lock    requirements*.lock anew, from pyproject.toml"
	@echo
	@echo "PYTHON=python3.13 chooses the Python, PORT=8080 the port, ADMIN_PASSWORD=... the admin's password."
	@echo "SEED=... repeats a run of tests with the same order and the same chance."

demo run test test-core test-dates soak chaos bench lock install-fast:
	$(START)
	@$(PYTHON) project/bootstrap.py $@
