# The verbs of this repository. Each creates what it needs; a second run starts at once.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

SUITABLE = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)

BIN := .venv/bin
PY := $(BIN)/python
INSTALL = $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode
PYTEST = $(PY) -m pytest
# Most tests wait for another process or a timer: two of them for each processor keep it busy.
WORKERS = $(shell $(PY) -c 'import os; print(min(8, 2 * os.cpu_count()))')

export UV_SYSTEM_CERTS = 1
# Empty counts as unset: the hundreds of processes that the tests start need not compile the sources each.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check bench lab soak docs lock peers clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

demo: .venv/.ready .peers/.ready ## the main job, on real servers
	@$(PY) -m demo

test: .venv/.ready ## everything CI runs: check, then the whole test suite
	@$(MAKE) -j 2 check .peers/.ready .compiled
	$(PYTEST) tests -n $(WORKERS) --dist worksteal -m "not soak and not alone"
	$(PYTEST) tests -m "alone and not soak"

.PHONY: .compiled
.compiled: .venv/.ready
	@$(PYTEST) -q --collect-only tests >/dev/null || true

check: .venv/.ready ## format, lint, types, import rule, lock, repository rules; a minute at most
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PY) requirements/lock.py check
	@drafted=$$($(BIN)/towncrier build --draft --version next 2>&1) || { echo "$$drafted" >&2; exit 1; }
	$(PYTEST) -q tests/contract/test_repository_*.py

bench: .venv/.ready ## measure Trunkline against the SDK and the bare floor
	@$(PY) -m bench

lab: .venv/.ready ## play the failure lab against Trunkline, the SDK and fastmcp
	@$(PY) -m trunkline.testing.lab --must trunkline

soak: .venv/.ready .peers/.ready ## the long versions of the tests
	$(PYTEST) tests -m soak --timeout 3600

docs: .venv/.ready .peers/.ready ## test the documentation
	$(PYTEST) -q tests/contract/test_repository_docs.py

lock: .venv/.uv ## resolve all dependencies anew; UPGRADE=1 takes the newest
	$(PY) requirements/lock.py write $(if $(UPGRADE),--upgrade)

peers: .peers/.ready ## install the reference servers

clean: ## remove everything that was made here
	rm -rf .venv .peers dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Trunkline needs Python 3.11 or newer with venv; set PYTHON=path" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.synced: .venv/.uv requirements/dev.txt
	$(INSTALL) --python $(PY) requirements/dev.txt
	@touch $@

.venv/.ready: .venv/.synced pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

.peers/.ready: .peers/python/.ready .peers/older/.ready .peers/node/.ready
	@touch $@

.peers/python/.ready: peers/python/lock.txt | .venv/.synced
	$(BIN)/uv venv --quiet --clear --python $(PY) .peers/python
	$(INSTALL) --python .peers/python/bin/python peers/python/lock.txt
	@touch $@

.peers/older/.ready: peers/older/lock.txt | .venv/.synced
	$(BIN)/uv venv --quiet --clear --python $(PY) .peers/older
	$(INSTALL) --python .peers/older/bin/python peers/older/lock.txt
	@touch $@

.peers/node/.ready: peers/node/package.json peers/node/package-lock.json peers/node/.npmrc
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null || \
		{ echo "The reference servers need Node 20 or newer with npm; found: $$(node --version 2>/dev/null || echo none)" >&2; exit 1; }
	mkdir -p .peers/node
	cp peers/node/package.json peers/node/package-lock.json peers/node/.npmrc .peers/node/
	cd .peers/node && npm ci --ignore-scripts --no-progress --loglevel=error </dev/null
	@touch $@
