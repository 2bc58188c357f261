# Every target sets up what it needs. The virtual environment lives in .venv; PYTHON picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# torch and torchvision go in first, as a pair that fits together.
TORCH := torch==2.14.1 torchvision==0.29.1

.PHONY: serve test check fuzz chaos bench lint types format page clean help

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

serve: $(VENV)/.serve  ## Start the assistant (fetches its models the first time)
	$(BIN)/hearsight serve $(ARGS)

test: $(VENV)/.dev  ## Run all tests
	$(BIN)/hearsight models pull
	$(BIN)/python -m pytest $(ARGS)

check: lint types  ## Lint, types, and `make test` with coverage
	$(MAKE) test ARGS="--cov --cov-report=term:skip-covered $(ARGS)"
	$(BIN)/python -m coverage report --include='streams/*' --fail-under=90 --format=total
	$(BIN)/python -m coverage report --include='agent/*' --fail-under=90 --format=total

fuzz: $(VENV)/.dev  ## Hold the session to its promises in 100,000 random conversations and more
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-10000} $(BIN)/python -m pytest tests/streams/session/test_invariants.py $(ARGS)

chaos: $(VENV)/.dev  ## Kill a service 200 times over 20 conversations, and count what is lost
	$(BIN)/hearsight models pull
	CHAOS_KILLS=$${CHAOS_KILLS:-200} CHAOS_CLIENTS=$${CHAOS_CLIENTS:-20} $(BIN)/python -m pytest -s tests/chaos $(ARGS)

bench: $(VENV)/.dev  ## Measure latency, accuracy and sessions per machine; writes docs/benchmarks.md
	$(BIN)/hearsight models pull
	$(BIN)/python bench/run.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev  ## Sort imports and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

page:  ## Build the browser page anew (needs Node 20 or newer)
	npm --prefix web ci --no-audit --no-fund
	npm --prefix web run build

clean:  ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded,local]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[embedded,local,gemma3n,mcp,postgres,dev]'
	@touch $@ $(VENV)/.serve
