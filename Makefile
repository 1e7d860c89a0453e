# The one task runner. `make` prints help. Needs GNU make, a POSIX shell and Python 3.11.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# The other queues of `make bench` live apart: they want another redis-py than the platform.
PEERS := .venv-bench
# Two more processes than two cores have: many tests wait for servers, browsers and killed workers.
JOBS ?= 4
# The tests' own databases lie in memory where there is room: nothing waits for a disk there.
ROOM := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 { print "/dev/shm" }')
# Bytecode is kept even where the environment forbids it: else each of the hundreds of processes
# that the tests start compiles the platform anew, and each of theirs all tests.
KEPT := PYTHONDONTWRITEBYTECODE=
TESTED := $(KEPT) $(if $(ROOM),PYTEST_DEBUG_TEMPROOT=$(ROOM)) $(BIN)/python -m pytest
# Options of `make demo`.
FILE ?=
KILLS ?=
LATENCY ?=
KEEP ?=
# What to hand on to pytest: make test ARGS="-k cancel -x".
ARGS ?=

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq --require-hashes

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up down demo test check format chaos bench screenshots catalogue payloads requirements \
	clean browser fonts benchfiles python

help: ## Print this list
	@echo "Meet2Be. The targets of make:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: PYTHON=$(PYTHON)  ARGS= (pytest)  FILE= KILLS= LATENCY= KEEP=1 (demo)"

setup: $(STAMPS)/run fonts ## Make the virtual environment and install what the platform runs on
	@:

up: $(STAMPS)/run ## Start the platform and leave it running; prints the address and the log-ins
	@$(BIN)/python -m meet2be.cli up

down: $(STAMPS)/run ## Stop what `make up` started
	@$(BIN)/python -m meet2be.cli down

demo: $(STAMPS)/run ## Cancel a conference of 5,000 while workers are killed; the exit code is the verdict
	@$(BIN)/python -m demo $(if $(FILE),--file '$(FILE)') $(if $(KILLS),--kills '$(KILLS)') \
		$(if $(LATENCY),--latency '$(LATENCY)') $(if $(KEEP),--keep)

test: $(STAMPS)/test $(STAMPS)/check $(STAMPS)/compiled browser fonts ## Run all tests but the long ones (ARGS="-k word -x")
	@$(TESTED) -n $(JOBS) --dist loadscope $(ARGS)

check: $(STAMPS)/test $(STAMPS)/check ## Format, lint, types, import directions, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(TESTED) -q -n $(JOBS) tests/unit $(ARGS)

format: $(STAMPS)/check ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

chaos: $(STAMPS)/test ## The long random runs: thousands of kills (ARGS="-k word")
	@$(BIN)/python -m pytest -m chaos --timeout 3600 $(ARGS)

bench: $(STAMPS)/test $(PEERS)/installed ## Measure the queue beside five others on one server
	@$(BIN)/python tests/bench/run.py --peers $(PEERS) $(ARGS)

benchfiles: $(STAMPS)/test fonts ## Measure exports beside the bare libraries (ARGS="--csv 1000000 …")
	@$(BIN)/python tests/bench/exports.py $(ARGS)

screenshots: $(STAMPS)/test browser ## Take the pictures of the pages for the README and the docs
	@$(BIN)/python tests/browser/screenshots.py $(ARGS)

catalogue: $(STAMPS)/test ## Write the pages made from the code and from the marks in the tests
	@cd tests && ../$(BIN)/python -m support

payloads: $(STAMPS)/test ## Keep a payload of each new job class in tests/golden/payloads
	@cd tests && ../$(BIN)/python -m support.golden_payloads

# Compiled for 3.11 on any machine; the addresses of indexes stay out of the files.
COMPILE := uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate
requirements: ## Pin the versions anew, with hashes (needs uv; UPGRADE=1 takes newer ones)
	@command -v uv >/dev/null || { echo "uv is not installed: python3.11 -m pip install uv" >&2; exit 1; }
	@cd requirements && for name in build run test check bench; do \
		$(COMPILE) $(if $(UPGRADE),--upgrade) $$name.in --output-file $$name.txt || exit 1; done
	@! grep -nE '^ *--(index|extra|find)|://' requirements/*.txt

clean: ## Remove caches and built files; the environment and var/ stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov dist
	@find . -name __pycache__ -not -path './.venv*' -type d -prune -exec rm -rf {} +
	@rm -f $(STAMPS)/compiled

# ---- what the targets above stand on -------------------------------------------------------------

python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "'$(PYTHON)' was not found. Install Python 3.11 or newer (Debian: apt-get install" \
		"python3.11 python3.11-venv), or name yours: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "'$(PYTHON)' is older than Python 3.11. Name another: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian: apt-get install python3.11-venv" >&2; exit 1; }

# An order-only need: the check runs when the environment is missing, and never makes it stale.
$(BIN)/python:
	@$(MAKE) --no-print-directory python
	@echo "Making the virtual environment in $(VENV)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)

$(STAMPS)/run: requirements/build.txt requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the platform runs on"
	@$(INSTALL) -r requirements/build.txt
	@$(INSTALL) -r requirements/run.txt
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: requirements/test.txt $(STAMPS)/run
	@echo "Installing what the tests need"
	@$(INSTALL) -r requirements/test.txt
	@touch $@

# In a fresh checkout all processes of the tests would compile the same files at the same time. What
# is wrong with a file is told by the tests' own run.
$(STAMPS)/compiled: | $(STAMPS)/test
	@$(KEPT) $(BIN)/python -m compileall -q -j 0 platform jobs workers migrations || true
	@$(TESTED) -q --collect-only tests/integration tests/browser >/dev/null 2>&1 & \
		$(TESTED) -q --collect-only tests/unit tests/contract tests/crash >/dev/null 2>&1; wait
	@touch $@

$(STAMPS)/check: requirements/check.txt $(STAMPS)/run
	@echo "Installing the linters"
	@$(INSTALL) -r requirements/check.txt
	@touch $@

$(PEERS)/installed: requirements/bench.txt | python
	@echo "Installing the other queues to measure against in $(PEERS)"
	@rm -rf $(PEERS) && $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --no-input install -qq \
		--require-hashes -r requirements/bench.txt
	@touch $@

# Exports as PDF: the library that lays text out, and a small font for each script (15 MB in all).
FONTS := libpango-1.0-0 libpangoft2-1.0-0 fontconfig fonts-dejavu-core fonts-droid-fallback \
	fonts-noto-color-emoji
fonts: $(STAMPS)/run
	@$(BIN)/python -m meet2be.exports.pdf_fonts 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing what PDFs need: $(FONTS)"; \
			apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends $(FONTS) >/dev/null; \
		else \
			$(BIN)/python -m meet2be.exports.pdf_fonts >&2; \
			echo "Exports as PDF need it; everything else works without." >&2; \
		fi; } || true

# The pages are tested with the system's Chromium: its package brings the libraries it needs.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Chromium for the browser tests"; \
			apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
		else \
			echo "Chromium is missing, so the browser tests will be skipped (under CI=true they fail)." \
				"Install it: apt-get install chromium" >&2; \
		fi; }
