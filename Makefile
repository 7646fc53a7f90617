# make verify   set up .venv, then certify every experiment
# make test     the same set-up, then the whole test suite, in WORKERS processes
# make thorough make test with more draws of what is drawn, and the tests that make test leaves to it
# make gate     the same set-up, then what has changed since .ci/baseline.txt was written, of every experiment's first steps
# make baseline writes that file anew
# make lowest   the whole test suite with the lowest releases that pyproject.toml names, in .venv-lowest
# make mutants  the same set-up, then small faults planted in the code, one at a time, which the tests must notice
# make lint     the same set-up, then ruff and mypy
# make bench    the same set-up, then speed, as ratios (tests/benchmarks/__init__.py says more)
#
# Needs Python with its venv module, and make. PYTHON=python3.12 chooses another interpreter.
# NumPy and torch use one thread, unless OMP_NUM_THREADS or its like says otherwise.
# Python keeps bytecode, even where PYTHONDONTWRITEBYTECODE is set: each process that runs tests would compile them all.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
export PYTHONDONTWRITEBYTECODE :=

.DELETE_ON_ERROR:
.PHONY: verify test thorough gate baseline lowest mutants lint bench clean

verify: .venv/installed
	$(BIN)/torch-mirror verify

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

thorough: .venv/installed
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m ""

# Twenty steps: by then no run has converged, and a gradient is more than its rounding errors.
GATE := $(BIN)/torch-mirror gate --baseline .ci/baseline.txt --steps 20 --quiet

gate: .venv/installed
	$(GATE)

baseline: .venv/installed
	$(GATE) --update

lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal

# MUTANTS: further options; tests/mutants.py says which.
mutants: .venv/installed
	$(BIN)/python -m tests.mutants $(MUTANTS)

# The trailing comments that give shapes are aligned by hand, so ruff checks and does not format.
lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-quiet $(BENCH)

# What is imported is compiled then, and kept. Of 11,000 files most never are: pip would take half a minute for them.
QUICKLY := --quiet --disable-pip-version-check --no-compile

# Written last, so that an interrupted installation is made again and a finished one is not.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(QUICKLY) -c constraints.txt -e '.[dev]'
	touch $@

.venv-lowest/installed: pyproject.toml tests/lowest.py
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python tests/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install $(QUICKLY) -c .venv-lowest/constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-lowest .mutants
