# On a fresh machine with Python 3.11 and git: `make demo` runs the main job, `make test` the tests.
# Folders of tests run in their order, so that the long chains start first.
# Tests of faults need strace, tests of pages chromium (Debian packages); where CI is set they fail without them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
NAME ?=
# Tests wait for Ray a third of the time: three processes keep two cores busy. Each takes about 2 GB.
WORKERS ?= 3

# Tests and jobs start hundreds of processes, which read compiled modules where they are kept.
unexport PYTHONDONTWRITEBYTECODE

SEEDS ?= 100
START ?= 0

.PHONY: demo test check docs bench fuzz chaos test-slow lint setup

demo: setup
	$(BIN)/tribute demo

test: setup
	$(BIN)/pytest -m "not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: setup
	$(BIN)/pytest -m slow

# Side by side, with the output of each kept together.
check: setup
	$(MAKE) --jobs=3 --output-sync=line lint docs test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict

# Without a NAME it lists the benchmarks with their minutes; NAME=all runs all. STALE=1 lists the committed figures
# whose code has changed since they were measured, and measures nothing.
bench: setup
	$(BIN)/python tests/benchmarks/$(if $(STALE),stale.py,run.py $(NAME))

# Draws projects, and stops with code 1 where one ends neither right nor refused. SEEDS=1 START=k replays seed k.
fuzz: setup
	$(BIN)/python tests/fuzz/run.py $(SEEDS) $(START)

# Lets faults hit the commands of two months, and stops with code 1 where a row is lost or doubled, or a message is not
# plain. SEEDS=1 START=k replays seed k.
chaos: setup
	$(BIN)/python tests/chaos/run.py $(SEEDS) $(START)

setup: $(VENV)/.ready

# The constraints pin what was tested, and the CPU build of torch; a GPU machine installs its own torch first.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@
