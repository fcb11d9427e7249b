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

# One process a core, each with servers of its own; a file's tests stay together, in order.
test: $(INSTALLED) ## run every test, with real Airflow runs and real Prefect flows
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

slow: $(INSTALLED) ## run the slower lanes: real clusters, many processes, many kills
	@$(BIN)/python -m pytest -m slow

soak: $(INSTALLED) ## run the simulations and loads that take minutes to hours
	@$(BIN)/python -m pytest -m soak --timeout=7200

# Airflow and Python, each pair in an environment of its own, outside of this folder. Airflow 3.2 runs no task with the
# newest of the two libraries that are held back.
COMPAT ?= 3.1.8:3.11 3.2.2:3.12 3.3.2:3.13
COMPAT_HOME ?= $(HOME)/.cache/penstock/compat

compat: $(INSTALLED) ## run the Airflow provider's tests on the other versions that are declared
	@set -e; for pair in $(COMPAT); do \
		airflow=$${pair%%:*}; python=$${pair##*:}; home=$(COMPAT_HOME)/airflow-$$airflow-python-$$python; \
		echo "Airflow $$airflow, Python $$python ($$home)"; \
		test -x $$home/bin/python || $(BIN)/uv venv --quiet --python $$python $$home; \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $$home/bin/python \
			"apache-airflow==$$airflow" 'cadwyn<8' 'fastapi<0.137' --editable '.[eval,s3,postgres,airflow]' --group tests; \
		$$home/bin/python -m pytest tests/airflow_provider; \
	done

mutants: $(INSTALLED) ## break the deciding modules in every small way and count what the tests notice
	@$(BIN)/python -m tests.mutation

check: $(INSTALLED) ## lint, types and layers
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

schema: $(INSTALLED) ## write down what migrating an empty database comes to, after a new migration
	@$(BIN)/python -m tests.migrations.head

bench: $(INSTALLED) ## measure against the floor, reported as ratios
	@$(BIN)/python -m tests.benchmarks

format: $(INSTALLED) ## put the code into house style
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

constraints: $(INSTALLED) ## write down the versions that are installed now
	@$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | grep '==' | sort > .ci/constraints.txt

clean: ## remove the environment, the demo's store and caches
	rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help install demo test slow soak compat mutants check schema bench format constraints clean
