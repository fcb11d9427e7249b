# Everything a person does here. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Without byte code every process recompiles Airflow and Prefect: minutes, not seconds.
unexport PYTHONDONTWRITEBYTECODE
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml .ci/constraints.txt
	@echo "Setting up $(VENV) (a minute or two from a warm package cache) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint .ci/constraints.txt \
		--editable '.[eval,s3,postgres,airflow,prefect]' --group dev
	@touch $@

install: $(INSTALLED) ## set up the development environment in .venv

demo: $(INSTALLED) ## retrain month after month on real flights: Airflow, then Prefect, one store
	@$(BIN)/python -m example_dags.demo

test: $(INSTALLED) ## run every test, with real Airflow runs and real Prefect flows
	@$(BIN)/python -m pytest

check: $(INSTALLED) ## lint, types and layers
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

bench: $(INSTALLED) ## measure against the floor, reported as ratios
	@$(BIN)/python -m tests.benchmarks

format: $(INSTALLED) ## put the code into house style
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

constraints: $(INSTALLED) ## write down the versions that are installed now
	@$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | grep '==' | sort > .ci/constraints.txt

clean: ## remove the environment, the demo's store and caches
	rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help install demo test check bench format constraints clean
