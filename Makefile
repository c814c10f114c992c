# Every target makes what it needs; `make demo` and `make test` start from a bare clone.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help demo test lint types floors unit bench soak clean

help: ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/run.stamp: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e .
	@touch $@

.venv/dev.stamp: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@ .venv/run.stamp

demo: .venv/run.stamp ## The main job on the embedded offline model: no key, no network.
	$(BIN)/rlm demo

test: lint types floors unit ## Everything: ruff, mypy, import-linter, pytest.

lint: .venv/dev.stamp ## ruff: style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp ## mypy, strict.
	$(BIN)/mypy

floors: .venv/dev.stamp ## import-linter: imports only go down.
	$(BIN)/lint-imports

# Four on two cores: two of them wait for an engine or a deadline, as a rule.
unit: .venv/dev.stamp ## pytest.
	$(BIN)/python -m pytest -n 4 --dist worksteal -m 'not soak'

# Without RLM_NO_ATHERIS, a machine for which there is no atheris fails here.
.venv/soak.stamp: .venv/dev.stamp
	test -n "$(RLM_NO_ATHERIS)" || $(BIN)/python -m pip install -q -e '.[dev,fuzz]'
	@touch $@

soak: .venv/soak.stamp ## The long tests: ten thousand sessions, a million frames; RLM_SOAK=0.1 is a tenth.
	$(BIN)/python -m pytest -n 2 -m soak -rP

bench: .venv/dev.stamp ## Speed, as ratios against a baseline in the same run.
	$(BIN)/python -m bench

clean: ## Remove what was built.
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
