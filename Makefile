# `make report` and `make test` need nothing but Python 3.11 to 3.13 and an index that pip can reach.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

WORKERS ?= 2

# Peers to be compared with live in an environment of their own, outside the tree.
BENCH_ENV ?= ../bench-env
PEERS := numpyro blackjax torchebm PySensemakr uncertainties curvlinops-for-pytorch

export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.PHONY: help report test test-all lint format bench bench-env docs clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1  /p' Makefile | awk '{name = $$1; $$1 = ""; printf "  %-10s%s\n", name, $$0}'

report: $(VENV)/.runtime ## Analyze lalonde-cps: build/report.html and build/report.json
	@mkdir -p build
	$(BIN)/ebm-causal report --dataset lalonde-cps --html build/report.html --json build/report.json

test: $(VENV)/.checks ## Run the tests and the doctests
	$(BIN)/python -m pytest -n $(WORKERS)

test-all: $(VENV)/.checks ## Run the slow tests too
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow or not slow"

lint: $(VENV)/.checks ## Check style, types and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.checks ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.checks ## Measure speed and memory, beside the peers in BENCH_ENV where they are
	@export EBM_CAUSAL_PEERS="$${EBM_CAUSAL_PEERS-$(abspath $(BENCH_ENV))/bin/python}"; for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-env: ## Install the peers that `make bench` compares with
	$(PYTHON) -m venv $(BENCH_ENV)
	$(BENCH_ENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PEERS)

docs: $(VENV)/.docs ## Build the documentation in build/docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

clean: ## Remove what was built, the environment too
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.checks: $(VENV)/.runtime
	$(INSTALL) -e ".[test,lint]"
	@touch $@

$(VENV)/.docs: $(VENV)/.runtime
	$(INSTALL) -e ".[docs]"
	@touch $@
