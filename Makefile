# Every target makes its own environment: Python 3.11+, make and a package index are enough.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first Python that is new enough; PYTHON=... says otherwise.
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
  "$$p" -c '$(ENOUGH)' 2>/dev/null && echo "$$p"; done; true) python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := smart-meters
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# What holds money and metering to their edges, without the runs of the simulator.
MONEY_TESTS = $(shell grep -lE '^ *from vpg\.(billing|rating)' tests/unit/*.py tests/property/*.py \
  | grep -vE 'sim_|planes|sweep|replicat|charts|tidy|within|series|findings') tests/unit/test_doctests.py

.PHONY: help demo test test-long cover lint bench docs lock clean venv

help:  ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

# The third-party part: exactly the pinned wheels, hashes checked, nothing built here.
$(VENV)/.pinned: constraints.txt
	@$(PYTHON) -c '$(ENOUGH)' || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes --only-binary :all: -r constraints.txt
	touch $@

# Our part: editable, with the pinned build back end, so no download and no isolated build.
$(VENV)/.installed: $(VENV)/.pinned pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

venv: $(VENV)/.installed  ## make the environment .venv

demo: venv  ## simulate a shipped scenario that meets its objectives, bill it, draw it
	@mkdir -p runs
	$(BIN)/vpg new $(DEMO) --force --out runs/$(DEMO).yaml
	$(BIN)/vpg run runs/$(DEMO).yaml

lint: venv  ## style, types, layers, dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

test: lint  ## lint and the tests, short forms
	$(BIN)/python -m pytest -n 2

test-long: lint  ## lint and the tests, long forms too
	$(BIN)/python -m pytest -n 2 -m "long or not long" --timeout 3600

cover: venv  ## every branch of money and metering has a test (a minute)
	$(BIN)/coverage run -m pytest -q $(MONEY_TESTS)
	$(BIN)/coverage report

bench: venv  ## every figure of speed
	$(BIN)/python -m tests.bench

docs: venv  ## write the generated pages anew and run the documents' examples
	$(BIN)/python -m docs.build
	$(BIN)/python -m pytest tests/docs

lock:  ## pin today's releases, with hashes, in constraints.txt (needs uv)
	uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --fork-strategy fewest --quiet --python-version 3.11 --all-extras --output-file constraints.txt pyproject.toml

clean:  ## remove what the other targets made, runs/ excepted
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/failures
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
