# Everything here needs only Python 3.11 or newer and make. `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help

CANDIDATES := python3.13 python3.12 python3.11 python3
IS_SUITABLE := import ensurepip, sys, venv; raise SystemExit(sys.version_info < (3, 11))
# Asked only when the environment is built: a name on the path may be a shim that does not run.
PYTHON ?= $(shell for p in $(CANDIDATES); do "$$p" -c '$(IS_SUITABLE)' 2>/dev/null && echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
FUZZ := $(VENV)/.fuzz
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK_TOOL := uv==0.13.9

SOURCES := cardwire gateway worker shared simulator
# Folders that a checkout may not have yet are left out instead of failing the check.
CHECKED := $(wildcard $(SOURCES) tests bench examples)
FAIL_UNDER ?= 0
COVERAGE := --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under=$(FAIL_UNDER)
# Most tests wait for brokers and databases; a file stays in one process, so that its services are started once.
PROCESSES ?= -n 2 --dist loadfile
ARGS ?=

.PHONY: help setup demo test test-fast check fmt chaos soak compose-test bench bench-gateway fuzz lock clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) ## Build .venv with everything for work on Cardwire

demo: $(RUNTIME) ## Click a card and watch it change: gateway, worker and simulator, no account needed
	@$(BIN)/cardwire demo --once $(ARGS)

test: $(DEV) ## Run every test this machine can run, and say what it skipped and why
	@$(BIN)/python -m pytest $(PROCESSES) $(COVERAGE) $(ARGS)

test-fast: $(DEV) ## Run the tests that need no service and no second process
	@$(BIN)/python -m pytest $(wildcard tests/unit tests/property) -m "not kafka and not postgres and not slow" $(ARGS)

check: $(DEV) ## Check format, lint, types and import rules, as CI does
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/lint-imports --no-logo

fmt: $(DEV) ## Format, and repair what the linter can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

chaos: $(DEV) ## Kill processes and brokers and check that nothing is lost (ARGS="--seed 7", "--matrix workers")
	@$(BIN)/python -m tests.chaos $(if $(findstring --matrix,$(ARGS)),,--full) $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m tests.chaos --matrix gateways)
	@$(if $(ARGS),,$(BIN)/python -m tests.chaos --matrix workers)

soak: $(DEV) ## Decide a million clicks while workers are killed, and compare every counter (ARGS="--clicks 20000")
	@$(BIN)/python -m tests.soak $(ARGS)

compose-test: $(DEV) ## Build the image, bring docker-compose.yml up, click, scale and break it (ARGS="--stage first")
	@$(BIN)/python -m tests.compose $(ARGS)

fuzz: $(FUZZ) ## Look for 60 s for bytes that break the wire rules (ARGS="--seconds 600", "--keep")
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(DEV) ## Measure throughput and latency against raw baselines (ARGS="decide")
	@$(BIN)/python -m bench $(ARGS)

bench-gateway: $(DEV) ## Measure what a click costs the gateway, beside other servers (ARGS="saturated --quick")
	@$(BIN)/python -m bench.gateway $(ARGS)

lock: ## Resolve the dependencies again into requirements/
	@$(MAKE) --no-print-directory $(VENV)/bin/python
	@$(PIP) install "$(LOCK_TOOL)"
	@PATH="$(BIN):$$PATH" sh requirements/lock

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python="$(PYTHON)"; "$${python:-false}" -c '$(IS_SUITABLE)' 2>/dev/null || { echo "Cardwire needs Python 3.11 or newer with its venv module: install it (Debian: apt install python3-venv), or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Building $(VENV)"
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)

# pip checks every hash of the locks; Cardwire itself is linked, not copied, so edits count at once.
$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Cardwire runs on"
	@$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "Installing what Cardwire is tested with"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(FUZZ): requirements/fuzz.txt $(RUNTIME)
	@echo "Installing the fuzzer, of which there are wheels for Linux and some versions of Python only"
	@$(PIP) install --only-binary atheris --require-hashes -r requirements/fuzz.txt
	@touch $@
